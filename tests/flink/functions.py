"""Expressions over rows of boundary values: templates with holes, filled at random."""

import re

COLUMNS = {
    "i": "INT", "j": "INT", "b": "BIGINT", "n": "BIGINT", "t": "TINYINT", "m": "SMALLINT", "f": "FLOAT", "d": "DOUBLE", "e": "DOUBLE",
    "c": "DECIMAL(10, 2)", "p": "DECIMAL(38, 10)", "q": "DECIMAL(5, 0)", "s": "STRING", "x": "STRING", "y": "STRING", "z": "STRING",
    "o": "BOOLEAN", "w": "BOOLEAN", "ts": "TIMESTAMP(3)", "us": "TIMESTAMP(3)", "ls": "TIMESTAMP_LTZ(3)", "ms": "TIMESTAMP_LTZ(3)",
    "da": "DATE", "db": "DATE", "ti": "TIME", "a": "ARRAY<INT>", "g": "ARRAY<STRING>", "h": "ARRAY<DOUBLE>",
}
LEAT_TYPES = {"INT": "int", "BIGINT": "bigint", "TINYINT": "tinyint", "SMALLINT": "smallint", "FLOAT": "float", "DOUBLE": "double", "STRING": "string",
              "BOOLEAN": "boolean", "TIMESTAMP(3)": "timestamp", "TIMESTAMP_LTZ(3)": "timestamp_ms", "DATE": "date", "TIME": "time"}

WORDS = ["", "a", "abc", "Hello", "hello world", " pad ", "  ", "Grün ß", "日本語", "a,b,,c", "%", "_", "10%", "a_b", "x\ny", "\t", "it's", "AbC dEf-ghi_jkl", "aaa",
         "abcabc", "\\", "a\\b", "é", "ŒUVRE", "0", "ÅNGSTRÖM", ".", "a.b.c"]
NUMBERS = ["0", "1", "-1", "42", " 42 ", "+7", "-0", "007", "1.5", "-1.5", ".5", "5.", "1e3", "1E-3", "-1.25e+2", "9223372036854775807", "9223372036854775808",
           "2147483648", "-2147483648", "128", "-129", "32768", "0.1", "NaN", "Infinity", "-Infinity", "inf", "0x10", "1_000", "1,000", "abc", "", " ", "1d", "1.0f",
           "99999999.995", "12345678901234567890.123", "1e400", "1e-400", "true", "TRUE", "False", "t", "f", "yes", "no", "T", "y", "n", "١٢"]
TIMES = ["2024-02-29", "2023-02-29", "2024-1-5", "2024-01-05 10:20:30", "2024-01-05 10:20:30.123", "2024-01-05 10:20:30.123456789", "2024-01-05T10:20:30",
         "2024-01-05 10:20", "2024-01-05 10", "1969-12-31 23:59:59.999", "0001-01-01 00:00:00", "9999-12-31 23:59:59", "2024-03-31 02:30:00", "2024-10-27 02:30:00",
         "10:20:30", "10:20", "24:00:00", "23:59:59.999", "2024-13-01", "2024-12-32", "", " 2024-01-05 ", "2024-01-05Z", "2024-01-05 10:20:30Z", "2024-01-05 10:20:30+02:00",
         "abc", "20240105", "2024", "2024-06", "-0001-01-01", "12024-01-01", "1970-01-01 00:00:00", "05.01.2024 10:20", "2024-01-05 25:00:00", "2024-01-05 10:60:00"]
REGEXES = ["a", "[a-z]+", "(a)(b)?", "^h", "o$", ".", "x*", "\\d+", "(\\w+) (\\w+)", "[", "(", "a|b", "", "(?i)HELLO", "l{2}", "\\s", "[^a]", "日"]
JSONS = ['{"a": 1}', '{"a": {"b": [1, 2, "x"]}, "c": null}', '[1, 2, 3]', '"t"', "1", "1.50", "true", "null", "", "{", '{"a": "x y"}', '{"a": [ ]}', "{'a': 1}", '[{"a": 1}, {"a": 2}]',
         '{"a": 1, "a": 2}', '{"a": 1e5}', '{"a": 12345678901234567890}', '{"a": "\\u00e9\\n"}', '{"b": 1, "a": 2}', " [1] ", "[1,]", "01"]
