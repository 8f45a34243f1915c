#!/usr/bin/python3
"""The manual says what the binary does: docs/*.md and README.md against $LEAT.

Examples are fenced blocks. `sql`: a rule's query. `yaml`: sections of a gateway file. Sections that a block lacks are those of the page's
block `yaml shared`, else of SHARED. Words behind the language: `refused` (leat check has to refuse it, with the block's comment
`refused: TEXT` in what it says), `part` (not checked). `c NAME.c` is compiled against leat.h and loaded as $NAME.so by the blocks after it.

Between `<!-- generated: WHAT -->` and `<!-- end -->` stands what this script writes: `manual` and `manual SECTION` (leat manual), `functions GROUP`
and `aggregates` (the tables of operators/expr, with examples that were run). `test_docs.py --update` writes them anew.
"""

import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.environ.get("LEAT_SOURCE", os.path.dirname(os.path.dirname(HERE)))
LEAT = os.path.abspath(os.environ.get("LEAT", os.path.join(SOURCE, "build/leat")))

SHARED = """\
sources:
  readings:
    driver: file
    path: readings.jsonl
    fields: { line: string, device: string, ts: timestamp_ltz, reading: double }
    event_time: ts
    watermark: { out_of_orderness: 5s }
sinks:
  out: { driver: file, path: out.jsonl }
"""


def pages():
    found = glob.glob(os.path.join(SOURCE, "docs/**/*.md"), recursive=True)
    return sorted(found) + [os.path.join(SOURCE, "README.md")]


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


GENERATED = re.compile(r"(<!-- generated: ([\w ]+) -->\n)(.*?)(<!-- end -->)", re.S)


# ---- blocks

class Block:
    def __init__(self, path, line, words, text):
        self.page, self.line, self.text = os.path.relpath(path, SOURCE), line, text
        self.language, self.words = (words[0] if words else ""), words[1:]

    def place(self):
        return f"{self.page}:{self.line}"


def blocks_of(path):
    blocks, block, lines = [], None, []
    # What is generated has lines, but no examples of ours.
    text = GENERATED.sub(lambda match: "\n" * match.group(0).count("\n"), read(path))
    for number, line in enumerate(text.splitlines(), 1):
        if block is None and line.startswith("```"):
            block, lines = Block(path, number, line[3:].split(), ""), []
        elif block is not None and line.startswith("```"):
            block.text = "\n".join(lines) + "\n"
            blocks.append(block)
            block = None
        elif block is not None:
            lines.append(line)
    return blocks


def sections_of(text):
    """Top-level sections of a YAML text, by name."""
    sections, name = {}, None
    for line in text.splitlines(keepends=True):
        match = re.match(r"([a-z]+):", line)
        if match:
            name = match.group(1)
        if name:
            sections[name] = sections.get(name, "") + line
    return sections


def indent(text, spaces):
    return "".join(" " * spaces + line if line.strip() else line for line in text.splitlines(keepends=True))


def gateway_of(block, shared):
    if block.language == "sql":
        given = {"rules": "rules:\n  example:\n    sql: |\n" + indent(block.text, 6) + "    to: out\n"}
    else:
        given = sections_of(block.text)
    return "".join({**sections_of(shared), **given}.values())


# ---- running

def run(directory, *arguments, variables=()):
    environment = {**os.environ, **{name: "secret" for name in variables}}
    return subprocess.run([LEAT, *arguments], cwd=directory, env=environment, capture_output=True, text=True, timeout=60,
                          check=False)


def check(directory, gateway):
    """Secrets have to be there: those that the example names are made up."""
    write(os.path.join(directory, "secret"), "secret\n")
    write(os.path.join(directory, "gateway.yaml"), re.sub(r"\bfile:[^\s}]+", "file:secret", gateway))
    return run(directory, "check", "gateway.yaml", variables=re.findall(r"\$\{([A-Z_]+)\}", gateway))


def compile_library(directory, name, text):
    """The command line is that of docs/functions.md."""
    write(os.path.join(directory, name), text)
    library = name[:-2] + ".so"
    subprocess.run([os.environ.get("CC", "gcc"), "-std=c11", "-Wall", "-Wextra", "-Werror", "-O2", "-fPIC", "-shared",
                    "-I", os.path.join(SOURCE, "operators/api"), "-o", library, name], cwd=directory, check=True)


# ---- function tables

ROW = re.compile(r'\{"((?:[^"\\]|\\.)*)",\s*"([^"]*)",\s*([\w]+),([^{}]*?)"((?:[^"\\]|\\.)*)"\s*\}', re.S)
COMPARISON = re.compile(r'^\s*COMPARISON\("([^"]+)", [\w, ]+, "([^"]+)"\)', re.M)


