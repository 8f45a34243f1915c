"""Flink against leat on expressions over rows, value by value and type by type."""

import collections
import decimal
import json
import math
import random
import struct

import functions

GROUP = 8
ROWS_IN_QUERY = 24


class Leat:
    """Results of expressions by conformance_runner."""

    def __init__(self, generate, zone):
        self.generate, self.zone, self.player = generate, zone, generate.Player()

    def ask(self, items, rows):
        """(rows by id, None), or (None, why leat refuses the query). items: (name, expression)."""
        select = ", ".join(["id", *(f"{text} AS {name}" for name, text in items)])
        fields = {"id": "int", **{name: leat_type(kind) for name, kind in functions.COLUMNS.items()}}
        gateway = {"agent": {"name": "judge", "workers": 1, "time_zone": self.zone},
                   "sources": {"T": {"driver": "script", "format": "json", "fields": fields}},
                   "rules": {"r": {"sql": f"SELECT {select} FROM T", "to": "main", "unbounded": True}},
                   "sinks": {"main": {"driver": "collect", "format": "json"}}}
        script = "".join(f"R T {json.dumps(row)}\n" for row in rows) + "F\n"
        self.player.give(json.dumps(gateway), script, 1)
        code, results, errors = self.player.take()
        if code:
            return None, errors.strip()
        lines = (json.loads(line, parse_float=decimal.Decimal) for line in results.splitlines())
        return {line["row"]["id"]: line["row"] for line in lines if "row" in line}, None

    def types(self, items, rows):
        answer, _ = self.ask([(name, f"TYPEOF({text})") for name, text in items], rows)
        found = {}
        for row in (answer or {}).values():
            for name, _ in items:
                if row.get(name) is not None:
                    found.setdefault(name, row[name])
        return found


def leat_type(kind):
    if kind.startswith("ARRAY<"):
        return f"array<{leat_type(kind[6:-1])}>"
    return functions.LEAT_TYPES.get(kind) or kind.lower().replace(" ", "")


class FlinkExpressions:
    def __init__(self, flink, zone):
        self.flink, self.zone = flink, zone

    def ask(self, items, rows):
        """(rows by id, types, None) or (None, None, why Flink refuses)."""
        select = ", ".join(["id", *(f"{text} AS {name}" for name, text in items)])
        program = {"kind": "sql", "time_zone": self.zone, "streams": {"T": {"columns": {"id": "INT", **functions.COLUMNS}}},
                   "query": f"SELECT {select} FROM T", "outputs": {"main": {}}}
        answer = self.flink.ask("expressions", program, rows, on_error="drop")
        if "error" in answer:
            return None, None, f"{answer['stage']}: {answer['error']}"
        return {row["id"]: row for row in answer["results"] if "id" in row}, answer["types"], None


# ---- one form for values and types

def type_form(text):
    """Flink's type in leat's words."""
    text = text.replace(" NOT NULL", "").replace("VARCHAR(2147483647)", "STRING")
    for name, word in (("VARCHAR(", "STRING"), ("CHAR(", "STRING"), ("VARBINARY(", "BYTES"), ("BINARY(", "BYTES")):
        while name in text:
            at = text.index(name)
            text = text[:at] + word + text[text.index(")", at) + 1:]
    for name in ("TIMESTAMP_LTZ(", "TIMESTAMP(", "TIME("):
        at = 0
        while (at := text.find(name, at)) >= 0:
            text = text[:at] + name[:-1] + ("" if name == "TIME(" else "(3)") + text[text.index(")", at) + 1:]
            at += len(name) + 2
    if text.startswith("INTERVAL"):
        return "INTERVAL MONTH" if "YEAR" in text or "MONTH" in text else "INTERVAL"
    return text


def leat_type_form(text):
    if text.startswith("INTERVAL"):
        return "INTERVAL MONTH" if "YEAR" in text or "MONTH" in text else "INTERVAL"
    return text


def inner(kind):
    return kind[kind.index("<") + 1:-1]


def split_types(text):
    parts, depth, at = [], 0, 0
    for i, ch in enumerate(text):
        depth += ch in "<(" and 1 or ch in ">)" and -1 or 0
        if ch == "," and depth == 0:
            parts.append(text[at:i].strip())
            at = i + 1
    return parts + [text[at:].strip()]