PATHS = ["$", "$.a", "lax $.a", "strict $.a", "$.a.b", "$.a.b[0]", "lax $.a.b[2]", "$[0]", "$[*]", "lax $[*].a", "$.x", "lax $.x", "$.a[*]", "$..a"]
URLS = ["http://user:pw@host.com:8080/p/a.html?k=v&q=1#ref", "http://a.org", "https://a.org/?k=", "ftp://x/y", "nothing", "", "http://a b/", "http://a.org/x?a=1&a=2", "mailto:a@b"]
CODES = ["", "YWJj", "YQ==", "YQ", "4pyT", "616263", "E9", "e9f", "zz", "a+b%2Fc", "%zz", "%", "a%20b", "*", "YW Jj"]
TEXTS = WORDS + NUMBERS + TIMES

VALUES = {
    "INT": [0, 1, -1, 2, 3, 7, 10, -7, 42, 100, 255, 2147483647, -2147483648, 1000000, None, None],
    "BIGINT": [0, 1, -1, 5, 12, 1000, -1000, 9223372036854775807, -9223372036854775808, 4294967296, 1704449430123, 1704449430, None, None],
    "TINYINT": [0, 1, -1, 127, -128, 10, None], "SMALLINT": [0, 1, -1, 32767, -32768, 300, None],
    "FLOAT": [0.0, 1.5, -1.5, 0.1, 3.4028234663852886e38, 1.401298464324817e-45, 16777217.0, -2.5, 2.5, 1e10, 123456.789, None],
    "DOUBLE": [0.0, -0.0, 1.0, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0.1, 1e7, 1e-3, 9999999.0, 12345678.9, 0.001, 1e21, 1e-5, 1.7976931348623157e308, 5e-324, 3.141592653589793, 1e15,
               9007199254740993.0, 9.223372036854776e18, -9.3e18, 2147483647.5, 99.995, None, None],
    "DECIMAL(10, 2)": ["0.00", "1.00", "-1.00", "0.01", "-0.01", "99999999.99", "-99999999.99", "12.34", "0.50", "2.50", "-2.50", "1.05", "100.00", None],
    "DECIMAL(38, 10)": ["0.0000000000", "1.0000000000", "9999999999999999999999999999.9999999999", "-9999999999999999999999999999.9999999999", "0.0000000001", "123.4567890123", "-0.5000000000", "2147483648.0000000000", None],
    "DECIMAL(5, 0)": ["0", "1", "-1", "99999", "7", "-12", None],
    "STRING": TEXTS + [None] * 4, "BOOLEAN": [True, False, None],
    "TIMESTAMP(3)": ["1970-01-01 00:00:00.000", "2024-02-29 12:34:56.789", "2024-03-31 02:30:00.000", "2024-10-27 02:30:00.000", "2023-12-31 23:59:59.999",
                     "2000-01-01 00:00:00.000", "1900-01-01 00:00:00.000", "9999-12-31 23:59:59.999", "2024-01-31 00:00:00.001", "1582-10-15 00:00:00.000", "2021-01-03 10:00:00.000", None],
    "TIMESTAMP_LTZ(3)": [0, 1709210096789, 1711846800000, 1711846799999, 1729990800000, 1704067199999, 253402300799999, 1000, None],
    "DATE": ["1970-01-01", "2024-02-29", "2023-12-31", "1969-12-31", "2000-01-01", "1900-03-01", "9999-12-31", "2024-01-31", "2021-01-03", None],
    "TIME": ["00:00:00", "12:34:56", "23:59:59", "01:00:00", None],
    "ARRAY<INT>": [[1, 2, 3], [], [1], [None], [3, 1, None, 2, 1], None, [2147483647, -1]],
    "ARRAY<STRING>": [["a", "b"], [], ["a", None, "b", "a"], [""], None, ["b", "B", "é"]],
    "ARRAY<DOUBLE>": [[1.5, -0.5], [], [0.1, None], None, [1e300, 2.0]],
}