class Function:
    """An overload: name, pattern of the arguments, whether it may be NULL or bad by itself, one sentence."""

    def __init__(self, name, arguments, flags, text):
        self.name, self.arguments, self.text = name, arguments, text
        self.lenient = name in ("IF", "NULLIF") or \
            re.search(r"LENIENT|COALESCE|\b(TEST|SEES_NULL|SEES|LIST|AND|OR|MAKES)\b", flags) is not None
        self.nullable = re.search(r"NULLABLE|MAYBE_NULL|\b(N|NF|LNF)\b", flags) is not None
        self.fails = re.search(r"FAILS|MAYBE_BAD|\b(F|NF|LNF)\b", flags) is not None


def functions_of(file):
    text = read(os.path.join(SOURCE, "operators/expr", file))
    start = text.find("const leat_aggregate_function" if file == "aggregate.c" else "const leat_function leat_functions")
    body = text[start:text.index("\n};", start)]
    found = [(m.start(), Function(m.group(1), m.group(2), m.group(4), m.group(5))) for m in ROW.finditer(body)]
    found += [(m.start(), Function(m.group(1), "any, any", "", m.group(2))) for m in COMPARISON.finditer(body)]
    return [function for _, function in sorted(found, key=lambda entry: entry[0])]


# Examples are constants, or read this row.
ROW_TEXT = '{"line":"a","device":"press-1","ts":"2026-03-01T10:00:05Z","reading":21.5}\n'