def form(value, kind):
    if value is None:
        return None
    if kind.startswith("ARRAY<"):
        return [form(item, inner(kind)) for item in value]
    if kind.startswith("MAP<"):
        keys, values = split_types(inner(kind))
        return {str(form(key, keys)) if not isinstance(key, str) else key: form(item, values) for key, item in value.items()}
    if kind.startswith("ROW<"):
        return [str(item) if item is not None else None for item in (value.values() if isinstance(value, dict) else value)]
    if kind in ("DOUBLE", "FLOAT"):
        number = float(value)
        if math.isnan(number) or math.isinf(number):
            return None
        return struct.unpack("f", struct.pack("f", number))[0] if kind == "FLOAT" else number
    if kind.startswith("DECIMAL"):
        return str(decimal.Decimal(str(value)))
    if kind.startswith("TIMESTAMP_LTZ"):
        if isinstance(value, str):
            return value.rstrip("Z").replace("T", " ")
        return print_ms(value)
    if isinstance(value, str) and kind in ("DATE", "TIMESTAMP(3)"):
        return value.lstrip("+")
    if kind == "TIME" and isinstance(value, str):
        return (value + ":00" if len(value) == 5 else value).split(".")[0] if value.endswith(".000") or "." not in value else value[:12]
    return value


def print_ms(ms):
    days, rest = divmod(ms, 86_400_000)
    year, month, day = civil(days)
    return f"{year:04d}-{month:02d}-{day:02d} {rest // 3_600_000:02d}:{rest // 60_000 % 60:02d}:{rest // 1000 % 60:02d}.{rest % 1000:03d}"


def civil(days):
    """Year, month and day of a day since 1970, of years that datetime does not have as well."""
    days += 719_468
    era, doe = divmod(days, 146_097)
    yoe = (doe - doe // 1460 + doe // 36_524 - doe // 146_096) // 365
    doy = doe - (365 * yoe + yoe // 4 - yoe // 100)
    mp = (5 * doy + 2) // 153
    month = mp + 3 if mp < 10 else mp - 9
    return yoe + era * 400 + (month <= 2), month, doy - (153 * mp + 2) // 5 + 1


def same(a, b):
    if isinstance(a, float) and isinstance(b, float):
        return a == b or math.isclose(a, b, rel_tol=4e-16, abs_tol=0)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b))
    return a == b


# ---- comparing

class Judge:
    def __init__(self, generate, flink, zone, options):
        self.leat, self.flink, self.options = Leat(generate, zone), FlinkExpressions(flink, zone), options
        self.counts, self.shown = collections.Counter(), collections.Counter()

    def group(self, items, rows):
        """Compares several expressions in one query; those that stand in each other's way go one by one."""
        theirs, types, refused = self.flink.ask(items, rows)
        ours, refusal = self.leat.ask(items, rows)
        alone = refused or refusal or len(theirs) < len(rows) or len(ours) < len(rows)
        if alone and len(items) > 1:
            for item in items:
                self.group([item], rows)
            return
        if refused or refusal:
            self.refused(items[0][1], refused, refusal)
            return
        mine = self.leat.types(items, rows)
        for name, text in items:
            self.compare(name, text, types[name], mine.get(name), theirs, ours, rows)

    def refused(self, text, theirs, ours):
        if theirs and ours:
            self.counts["refused by both"] += 1
            return
        what = "Flink refuses" if theirs else "leat refuses"
        reason = (theirs or ours)
        self.tell(what, text, reason.split(" <- ")[-1][:300] if theirs else reason.split("\n")[0][:300])

    def compare(self, name, text, kind, mine, theirs, ours, rows):
        kind = type_form(kind)
        if mine and leat_type_form(mine) != kind:
            self.tell("type", text, f"Flink {kind}, leat {mine}")
            return
        for row in rows:
            a = form_or(theirs.get(row["id"], {name: "REJECTED"}).get(name), kind)
            b = form_or(ours.get(row["id"], {name: "REJECTED"}).get(name), kind)
            if not same(a, b):
                used = {each: row.get(each) for each in functions.COLUMNS if each in words_of(text)}
                self.tell("value", text, f"of {json.dumps(used, ensure_ascii=False)}: Flink {a!r}, leat {b!r} ({kind})")
                return
        self.counts["passed"] += 1

    def tell(self, what, text, reason):
        self.counts[what] += 1
        print(f"{what}: {text}\n    {reason}", flush=True)


def form_or(value, kind):
    if value == "REJECTED":
        return value
    try:
        return form(value, kind)
    except (ValueError, TypeError, decimal.InvalidOperation, AttributeError, OverflowError):
        return value


def words_of(text):
    import re
    return set(re.findall(r"\b[a-z]+\b", re.sub(r"'[^']*'", "", text)))


def play(generate, flink, options):
    rng = random.Random(options.seed)
    judge = Judge(generate, flink, options.zone, options)
    templates = [each for each in functions.TEMPLATE_LIST if not options.only or options.only in each]
    texts = []
    for _ in range(options.rounds):
        texts += [functions.expression(rng, template) for template in templates]
    texts = list(dict.fromkeys(texts))
    for at in range(0, len(texts), GROUP):
        rows = functions.rows(rng, ROWS_IN_QUERY)
        judge.group([(f"e{i}", text) for i, text in enumerate(texts[at:at + GROUP])], rows)
    judge.leat.player.close()
    return judge.counts