COLUMN_OF = {}
for _name, _type in COLUMNS.items():
    COLUMN_OF.setdefault(_type, []).append(_name)


def quote(text):
    return "'" + text.replace("'", "''") + "'"


def pick(kind):
    return lambda rng: rng.choice(COLUMN_OF[kind])


def literal_text(pool):
    return lambda rng: quote(rng.choice(pool))


HOLES = {
    "int": lambda rng: rng.choice(["i", "j", "i", "j", "0", "1", "2", "3", "-1", "5", "10", "t", "m"]),
    "I": lambda rng: rng.choice(["i", "j"]), "B": lambda rng: rng.choice(["b", "n"]),
    "small": lambda rng: rng.choice(["0", "1", "2", "3", "-1", "-2", "5", "i"]),
    "num": lambda rng: rng.choice(["i", "j", "b", "t", "m", "f", "d", "e", "c", "p", "q", "1", "2.5", "-0.75", "1e0", "3", "7", "10"]),
    "numcol": lambda rng: rng.choice(["i", "b", "t", "m", "f", "d", "c", "p", "q"]),
    "exact": lambda rng: rng.choice(["i", "b", "t", "m", "c", "p", "q", "1", "2.50", "-0.75", "3"]),
    "dec": lambda rng: rng.choice(["c", "p", "q", "2.5", "1.005", "-0.75", "CAST(i AS DECIMAL(12, 3))", "CAST(d AS DECIMAL(20, 5))", "CAST(c AS DECIMAL(4, 1))"]),
    "dbl": lambda rng: rng.choice(["d", "e", "f", "CAST('NaN' AS DOUBLE)", "1e0", "-2.5e0", "CAST(i AS DOUBLE)", "CAST('Infinity' AS DOUBLE)"]),
    "str": lambda rng: rng.choice(["s", "x", "y", "z", "s", "x", literal_text(WORDS)(rng), "CAST(i AS STRING)", "UPPER(s)"]),
    "S": lambda rng: rng.choice(["s", "x", "y", "z"]), "ch": literal_text([w for w in WORDS if len(w) < 3]),
    "word": literal_text(WORDS), "numstr": literal_text(NUMBERS), "timestr": literal_text(TIMES), "regex": literal_text(REGEXES), "json": literal_text(JSONS), "path": literal_text(PATHS),
    "url": literal_text(URLS), "code": literal_text(CODES),
    "like": literal_text(["%", "_", "a%", "%b", "%l%", "__", "a_c", "", "%%", "10!%", "a\\_b", "\\%", "%日%", "H_llo", "%.%", "(%", "[a]%", "a\\\\b"]),
    "bool": lambda rng: rng.choice(["o", "w", "TRUE", "FALSE", "CAST(NULL AS BOOLEAN)", "i > 1", "s = 'a'", "d < e"]),
    "ts": lambda rng: rng.choice(["ts", "us"]), "ltz": lambda rng: rng.choice(["ls", "ms"]), "stamp": lambda rng: rng.choice(["ts", "us", "ls", "ms"]),
    "date": lambda rng: rng.choice(["da", "db"]), "time": lambda rng: "ti", "datetime": lambda rng: rng.choice(["ts", "us", "ls", "da", "db"]),
    "temporal": lambda rng: rng.choice(["ts", "us", "ls", "da", "ti"]),
    "unit": lambda rng: rng.choice(["YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND"]),
    "xunit": lambda rng: rng.choice(["YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND", "DOW", "DOY", "EPOCH", "ISODOW", "ISOYEAR", "DECADE", "CENTURY", "MILLENNIUM", "MILLISECOND"]),
    "interval": lambda rng: rng.choice(["INTERVAL '1' DAY", "INTERVAL '90' MINUTE", "INTERVAL '-1' SECOND", "INTERVAL '1.5' SECOND", "INTERVAL '1 02:30' DAY TO MINUTE", "INTERVAL '0' HOUR"]),
    "months": lambda rng: rng.choice(["INTERVAL '1' MONTH", "INTERVAL '1' YEAR", "INTERVAL '-1' MONTH", "INTERVAL '1-2' YEAR TO MONTH", "INTERVAL '13' MONTH"]),
    "fmt": literal_text(["yyyy-MM-dd HH:mm:ss", "yyyy-MM-dd", "HH:mm:ss.SSS", "yy/M/d", "EEE MMM", "EEEE, dd MMMM yyyy", "D", "a hh:mm", "yyyyMMddHHmmss", "'T'HH", "w", "e", "Q", "H:m:s",
                         "uuuu", "kk", "KK", "n", "S", "SS", "SSSSSS", "z", "G", "dd.MM.yyyy HH:mm"]),
    "zone": literal_text(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "GMT+08:00"]),
    "arr": lambda rng: rng.choice(["a", "a", "ARRAY[1, 2, i]", "ARRAY[i, j]"]), "sarr": lambda rng: rng.choice(["g", "ARRAY[s, x]", "ARRAY['a', 'b']"]),
    "map": lambda rng: rng.choice(["MAP['a', 1, 'b', 2]", "MAP[s, i]", "MAP['k', i, 'l', j]"]),
    "any": lambda rng: rng.choice(list(COLUMNS)[:-3]), "type": lambda rng: rng.choice(["INT", "BIGINT", "TINYINT", "SMALLINT", "FLOAT", "DOUBLE", "DECIMAL(10, 2)", "DECIMAL(5, 0)", "DECIMAL(38, 18)", "STRING", "BOOLEAN",
                                                                                  "DATE", "TIME", "TIMESTAMP(3)", "TIMESTAMP_LTZ(3)", "DECIMAL(3, 1)", "VARCHAR(3)", "CHAR(4)", "BYTES"]),
    "numtype": lambda rng: rng.choice(["INT", "BIGINT", "TINYINT", "SMALLINT", "FLOAT", "DOUBLE", "DECIMAL(10, 2)", "DECIMAL(5, 0)", "DECIMAL(38, 18)", "DECIMAL(3, 1)"]),
    "cmp": lambda rng: rng.choice(["=", "<>", "<", "<=", ">", ">="]), "op": lambda rng: rng.choice("+-*"), "alg": lambda rng: rng.choice("+-*/%"),
    "cs": literal_text(["UTF-8", "UTF-16", "US-ASCII", "ISO-8859-1", "UTF-16LE", "UTF-16BE", "nope"]),
}