# Of each group and name the examples; a name that is not here fails the test.
EXAMPLES = {
    "logic": {
        "AND": ["reading > 20 AND device IS NOT NULL"], "OR": ["reading > 30 OR CAST(NULL AS BOOLEAN)"], "NOT": ["NOT reading > 30"],
        "IS NULL": ["NULLIF(1, 1) IS NULL"], "IS NOT NULL": ["device IS NOT NULL"], "IS TRUE": ["CAST(NULL AS BOOLEAN) IS TRUE"],
        "IS NOT TRUE": ["CAST(NULL AS BOOLEAN) IS NOT TRUE"], "IS FALSE": ["FALSE IS FALSE"],
        "IS NOT FALSE": ["CAST(NULL AS BOOLEAN) IS NOT FALSE"], "IS UNKNOWN": ["CAST(NULL AS BOOLEAN) IS UNKNOWN"],
        "IS NOT UNKNOWN": ["TRUE IS NOT UNKNOWN"],
    },
    "compare": {
        "=": ["1 = 1.0"], "<>": ["'a' <> 'b'"], "!=": ["1 != 2"], "<": ["'Z' < 'a'"], "<=": ["2 <= 2"],
        ">": ["ts > TIMESTAMP '2026-01-01 00:00:00'"], ">=": ["2 >= 3"], "IS DISTINCT FROM": ["reading IS DISTINCT FROM NULL"],
        "IS NOT DISTINCT FROM": ["NULLIF(1, 1) IS NOT DISTINCT FROM NULL"], "BETWEEN": ["reading BETWEEN 20 AND 21.5"],
        "NOT BETWEEN": ["reading NOT BETWEEN 20 AND 21.5"], "BETWEEN ASYMMETRIC": ["5 BETWEEN ASYMMETRIC 9 AND 1"],
        "BETWEEN SYMMETRIC": ["5 BETWEEN SYMMETRIC 9 AND 1"], "NOT BETWEEN SYMMETRIC": ["5 NOT BETWEEN SYMMETRIC 9 AND 1"],
        "IN": ["line IN ('a', 'b')"], "NOT IN": ["line NOT IN ('a', 'b')"], "GREATEST": ["GREATEST(1, 3, 2)"],
        "LEAST": ["LEAST(1, 3, 2)"],
    },
    "conditional": {
        "COALESCE": ["COALESCE(NULLIF(line, 'a'), 'none')"], "IFNULL": ["IFNULL(NULLIF(1, 1), 0)"],
        "IF": ["IF(reading > 20, 'warm', 'cold')"], "NULLIF": ["NULLIF(line, 'a')"],
    },
    "arithmetic": {
        "+": ["1 + 2", "CAST(0.1 AS DECIMAL(3, 1)) + CAST(0.2 AS DECIMAL(3, 1))", "reading + 1", "ts + INTERVAL '1' HOUR",
              "DATE '2026-01-31' + INTERVAL '1' MONTH"],
        "-": ["3 - 5", "DATE '2026-03-01' - DATE '2026-02-01'", "-reading"], "*": ["6 * 7", "INTERVAL '1' MINUTE * 2.5"],
        "/": ["7 / 2", "7 / 2.0", "7e0 / 2"], "%": ["-7 % 3"], "MOD": ["MOD(7, 3)"],
    },
    "math": {
        "ABS": ["ABS(-2)"], "SIGN": ["SIGN(-2.5e0)"], "FLOOR": ["FLOOR(2.7e0)"], "CEIL": ["CEIL(2.1e0)"], "CEILING": ["CEILING(2.1e0)"],
        "ROUND": ["ROUND(reading * 1.111, 1)"], "TRUNCATE": ["TRUNCATE(2.79e0, 1)"], "POWER": ["POWER(2, 10)"], "SQRT": ["SQRT(2)"],
        "EXP": ["EXP(1)"], "LN": ["LN(10)"], "LOG": ["LOG(10)", "LOG(2, 8)"], "LOG10": ["LOG10(1000)"], "LOG2": ["LOG2(8)"],
        "SIN": ["SIN(1)"], "COS": ["COS(1)"], "TAN": ["TAN(1)"], "COT": ["COT(1)"], "ASIN": ["ASIN(1)"], "ACOS": ["ACOS(1)"],
        "ATAN": ["ATAN(1)"], "ATAN2": ["ATAN2(1, 1)"], "SINH": ["SINH(1)"], "COSH": ["COSH(1)"], "TANH": ["TANH(1)"],
        "DEGREES": ["DEGREES(PI())"], "RADIANS": ["RADIANS(180)"], "PI": ["PI()"], "E": ["E()"], "RAND": ["RAND()"],
        "RAND_INTEGER": ["RAND_INTEGER(6)"],
    },
    "text": {
        "UPPER": ["UPPER('leat')"], "LOWER": ["LOWER('LEAT')"], "INITCAP": ["INITCAP('mill race')"],
        "SUBSTRING": ["SUBSTRING('gateway' FROM 5 FOR 2)"], "SUBSTR": ["SUBSTR('gateway', -3)"], "LEFT": ["LEFT('gateway', 4)"],
        "RIGHT": ["RIGHT('gateway', 3)"], "TRIM": ["TRIM(LEADING 'x' FROM 'xxax')"], "BTRIM": ["BTRIM('  a ')"],
        "LTRIM": ["LTRIM('  a ')"], "RTRIM": ["RTRIM('xay', 'xy')"], "||": ["device || '/' || line"],
        "CONCAT": ["CONCAT(line, '-', device)"], "CONCAT_WS": ["CONCAT_WS('-', 'a', NULLIF('b', 'b'), 'c')"],
        "REPEAT": ["REPEAT('ab', 3)"], "REVERSE": ["REVERSE('abc')"], "LPAD": ["LPAD('7', 3, '0')"], "RPAD": ["RPAD('7', 3, '.')"],
        "REPLACE": ["REPLACE('a-b-c', '-', '')"], "OVERLAY": ["OVERLAY('gateway' PLACING 'XY' FROM 2)"], "CHR": ["CHR(65)"],
        "UUID": ["UUID()"],
    },
    "search": {
        "CHAR_LENGTH": ["CHAR_LENGTH('grün')"], "CHARACTER_LENGTH": ["CHARACTER_LENGTH('abc')"], "ASCII": ["ASCII('A')"],
        "POSITION": ["POSITION('way' IN 'gateway')"], "LOCATE": ["LOCATE('a', 'gateway', 3)"], "INSTR": ["INSTR('gateway', 'way')", "INSTR('gateway', 'a', -1, 2)"],
        "STARTSWITH": ["STARTSWITH(device, 'press')"], "ENDSWITH": ["ENDSWITH(device, '-1')"],
        "SPLIT_INDEX": ["SPLIT_INDEX('plant/7/readings', '/', 1)"], "LIKE": ["device LIKE 'press-_'", "'10%' LIKE '10!%' ESCAPE '!'"],
        "NOT LIKE": ["device NOT LIKE 'mill%'"],
    },
    "time": {
        "EXTRACT": ["EXTRACT(HOUR FROM ts)"], "YEAR": ["YEAR(ts)"], "QUARTER": ["QUARTER(ts)"], "MONTH": ["MONTH(ts)"],
        "WEEK": ["WEEK(ts)"], "DAYOFYEAR": ["DAYOFYEAR(ts)"], "DAYOFMONTH": ["DAYOFMONTH(ts)"], "DAYOFWEEK": ["DAYOFWEEK(ts)"],
        "HOUR": ["HOUR(ts)"], "MINUTE": ["MINUTE(ts)"], "SECOND": ["SECOND(ts)"], "FLOOR": ["FLOOR(ts TO HOUR)"],
        "CEIL": ["CEIL(ts TO DAY)"], "CEILING": ["CEILING(ts TO DAY)"], "TIMESTAMPADD": ["TIMESTAMPADD(MINUTE, 5, ts)"],
        "TIMESTAMPDIFF": ["TIMESTAMPDIFF(DAY, TIMESTAMP '2026-01-01 00:00:00', TIMESTAMP '2026-03-01 00:00:00')"],
    },
    "calendar_text": {
        "DATE_FORMAT": ["DATE_FORMAT(ts, 'yyyy-MM-dd HH:mm')"], "TO_TIMESTAMP": ["TO_TIMESTAMP('01.03.2026 10:00', 'dd.MM.yyyy HH:mm')"],
        "TO_DATE": ["TO_DATE('2026-03-01')"], "TO_TIMESTAMP_LTZ": ["TO_TIMESTAMP_LTZ(1772359205000, 3)"],
        "UNIX_TIMESTAMP": ["UNIX_TIMESTAMP('2026-03-01 10:00:05')"], "FROM_UNIXTIME": ["FROM_UNIXTIME(1772359205)"],
    },
    "clock": {
        "PROCTIME": ["PROCTIME()"], "CURRENT_WATERMARK": ["CURRENT_WATERMARK(ts)"], "CURRENT_TIMESTAMP": ["CURRENT_TIMESTAMP"],
        "CURRENT_ROW_TIMESTAMP": ["CURRENT_ROW_TIMESTAMP()"], "NOW": ["NOW()"], "LOCALTIMESTAMP": ["LOCALTIMESTAMP"], "CURRENT_DATE": ["CURRENT_DATE"], "CURRENT_TIME": ["CURRENT_TIME"],
        "LOCALTIME": ["LOCALTIME"], "UNIX_TIMESTAMP": ["UNIX_TIMESTAMP()"],
    },
    "collection": {
        "ARRAY": ["ARRAY[1, 2, 3]"], "ROW": ["ROW(line, reading)"], "MAP": ["MAP['a', 1, 'b', 2]"],
        "CARDINALITY": ["CARDINALITY(ARRAY[1, 2, 3])"], "ITEM": ["ARRAY[10, 20][2]", "MAP['a', 1, 'b', 2]['b']"], "FIELD": ["CAST(ROW(7, 'a') AS ROW<x INT, y STRING>).x"],
        "ELEMENT": ["ELEMENT(ARRAY[7])"], "ARRAY_CONTAINS": ["ARRAY_CONTAINS(ARRAY[1, 2], 2)"], "TYPEOF": ["TYPEOF(reading)"],
    },
    "array": {
        "ARRAY_APPEND": ["ARRAY_APPEND(ARRAY[1, 2], 3)"], "ARRAY_PREPEND": ["ARRAY_PREPEND(ARRAY[2, 3], 1)"],
        "ARRAY_CONCAT": ["ARRAY_CONCAT(ARRAY[1], ARRAY[2, 3])"], "ARRAY_DISTINCT": ["ARRAY_DISTINCT(ARRAY[1, 2, 1])"],
        "ARRAY_UNION": ["ARRAY_UNION(ARRAY[1, 2], ARRAY[2, 3])"], "ARRAY_EXCEPT": ["ARRAY_EXCEPT(ARRAY[1, 2, 3], ARRAY[2])"],
        "ARRAY_INTERSECT": ["ARRAY_INTERSECT(ARRAY[1, 2, 3], ARRAY[3, 2])"], "ARRAY_POSITION": ["ARRAY_POSITION(ARRAY['a', 'b'], 'b')"],
        "ARRAY_REMOVE": ["ARRAY_REMOVE(ARRAY[1, 2, 1], 1)"], "ARRAY_REVERSE": ["ARRAY_REVERSE(ARRAY[1, 2, 3])"],
        "ARRAY_SLICE": ["ARRAY_SLICE(ARRAY[1, 2, 3, 4], 2, 3)", "ARRAY_SLICE(ARRAY[1, 2, 3, 4], -2)"],
        "ARRAY_SORT": ["ARRAY_SORT(ARRAY[3, 1, 2])", "ARRAY_SORT(ARRAY[3, 1, 2], FALSE)"], "ARRAY_MAX": ["ARRAY_MAX(ARRAY[3, 1, 2])"],
        "ARRAY_MIN": ["ARRAY_MIN(ARRAY[3, 1, 2])"], "ARRAY_JOIN": ["ARRAY_JOIN(ARRAY['a', 'b'], '-')"],
    },
    "map": {
        "MAP_KEYS": ["MAP_KEYS(MAP['a', 1, 'b', 2])"], "MAP_VALUES": ["MAP_VALUES(MAP['a', 1, 'b', 2])"],
        "MAP_ENTRIES": ["MAP_ENTRIES(MAP['a', 1])"], "MAP_FROM_ARRAYS": ["MAP_FROM_ARRAYS(ARRAY['a', 'b'], ARRAY[1, 2])"],
        "MAP_UNION": ["MAP_UNION(MAP['a', 1], MAP['a', 2, 'b', 3])"], "SPLIT": ["SPLIT('a;b;c', ';')"],
        "STR_TO_MAP": ["STR_TO_MAP('a=1,b=2')", "STR_TO_MAP('a:1|b:2', '\\|', ':')"],
    },
    "json": {
        "JSON_VALUE": ["JSON_VALUE('{\"a\": {\"b\": 1}}', '$.a.b')", "JSON_VALUE('{\"a\": 1}', '$.a' RETURNING INT)",
                       "JSON_VALUE('{}', 'lax $.a' DEFAULT 'none' ON EMPTY)"],
        "JSON_QUERY": ["JSON_QUERY('{\"a\": [1, 2]}', '$.a')", "JSON_QUERY('{\"a\": [1, 2]}', '$.a' RETURNING ARRAY<INT>)",
                       "JSON_QUERY('{\"a\": 1}', '$.a' WITH CONDITIONAL WRAPPER)"],
        "JSON_EXISTS": ["JSON_EXISTS('{\"a\": 1}', '$.a')"], "IS JSON": ["line IS JSON"], "IS NOT JSON": ["line IS NOT JSON"],
        "IS JSON OBJECT": ["'{}' IS JSON OBJECT"], "IS NOT JSON OBJECT": ["'{}' IS NOT JSON OBJECT"], "IS JSON ARRAY": ["'[]' IS JSON ARRAY"],
        "IS NOT JSON ARRAY": ["'1' IS NOT JSON ARRAY"], "IS JSON SCALAR": ["'1' IS JSON SCALAR"],
        "IS NOT JSON SCALAR": ["'1' IS NOT JSON SCALAR"],
    },
    "json_make": {
        "JSON_OBJECT": ["JSON_OBJECT('device' VALUE device, 'at' VALUE ts)", "JSON_OBJECT('a' VALUE NULLIF(1, 1) ABSENT ON NULL)"],
        "JSON_ARRAY": ["JSON_ARRAY(1, 'a', JSON_ARRAY(TRUE))", "JSON_ARRAY(NULLIF(1, 1) NULL ON NULL)"],
        "JSON": ["JSON_ARRAY(JSON('{\"a\": 1}'))"], "JSON_STRING": ["JSON_STRING(ARRAY[1, 2])"],
        "JSON_QUOTE": ["JSON_QUOTE('a/b')"], "JSON_UNQUOTE": ["JSON_UNQUOTE('\"a\"')"],
    },
    "format": {
        "PRINTF": ["PRINTF('%s: %6.2f', device, reading)"], "TRANSLATE": ["TRANSLATE('a-b', '-b', '_')"],
        "TRANSLATE3": ["TRANSLATE3('abc', 'ab', 'xy')"], "ELT": ["ELT(2, 'low', 'high')"], "IS_ALPHA": ["IS_ALPHA('abc')"],
        "IS_DIGIT": ["IS_DIGIT('12a')"], "IS_DECIMAL": ["IS_DECIMAL('1.5')"],
    },
    "regex": {
        "REGEXP": ["REGEXP(device, '-[0-9]+$')"], "REGEXP_COUNT": ["REGEXP_COUNT('a1b22', '[0-9]+')"],
        "REGEXP_EXTRACT": ["REGEXP_EXTRACT(device, '([a-z]+)-([0-9]+)', 2)"],
        "REGEXP_EXTRACT_ALL": ["REGEXP_EXTRACT_ALL('a=1,b=2', '([a-z])=([0-9])', 2)"], "REGEXP_INSTR": ["REGEXP_INSTR(device, '[0-9]')"],
        "REGEXP_REPLACE": ["REGEXP_REPLACE('a1b22', '[0-9]+', '#')"], "REGEXP_SUBSTR": ["REGEXP_SUBSTR('a1b22', '[0-9]+')"],
        "SIMILAR TO": ["device SIMILAR TO '(press|mill)-_'", "'10%' SIMILAR TO '[0-9]+!%' ESCAPE '!'"],
    },
    "encode": {
        "MD5": ["MD5('abc')"], "SHA1": ["SHA1('abc')"], "SHA224": ["SHA224('abc')"], "SHA256": ["SHA256('abc')"],
        "SHA384": ["SHA384('abc')"], "SHA512": ["SHA512('abc')"], "SHA2": ["SHA2('abc', 224)"], "HEX": ["HEX(255)", "HEX('abc')"],
        "UNHEX": ["DECODE(UNHEX('616263'), 'UTF-8')"], "BIN": ["BIN(10)"], "TO_BASE64": ["TO_BASE64('abc')"],
        "FROM_BASE64": ["FROM_BASE64('YWJj')"], "ENCODE": ["DECODE(ENCODE('abc', 'UTF-16'), 'UTF-16')"],
        "DECODE": ["DECODE(UNHEX('e9'), 'ISO-8859-1')"],
    },
    "url": {
        "PARSE_URL": ["PARSE_URL('http://a.org/x?k=v', 'HOST')", "PARSE_URL('http://a.org/x?k=v', 'QUERY', 'k')"],
        "URL_ENCODE": ["URL_ENCODE('a b/c')"], "URL_DECODE": ["URL_DECODE('a+b%2Fc')"],
        "INET_ATON": ["INET_ATON('10.0.0.7')"], "INET_NTOA": ["INET_NTOA(167772167)"],
    },
    "zone": {
        "CONVERT_TZ": ["CONVERT_TZ('2026-03-01 10:00:00', 'UTC', 'Europe/Berlin')"],
        "TO_TIMESTAMP_LTZ": ["TO_TIMESTAMP_LTZ('2026-03-01 10:00:00')", "TO_TIMESTAMP_LTZ('2026-03-01 10:00:00', 'yyyy-MM-dd HH:mm:ss', 'GMT+08:00')"],
    },
}
# Words of the parser that no example can have: each is refused by name, or is another's synonym that the page need not show.
NOT_SHOWN = set("""
    CHAR CHARACTER VARCHAR VARYING BINARY VARBINARY BYTES MULTISET
    CENTURY DECADE MILLENNIUM MILLISECOND MICROSECOND NANOSECOND DOW ISODOW ISOYEAR
    CURRENT_CATALOG CURRENT_PATH CURRENT_ROLE CURRENT_SCHEMA CURRENT_USER SESSION_USER SYSTEM_USER
    FOLLOWING IGNORE RESPECT MATCHES OMIT UNMATCHED SHOW PERMUTE OVERLAPS RECURSIVE RUNNING SOME
    WITHOUT UNCONDITIONAL SUBSET
""".split())
# What is written with other signs than its name.
SHOWN_AS = {"ITEM": "[ ]", "FIELD": "row.field", "ARRAY": "ARRAY[ ]", "MAP": "MAP[ ]"}
# What has words inside.
SIGNATURES = {
    "JSON_VALUE": "(text, path [RETURNING type] [NULL, ERROR or DEFAULT x ON EMPTY] [NULL, ERROR or DEFAULT x ON ERROR])",
    "JSON_QUERY": "(text, path [RETURNING ARRAY<type>] [WITHOUT, WITH CONDITIONAL or WITH UNCONDITIONAL WRAPPER]"
                  " [NULL, ERROR, EMPTY ARRAY or EMPTY OBJECT ON EMPTY] [.. ON ERROR])",
    "JSON_EXISTS": "(text, path [TRUE, FALSE, UNKNOWN or ERROR ON ERROR])",
    "JSON_OBJECT": "([KEY] key VALUE any, .. [NULL or ABSENT ON NULL])", "JSON_ARRAY": "(any, .. [NULL or ABSENT ON NULL])",
    "JSON_OBJECTAGG": "([KEY] key VALUE any [NULL or ABSENT ON NULL])", "JSON_ARRAYAGG": "(any [NULL or ABSENT ON NULL])",
}
VOLATILE = {"RAND", "RAND_INTEGER", "UUID"}
AGGREGATE_EXAMPLES = {
    "COUNT": ["COUNT(*)", "COUNT(reading)", "COUNT(DISTINCT device)"], "SUM": ["SUM(reading)"], "AVG": ["AVG(reading)"],
    "MIN": ["MIN(reading)"], "MAX": ["MAX(device)"], "FIRST_VALUE": ["FIRST_VALUE(reading)"],
    "LAST_VALUE": ["LAST_VALUE(reading)"], "STDDEV_POP": ["STDDEV_POP(reading)"], "STDDEV_SAMP": ["STDDEV_SAMP(reading)"],
    "STDDEV": ["STDDEV(reading)"], "VAR_POP": ["VAR_POP(reading)"], "VAR_SAMP": ["VAR_SAMP(reading)"],
    "VARIANCE": ["VARIANCE(reading)"], "LISTAGG": ["LISTAGG(device, ' ')"], "COLLECT": ["COLLECT(reading)"],
    "ARRAY_AGG": ["ARRAY_AGG(reading)"], "JSON_OBJECTAGG": ["JSON_OBJECTAGG(KEY device VALUE reading)"],
    "JSON_ARRAYAGG": ["JSON_ARRAYAGG(reading)", "JSON_ARRAYAGG(reading NULL ON NULL)"], "MIN_BY": ["MIN_BY(device, reading)"],
    "MAX_BY": ["MAX_BY(ts, reading)"], "PERCENTILE": ["PERCENTILE(reading, 0.5)", "PERCENTILE(reading, ARRAY[0.25, 0.75])"],
    "APPROX_COUNT_DISTINCT": ["APPROX_COUNT_DISTINCT(device)"],
}
AGGREGATE_ROWS = "".join(
    json.dumps({"line": "a", "device": device, "ts": f"2026-03-01T10:00:0{i}Z", "reading": reading}) + "\n"
    for i, (device, reading) in enumerate([("press-1", 2.0), ("press-2", 4.0), ("press-1", None), ("press-2", 9.0)]))


def evaluate(expressions, rows, tail):
    """(type, value) of each expression: explained, and run over the rows."""
    with tempfile.TemporaryDirectory() as directory:
        rules = ""
        for i, expression in enumerate(expressions):
            rules += f"  r{i}:\n    sql: |\n      SELECT {expression} AS v FROM {tail}\n    to: o{i}\n"
        sinks = "".join(f"  o{i}: {{ driver: file, path: o{i}.jsonl }}\n" for i in range(len(expressions)))
        write(os.path.join(directory, "readings.jsonl"), rows)
        write(os.path.join(directory, "gateway.yaml"),
              sections_of(SHARED)["sources"] + "rules:\n" + rules + "sinks:\n" + sinks)
        explained, ran = run(directory, "explain", "gateway.yaml"), run(directory, "run", "gateway.yaml")
        if explained.returncode or ran.returncode:
            raise RuntimeError(explained.stdout + explained.stderr + ran.stderr)
        types = re.findall(r"^rule r\d+:.*?^  columns    v (.*?)$", explained.stdout, re.M | re.S)
        values = []
        for i in range(len(expressions)):
            line = read(os.path.join(directory, f"o{i}.jsonl")).strip()
            values.append(line[len('{"v":'):-1])
        return [(kind.replace(" *rowtime*", "").replace(" *proctime*", ""), value) for kind, value in zip(types, values)]