TEMPLATES = """
{num} {alg} {num} ;; {exact} {alg} {exact} ;; {numcol} {alg} {numcol} ;; {dec} {alg} {dec} ;; {dec} * {dec} + {dec} ;; {dec} / {dec} / {dec}
-{numcol} ;; MOD({exact}, {exact}) ;; {dbl} {alg} {dbl} ;; {I} + {I} * {B} ;; ({num} {alg} {num}) {alg} {num}
{num} {cmp} {num} ;; {S} {cmp} {str} ;; {stamp} {cmp} {stamp} ;; {date} {cmp} {date} ;; {ts} {cmp} {timestr} ;; {date} {cmp} '2024-01-01'
{bool} {cmp} {bool} ;; {numcol} {cmp} {numstr} ;; {num} BETWEEN {num} AND {num} ;; {num} NOT BETWEEN SYMMETRIC {num} AND {num}
{num} IN ({num}, {num}, 1) ;; {S} IN ({word}, {word}, 'a') ;; {num} NOT IN ({num}, 2) ;; {num} IS DISTINCT FROM {num}
{S} IS NOT DISTINCT FROM {S} ;; GREATEST({numcol}, {numcol}) ;; LEAST({num}, {num}, {num}) ;; GREATEST({S}, {S}) ;; LEAST({ts}, {ts})
GREATEST({date}, {date})
{bool} AND {bool} ;; {bool} OR {bool} ;; NOT {bool} ;; {bool} IS TRUE ;; {bool} IS NOT FALSE ;; {bool} IS UNKNOWN ;; {any} IS NULL
({bool} AND {bool}) OR NOT {bool}
COALESCE({numcol}, {numcol}) ;; COALESCE({num}, {num}, {num}) ;; COALESCE({S}, {word}) ;; IFNULL({numcol}, {num}) ;; IF({bool}, {num}, {num})
NULLIF({numcol}, {num}) ;; NULLIF({S}, {word}) ;; CASE WHEN {bool} THEN {num} ELSE {num} END
CASE WHEN {bool} THEN {num} WHEN {bool} THEN {num} END ;; CASE {I} WHEN 1 THEN {word} WHEN 2 THEN {S} ELSE 'z' END
CASE WHEN {bool} THEN {stamp} ELSE {stamp} END ;; COALESCE({date}, {date}) ;; CASE WHEN {bool} THEN {numcol} ELSE NULL END
ABS({num}) ;; SIGN({num}) ;; FLOOR({num}) ;; CEIL({num}) ;; ROUND({num}) ;; ROUND({num}, {small}) ;; ROUND({dec}, {small})
ROUND({dbl}, {small}) ;; TRUNCATE({num}, {small}) ;; TRUNCATE({num}) ;; TRUNCATE({dec}, {small}) ;; POWER({num}, {num}) ;; SQRT({num})
EXP({num}) ;; LN({num}) ;; LOG({num}) ;; LOG({num}, {num}) ;; LOG10({num}) ;; LOG2({num})
SIN({num}) ;; COS({num}) ;; TAN({num}) ;; COT({num}) ;; ASIN({num}) ;; ACOS({num}) ;; ATAN({num}) ;; ATAN2({num}, {num}) ;; SINH({num})
COSH({num}) ;; TANH({num}) ;; DEGREES({num}) ;; RADIANS({num}) ;; PI() ;; E() ;; FLOOR({dec}) ;; CEIL({dec}) ;; FLOOR({dbl}) ;; ABS({dec})
SIGN({dec})
UPPER({str}) ;; LOWER({str}) ;; INITCAP({str}) ;; SUBSTRING({str}, {small}) ;; SUBSTRING({str}, {small}, {small})
SUBSTRING({str} FROM {int} FOR {int}) ;; SUBSTR({str}, {int}) ;; LEFT({str}, {int}) ;; RIGHT({str}, {int}) ;; TRIM({str})
TRIM(LEADING {ch} FROM {str}) ;; TRIM(TRAILING {ch} FROM {str}) ;; TRIM(BOTH {S} FROM {str}) ;; BTRIM({str}) ;; BTRIM({str}, {word})
LTRIM({str}) ;; LTRIM({str}, {word}) ;; RTRIM({str}) ;; RTRIM({str}, {word})
{str} || {str} ;; CONCAT({str}, {str}, {str}) ;; CONCAT_WS({str}, {str}, {str}) ;; CONCAT_WS(',', {S}, {S}, {S}) ;; REPEAT({str}, {small})
REVERSE({str}) ;; LPAD({str}, {small}, {str}) ;; RPAD({str}, {int}, {ch}) ;; LPAD({str}, 7, {str}) ;; REPLACE({str}, {str}, {str})
OVERLAY({str} PLACING {str} FROM {small}) ;; OVERLAY({str} PLACING {str} FROM {small} FOR {small}) ;; CHR({int}) ;; CHR({B}) ;; ASCII({str})
CHAR_LENGTH({str}) ;; POSITION({str} IN {str}) ;; LOCATE({str}, {str}) ;; LOCATE({str}, {str}, {small}) ;; INSTR({str}, {str})
STARTSWITH({str}, {str}) ;; ENDSWITH({str}, {str}) ;; SPLIT_INDEX({str}, {ch}, {small}) ;; SPLIT_INDEX({str}, ',', {small}) ;; {str} LIKE {like}
{str} NOT LIKE {like} ;; {str} LIKE {like} ESCAPE '!' ;; {str} LIKE {S} ;; {str} SIMILAR TO {like} ;; {str} SIMILAR TO '(a|b)+c*'
REGEXP({str}, {regex}) ;; REGEXP({str}, {S}) ;; REGEXP_COUNT({str}, {regex}) ;; REGEXP_EXTRACT({str}, {regex}, {small})
REGEXP_EXTRACT({str}, {regex}) ;; REGEXP_EXTRACT_ALL({str}, {regex}, {small}) ;; REGEXP_INSTR({str}, {regex})
REGEXP_REPLACE({str}, {regex}, {word}) ;; REGEXP_SUBSTR({str}, {regex})
TRANSLATE({str}, {word}, {word}) ;; TRANSLATE({str}, {S}, {S}) ;; ELT({small}, {str}, {str}, {str}) ;; IS_ALPHA({str}) ;; IS_DIGIT({str})
IS_DECIMAL({str}) ;; PRINTF('%s %d', {str}, {I}) ;; PRINTF('%5.2f|%x|%-6s|', {dbl}, {I}, {S})
MD5({str}) ;; SHA1({str}) ;; SHA224({str}) ;; SHA256({str}) ;; SHA384({str}) ;; SHA512({str}) ;; SHA2({str}, 256) ;; SHA2({str}, {small})
HEX({I}) ;; HEX({B}) ;; HEX({str}) ;; UNHEX({str}) ;; UNHEX({code}) ;; BIN({I}) ;; BIN({B}) ;; TO_BASE64({str}) ;; FROM_BASE64({code})
ENCODE({str}, {cs}) ;; DECODE(ENCODE({str}, {cs}), {cs}) ;; PARSE_URL({url}, 'HOST') ;; PARSE_URL({url}, 'QUERY', 'k')
PARSE_URL({url}, 'PATH') ;; PARSE_URL({url}, 'AUTHORITY') ;; PARSE_URL({url}, 'FILE') ;; PARSE_URL({url}, 'REF') ;; PARSE_URL({url}, 'USERINFO')
PARSE_URL({url}, 'PROTOCOL') ;; URL_ENCODE({str}) ;; URL_DECODE({code}) ;; URL_DECODE({str})
EXTRACT({xunit} FROM {temporal}) ;; EXTRACT({xunit} FROM {stamp}) ;; EXTRACT({unit} FROM {interval}) ;; YEAR({datetime}) ;; QUARTER({datetime})
MONTH({datetime}) ;; WEEK({datetime}) ;; DAYOFYEAR({datetime}) ;; DAYOFMONTH({datetime}) ;; DAYOFWEEK({datetime}) ;; HOUR({stamp})
MINUTE({stamp}) ;; SECOND({stamp}) ;; HOUR({time}) ;; FLOOR({datetime} TO {unit}) ;; CEIL({datetime} TO {unit}) ;; FLOOR({ts} TO {unit})
CEIL({ltz} TO {unit}) ;; FLOOR({time} TO {unit})
TIMESTAMPADD({unit}, {int}, {datetime}) ;; TIMESTAMPADD({unit}, {I}, {ts}) ;; TIMESTAMPDIFF({unit}, {datetime}, {datetime})
TIMESTAMPDIFF({unit}, {ts}, {ts}) ;; {datetime} + {interval} ;; {datetime} - {interval} ;; {datetime} + {months} ;; {datetime} - {months}
{time} + {interval} ;; {interval} + {interval} ;; {ts} - {ts} > {interval} ;; {I} * {interval} ;; ({ts}, {ts}) OVERLAPS ({ts}, {ts})
{date} + INTERVAL '1' DAY ;; {ltz} + {interval}
DATE_FORMAT({stamp}, {fmt}) ;; DATE_FORMAT({ts}, {fmt}) ;; DATE_FORMAT({timestr}, {fmt}) ;; TO_TIMESTAMP({timestr}) ;; TO_TIMESTAMP({str})
TO_TIMESTAMP({timestr}, {fmt}) ;; TO_DATE({timestr}) ;; TO_DATE({str}) ;; TO_DATE({timestr}, {fmt}) ;; TO_TIMESTAMP_LTZ({B}, 3)
TO_TIMESTAMP_LTZ({B}, 0) ;; TO_TIMESTAMP_LTZ({B}) ;; TO_TIMESTAMP_LTZ({timestr}) ;; TO_TIMESTAMP_LTZ({timestr}, {fmt})
TO_TIMESTAMP_LTZ({timestr}, 'yyyy-MM-dd HH:mm:ss', {zone}) ;; UNIX_TIMESTAMP({timestr}) ;; UNIX_TIMESTAMP({timestr}, {fmt})
FROM_UNIXTIME({I}) ;; FROM_UNIXTIME({B}, {fmt}) ;; FROM_UNIXTIME({I}, {fmt}) ;; CONVERT_TZ({timestr}, {zone}, {zone})
TO_TIMESTAMP(DATE_FORMAT({ts}, 'yyyy-MM-dd HH:mm:ss.SSS'), 'yyyy-MM-dd HH:mm:ss.SSS')
CARDINALITY({arr}) ;; CARDINALITY({map}) ;; {arr}[{small}] ;; {sarr}[1] ;; {map}['a'] ;; ELEMENT({arr}) ;; ARRAY_CONTAINS({arr}, {I})
ARRAY_CONTAINS({sarr}, {S}) ;; ARRAY_APPEND({arr}, {I}) ;; ARRAY_PREPEND({arr}, {I}) ;; ARRAY_CONCAT({arr}, {arr}) ;; ARRAY_DISTINCT({arr})
ARRAY_UNION({arr}, {arr}) ;; ARRAY_EXCEPT({arr}, {arr}) ;; ARRAY_INTERSECT({arr}, {arr}) ;; ARRAY_POSITION({arr}, {I})
ARRAY_REMOVE({arr}, {I}) ;; ARRAY_REVERSE({arr}) ;; ARRAY_SLICE({arr}, {small}, {small}) ;; ARRAY_SLICE({arr}, {small}) ;; ARRAY_SORT({arr})
ARRAY_SORT({arr}, FALSE) ;; ARRAY_SORT({arr}, {bool}, {bool}) ;; ARRAY_SORT(g) ;; ARRAY_SORT(h, FALSE) ;; ARRAY_MAX({arr}) ;; ARRAY_MIN({arr})
ARRAY_MAX(g) ;; ARRAY_MIN(h) ;; ARRAY_JOIN({sarr}, {word}) ;; ARRAY_JOIN({sarr}, ',', {word}) ;; ARRAY[{num}, {num}] ;; ARRAY_DISTINCT(g)
ARRAY_UNION(g, {sarr})
MAP_KEYS({map}) ;; MAP_VALUES({map}) ;; MAP_FROM_ARRAYS({sarr}, {sarr}) ;; MAP_UNION({map}, {map}) ;; SPLIT({str}, {ch}) ;; SPLIT({str}, ',')
STR_TO_MAP({word}) ;; STR_TO_MAP('a=1,b=2,c') ;; STR_TO_MAP({str}, ',', ':') ;; MAP_KEYS(MAP[i, s])
JSON_VALUE({json}, {path}) ;; JSON_VALUE({json}, {path} RETURNING INT) ;; JSON_VALUE({json}, {path} RETURNING DOUBLE)
JSON_VALUE({json}, {path} RETURNING BOOLEAN) ;; JSON_VALUE({json}, {path} DEFAULT 'd' ON EMPTY)
JSON_VALUE({json}, {path} DEFAULT 'd' ON ERROR) ;; JSON_VALUE({json}, {path} NULL ON EMPTY ERROR ON ERROR) ;; JSON_QUERY({json}, {path})
JSON_QUERY({json}, {path} WITH WRAPPER) ;; JSON_QUERY({json}, {path} WITH CONDITIONAL WRAPPER)
JSON_QUERY({json}, {path} EMPTY ARRAY ON EMPTY EMPTY OBJECT ON ERROR) ;; JSON_QUERY({json}, {path} RETURNING ARRAY<STRING>)
JSON_EXISTS({json}, {path}) ;; JSON_EXISTS({json}, {path} TRUE ON ERROR) ;; {json} IS JSON ;; {str} IS JSON ;; {json} IS JSON OBJECT
{json} IS JSON ARRAY ;; {json} IS JSON SCALAR ;; {json} IS NOT JSON
JSON_OBJECT('a' VALUE {num}, 'b' VALUE {str}) ;; JSON_OBJECT('z' VALUE {any}, 'b' VALUE {any}) ;; JSON_OBJECT('a' VALUE {any} ABSENT ON NULL)
JSON_ARRAY({any}, {any}) ;; JSON_ARRAY({num}, {str} NULL ON NULL) ;; JSON_STRING({any}) ;; JSON_STRING({arr}) ;; JSON_QUOTE({str})
JSON_UNQUOTE({str}) ;; JSON_UNQUOTE(JSON_QUOTE({str})) ;; JSON_OBJECT('a' VALUE {json}) ;; JSON_ARRAY(JSON_OBJECT('a' VALUE {num}), {bool})
JSON_STRING({map})
CAST({any} AS {type}) ;; CAST({any} AS STRING) ;; CAST({numcol} AS {numtype}) ;; CAST({numcol} AS {type}) ;; TRY_CAST({S} AS {type})
TRY_CAST({numstr} AS {numtype}) ;; TRY_CAST({numstr} AS {type}) ;; TRY_CAST({timestr} AS DATE) ;; TRY_CAST({timestr} AS TIME)
TRY_CAST({timestr} AS TIMESTAMP(3)) ;; TRY_CAST({timestr} AS TIMESTAMP_LTZ(3)) ;; CAST({dbl} AS STRING) ;; CAST({dec} AS STRING)
CAST({dbl} AS {numtype}) ;; CAST({dec} AS {numtype}) ;; CAST({stamp} AS {type}) ;; CAST({date} AS {type}) ;; CAST({time} AS {type})
CAST({bool} AS {type}) ;; CAST({arr} AS STRING) ;; CAST({map} AS STRING) ;; CAST(CAST({numstr} AS DOUBLE) AS STRING)
CAST(CAST({S} AS BYTES) AS STRING) ;; TRY_CAST({S} AS DOUBLE) ;; CAST({sarr} AS STRING) ;; CAST(ROW({I}, {S}) AS STRING)
CAST({interval} AS STRING) ;; CAST({months} AS STRING) ;; CAST({arr} AS ARRAY<STRING>) ;; CAST(h AS ARRAY<INT>) ;; CAST({f32} AS STRING)
"""
HOLES["f32"] = lambda rng: rng.choice(["f", "CAST(d AS FLOAT)", "CAST(i AS FLOAT)", "f * 3", "f / 7"])
TEMPLATE_LIST = [each for line in TEMPLATES.strip().split("\n") for each in line.split(" ;; ")]


def expression(rng, template=None):
    text = template or rng.choice(TEMPLATE_LIST)
    return re.sub(r"\{(\w+)\}", lambda hole: HOLES[hole.group(1)](rng), text)


def rows(rng, count):
    made = [{"id": 0}]
    for number in range(1, count):
        made.append({"id": number, **{name: rng.choice(VALUES[kind]) for name, kind in COLUMNS.items()}})
    return made