def code(text):
    return "`" + text.replace("|", "\\|") + "`"


def null_text(overloads):
    if not any(f.arguments for f in overloads):
        return ""
    text = "sees it" if all(f.lenient for f in overloads) else "NULL"
    text += ", also by itself" if any(f.nullable for f in overloads) else ""
    return text + ("; may reject the row" if any(f.fails for f in overloads) else "")


def merged(functions):
    """Overloads of a name, in the order of the first."""
    names = {}
    for function in functions:
        names.setdefault(function.name, []).append(function)
    return names


def signatures(overloads, none):
    """(arguments, sentences): a line for each sentence."""
    by_text = {}
    for function in overloads:
        by_text.setdefault(function.text, []).append(function.arguments or none)
    return "<br>".join(" or ".join(f"({a})" for a in patterns) for patterns in by_text.values()), "<br>".join(by_text)


def examples_text(expressions, results, fixed):
    shown = []
    for expression in expressions:
        kind, value = results[expression]
        shown.append(f"{code(expression)} is {code(value) + ', ' if fixed else ''}{kind}")
    return "<br>".join(shown)


def check_names(names, examples, file):
    if set(names) != set(examples):
        raise RuntimeError(f"{file} has {sorted(names)}, the examples of this test are of {sorted(examples)}")


def function_table(group):
    names, examples = merged(functions_of(f"function_{group}.c")), EXAMPLES[group]
    check_names(names, examples, f"function_{group}.c")
    expressions = [expression for of_name in examples.values() for expression in of_name]
    results = dict(zip(expressions, evaluate(expressions, ROW_TEXT, "readings")))
    lines = ["| name | arguments | of NULL | | example |", "| --- | --- | --- | --- | --- |"]
    for name, overloads in names.items():
        arguments, texts = signatures(overloads, "")
        arguments = SIGNATURES.get(name, arguments)
        shown = examples_text(examples[name], results, group != "clock" and name not in VOLATILE)
        lines.append(f"| {code(SHOWN_AS.get(name, name))} | {arguments} | {null_text(overloads)} | {texts} | {shown} |")
    return "\n".join(lines) + "\n"


def aggregate_table():
    names = merged(functions_of("aggregate.c"))
    check_names(names, AGGREGATE_EXAMPLES, "aggregate.c")
    expressions = [expression for of_name in AGGREGATE_EXAMPLES.values() for expression in of_name]
    tail = "TABLE(TUMBLE(TABLE readings, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end"
    results = dict(zip(expressions, evaluate(expressions, AGGREGATE_ROWS, tail)))
    lines = ["| name | arguments | | example |", "| --- | --- | --- | --- |"]
    for name, overloads in names.items():
        arguments, texts = signatures(overloads, "`*`")
        arguments = SIGNATURES.get(name, arguments)
        lines.append(f"| {code(name)} | {arguments} | {texts} | {examples_text(AGGREGATE_EXAMPLES[name], results, True)} |")
    return "\n".join(lines) + "\n"


# ---- generated parts


def manual_text():
    text = run(".", "manual").stdout
    return text.split("\n", 2)[2]  # the page has a title of its own


def generate(what):
    words = what.split()
    if words[0] == "manual":
        return "\n" + manual_text().replace("\n## ", "\n## ") + "\n"
    if words[0] == "functions":
        return "\n" + function_table(words[1]) + "\n"
    if words[0] == "aggregates":
        return "\n" + aggregate_table() + "\n"
    raise RuntimeError(f"nothing generates '{what}'")


def update():
    for path in pages():
        text = read(path)
        new = GENERATED.sub(lambda match: match.group(1) + generate(match.group(2)) + match.group(4), text)
        if new != text:
            write(path, new)
            print(f"{os.path.relpath(path, SOURCE)}: written anew")


# ---- tests

class Docs(unittest.TestCase):
    maxDiff = None

    def test_examples(self):
        for path in pages():
            blocks = blocks_of(path)
            shared = next((b.text for b in blocks if b.language == "yaml" and "shared" in b.words), SHARED)
            with tempfile.TemporaryDirectory() as directory:
                for block in blocks:
                    if block.language in ("sql", "yaml", "c") and "part" not in block.words:
                        with self.subTest(block.place()):
                            self.example(directory, block, shared)

    def example(self, directory, block, shared):
        if block.language == "c":
            compile_library(directory, block.words[0], block.text)
            return
        if "shared" in block.words:
            return
        gateway = gateway_of(block, shared)
        result = check(directory, gateway)
        if "refused" in block.words:
            wanted = re.search(r"(?:--|#) refused: (.*)", block.text).group(1)
            self.assertEqual(result.returncode, 78, gateway + result.stdout)
            self.assertIn(wanted, " ".join((result.stdout + result.stderr).split()))
        else:
            self.assertEqual(result.returncode, 0, gateway + result.stdout + result.stderr)

    def test_refusals(self):
        """Tables `| `query` | message |` under a heading with 'refused' in it: each query is refused with that message."""
        for path in pages():
            table = False
            for number, line in enumerate(read(path).splitlines(), 1):
                if line.startswith("#"):
                    table = "refused" in line.lower()
                match = re.match(r"\| `(.*?)` \| (.*?) \|", line) if table else None
                if match:
                    with self.subTest(f"{os.path.relpath(path, SOURCE)}:{number}"):
                        self.refusal(path, match.group(1).replace("\\|", "|"), match.group(2))

    def refusal(self, path, query, message):
        block = Block(path, 0, ["sql"], query + "\n")
        with tempfile.TemporaryDirectory() as directory:
            result = check(directory, gateway_of(block, SHARED))
        self.assertEqual(result.returncode, 78, query)
        self.assertIn(message, (result.stdout + result.stderr).replace("\n", " "))

    def test_generated_parts(self):
        for path in pages():
            for match in GENERATED.finditer(read(path)):
                with self.subTest(f"{os.path.relpath(path, SOURCE)}: {match.group(2)}"):
                    self.assertEqual(match.group(3), generate(match.group(2)), "run tests/golden/test_docs.py --update")

    def test_every_function_has_an_example(self):
        """A function of operators/expr that the manual does not show, with an example that was run, fails."""
        shown = set(re.findall(r"<!-- generated: functions (\w+) -->", read(os.path.join(SOURCE, "docs/sql.md"))))
        for path in sorted(glob.glob(os.path.join(SOURCE, "operators/expr/function_*.c"))):
            group = os.path.basename(path)[len("function_"):-len(".c")]
            if "const leat_function leat_functions_" not in read(path):
                continue
            with self.subTest(group):
                self.assertIn(group, shown, "docs/sql.md has no table of these functions")
                names = {function.name for function in functions_of(f"function_{group}.c")}
                self.assertEqual(sorted(name for name in names if not EXAMPLES[group].get(name)), [])
        self.assertEqual(sorted(name for name, examples in AGGREGATE_EXAMPLES.items() if not examples), [])

    def test_every_word_has_an_example(self):
        """Each word that the parser knows stands in an example that is checked, or in NOT_SHOWN."""
        words = set()
        for path in glob.glob(os.path.join(SOURCE, "config/sql/parser_*.c")):
            words |= set(re.findall(r"\bKW_([A-Z_]+)\b", read(path)))
        texts = [expression for group in EXAMPLES.values() for examples in group.values() for expression in examples]
        texts += [expression for examples in AGGREGATE_EXAMPLES.values() for expression in examples]
        for path in pages():
            texts += [block.text for block in blocks_of(path)
                      if block.language in ("sql", "yaml") and not {"part", "refused"} & set(block.words)]
        shown = set(re.findall(r"[A-Z_]+", "\n".join(texts).upper()))
        self.assertEqual(sorted(words - shown - NOT_SHOWN), [])
        self.assertEqual(sorted(NOT_SHOWN & shown - {"SOME", "RUNNING"}), [], "these are shown")

    def test_links(self):
        for path in pages():
            for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", read(path)):
                with self.subTest(f"{os.path.relpath(path, SOURCE)}: {target}"):
                    self.assertTrue(os.path.exists(os.path.join(os.path.dirname(path), target)))


if __name__ == "__main__":
    if "--update" in sys.argv:
        update()
    else:
        unittest.main()
