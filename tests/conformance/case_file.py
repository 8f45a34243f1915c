"""A conformance case as it is on disk: case.yaml, input.jsonl, expected.jsonl, read strictly.

What the format does not have is an error with file, line and the nearest name, so that nothing of a case is silently left out of what runs. Only keys
beside the program, which tell where a case comes from, may be any.
"""

import difflib
import json

import yaml

WATERMARKS = {"bounded_out_of_orderness", "ascending", "expression", "explicit", "none"}
CHANGELOGS = {"insert_only", "upsert", "retract"}
CONTIGUITIES = {"begin", "next", "followed_by", "followed_by_any", "not_next", "not_followed_by"}
INNERS = {"relaxed", "consecutive", "combinations"}
SKIPS = {"no_skip", "skip_to_next", "skip_past_last_event", "skip_to_first", "skip_to_last"}
ORDERS = {"ordered", "unordered", "unordered_between_markers", "materialized"}
TIMES = {"event_time", "processing_time"}
OPS = {"+I", "-U", "+U", "-D"}
MARKERS = {"__watermark__", "__status__", "__proctime__", "__emit__", "__savepoint__", "__end__"}
SCALARS = {"BOOLEAN", "TINYINT", "SMALLINT", "INT", "BIGINT", "FLOAT", "DOUBLE", "STRING", "TIMESTAMP(3)", "TIMESTAMP_LTZ(3)", "DATE", "TIME"}


class Malformed(Exception):
    """What is wrong, and where."""


# ---- what a mapping may hold: a name with ! must be there; a value is a type, a set of words, a list [of what], a mapping, or a function

TEXT, NUMBER, BOOL, ANY, NONE = str, int, bool, object, type(None)


def map_of(what):
    """A mapping of any names."""
    return ("map", what)


WATERMARK = {"strategy!": WATERMARKS, "delay_ms": NUMBER, "sql_semantics": BOOL, "expression": TEXT}
STREAM = {"columns!": map_of("type"), "event_time": TEXT, "processing_time": TEXT, "watermark": WATERMARK, "primary_key": [TEXT],
          "changelog_mode": CHANGELOGS}
OUTPUT = {"columns!": map_of("type"), "select": map_of("expression"), "changelog_mode": CHANGELOGS, "primary_key": [TEXT], "watermarks": BOOL}
ASSIGNER = {"type!": TEXT, "size_ms": NUMBER, "offset_ms": NUMBER, "slide_ms": NUMBER, "gap_ms": NUMBER, "gap_expression_ms": "expression"}
TRIGGER = {"type!": TEXT, "purging": BOOL, "count": NUMBER, "interval_ms": NUMBER, "expression": TEXT, "threshold": "number"}
EVICTOR = {"type!": TEXT, "evict_after": BOOL, "max_count": NUMBER, "window_size_ms": NUMBER, "expression": TEXT, "threshold": "number"}
GROUP_WINDOW = {"type!": TEXT, "size_ms": NUMBER, "slide_ms": NUMBER, "max_size_ms": NUMBER, "step_ms": NUMBER, "size": NUMBER, "slide": NUMBER}
QUANTIFIER = {"from!": NUMBER, "to": "number_or_null", "within_ms": NUMBER}
STAGE = {"name!": TEXT, "contiguity!": CONTIGUITIES, "where": "expression", "quantifier": QUANTIFIER, "inner_contiguity": INNERS, "optional": BOOL,
         "greedy": BOOL, "until": "expression", "within_ms": NUMBER}
STAGE["group"] = [STAGE]
COMMON = {"kind!": TEXT, "streams!": map_of(STREAM), "outputs!": map_of(OUTPUT)}
PARAMETERS = {
    "rising": {"value!": TEXT, "duration_ms!": NUMBER, "time": TIMES},
    "small_then_large": {"small!": TEXT, "large!": TEXT, "emit!": [TEXT], "within_ms": NUMBER},
    "order_timeout": {"open!": TEXT, "close!": TEXT, "timeout_ms!": NUMBER},
    "long_ride": {"is_start!": TEXT, "limit_ms!": NUMBER},
    "rides_and_fares": {},
    "timer_at": {"timer_ms!": NUMBER, "on_timer!": ANY},
    "register_then_delete": {"register_after_ms!": NUMBER, "delete_after_ms!": NUMBER},
}
KINDS = {
    "sql": {**COMMON, "query!": TEXT, "settings": map_of(ANY), "time_zone": TEXT},
    "pattern": {**COMMON, "key_by": [TEXT], "within_ms": "number_or_null", "stages!": [STAGE], "time": TEXT,
                "after_match_skip": {"strategy!": SKIPS, "stage": TEXT, "on_miss": TEXT}},
    "window": {**COMMON, "key_by": [TEXT], "assigner!": ASSIGNER, "trigger": TRIGGER, "evictor": EVICTOR, "allowed_lateness_ms": NUMBER},
    "group_window": {**COMMON, "key_by": [TEXT], "window!": GROUP_WINDOW, "allowed_lateness_ms": NUMBER},
    "interval_join": {**COMMON, "key_by!": [TEXT], "left!": TEXT, "right!": TEXT, "lower_bound_ms!": NUMBER, "upper_bound_ms!": NUMBER,
                      "lower_bound_exclusive": BOOL, "upper_bound_exclusive": BOOL},
    "process": {**COMMON, "key_by!": [TEXT], "function!": set(PARAMETERS), "parameters": map_of(ANY)},
    "ptf": {**COMMON, "function!": TEXT, "query!": TEXT, "settings": map_of(ANY), "time_zone": TEXT},
    "valve": {"kind!": TEXT, "channels!": NUMBER, "outputs": map_of(OUTPUT), "streams": map_of(STREAM)},
    "assigner": {"kind!": TEXT, "function!": {"window_start", "intersects"}, "streams": map_of(STREAM), "outputs": map_of(OUTPUT)},
    "watermark_generator": {**COMMON, "mode!": {"periodic", "compare"}, "generators": map_of(WATERMARK), "assigner": ASSIGNER},
}
TOP = {"id!": TEXT, "program!": ANY, "order!": TEXT, "needs": [TEXT], "one_worker": BOOL}
UNITS = ("valve", "assigner", "watermark_generator")


# ---- case.yaml

class Reader:
    """Looks a tree of YAML through; lines of its nodes are known by their path."""

    def __init__(self, path):
        self.path, self.lines = path, {}
        try:
            text = path.read_text(encoding="utf-8")
            node = yaml.compose(text, Loader=yaml.SafeLoader)
            self.tree = yaml.safe_load(text)
        except OSError as error:
            raise Malformed(f"{path}: {error.strerror}") from None
        except UnicodeDecodeError as error:
            raise Malformed(f"{path}: no UTF-8 at byte {error.start}") from None
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            raise Malformed(f"{path}:{mark.line + 1 if mark else 1}: {getattr(error, 'problem', None) or error}") from None
        if not isinstance(self.tree, dict):
            raise Malformed(f"{path}:1: expected a mapping with id, program and order")
        self.walk(node, ())

    def walk(self, node, place):
        self.lines.setdefault(place, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            seen = set()
            for key, value in node.value:
                self.lines[place + (key.value,)] = key.start_mark.line + 1
                if key.value in seen:
                    self.fail(place + (key.value,), "stands there twice")
                seen.add(key.value)
                self.walk(value, place + (key.value,))
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                self.walk(value, place + (index,))

    def fail(self, place, text):
        line = next((self.lines[place[:size]] for size in range(len(place), -1, -1) if place[:size] in self.lines), 1)
        name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
        raise Malformed(f"{self.path}:{line}: {name or 'the file'}: {text}")

    def mapping(self, value, place, known, open_to_others=False):
        if not isinstance(value, dict):
            self.fail(place, f"expected a mapping, found {shown(value)}")
        names = {name.rstrip("!"): (what, name.endswith("!")) for name, what in known.items()}
        for name in value:
            if name in names:
                self.check(value[name], place + (name,), names[name][0])
            elif not open_to_others:
                self.fail(place + (name,), f"unknown key{nearest(name, names)}")
        for name, (_, needed) in names.items():
            if needed and name not in value:
                self.fail(place, f"'{name}' is missing")

    def check(self, value, place, what):
        if isinstance(what, dict):
            self.mapping(value, place, what)
        elif isinstance(what, tuple):
            if not isinstance(value, dict):
                self.fail(place, f"expected a mapping of names, found {shown(value)}")
            for name, held in value.items():
                self.check(held, place + (str(name),), what[1])
        elif isinstance(what, list):
            if not isinstance(value, list):
                self.fail(place, f"expected a list, found {shown(value)}")
            for index, held in enumerate(value):
                self.check(held, place + (index,), what[0])
        elif isinstance(what, set):
            if value not in what:
                self.fail(place, f"{shown(value)} is none of {', '.join(sorted(what))}{nearest(value, what)}")
        elif what == "type":
            if not is_type(value):
                self.fail(place, f"{shown(value)} is no type{nearest(value, SCALARS)}")
        elif not fits(value, what):
            self.fail(place, f"expected {WORDS[what]}, found {shown(value)}")


def is_number(value):
    return isinstance(value, int) and not isinstance(value, bool)


FITS = {TEXT: lambda value: isinstance(value, str), NUMBER: is_number, BOOL: lambda value: isinstance(value, bool), ANY: lambda value: True,
        "number": lambda value: is_number(value) or isinstance(value, float), "number_or_null": lambda value: value is None or is_number(value),
        "expression": lambda value: value is None or isinstance(value, (str, int, float))}
WORDS = {TEXT: "a text", NUMBER: "a whole number", BOOL: "true or false", "number": "a number", "number_or_null": "a whole number or null",
         "expression": "an expression"}


def fits(value, what):
    return FITS[what](value)


def shown(value):
    return "nothing" if value is None else f"{type(value).__name__} {json.dumps(value, default=str)[:60]}"


def nearest(name, known):
    close = difflib.get_close_matches(str(name), [str(each) for each in known], 1)
    return f"; did you mean '{close[0]}'?" if close else ""


def is_type(text):
    if not isinstance(text, str):
        return False
    if text.startswith("ARRAY<") and text.endswith(">"):
        return is_type(text[6:-1])
    if text.startswith("DECIMAL(") and text.endswith(")"):
        parts = text[8:-1].split(",")
        return 1 <= len(parts) <= 2 and all(part.strip().isdigit() for part in parts)
    return text in SCALARS


def check_case(reader):
    case = reader.tree
    reader.mapping(case, (), TOP, open_to_others=True)
    program = case["program"]
    kind = program.get("kind") if isinstance(program, dict) else None
    if kind not in KINDS:
        reader.fail(("program", "kind") if kind else ("program",), f"{shown(kind)} is no kind{nearest(kind, KINDS)}")
    reader.mapping(program, ("program",), KINDS[kind])
    if kind == "process":
        reader.mapping(program.get("parameters") or {}, ("program", "parameters"), PARAMETERS[program["function"]])
    if kind not in UNITS and "main" not in program["outputs"]:
        reader.fail(("program", "outputs"), "'main' is missing")
    check_order(reader, case)
    check_columns(reader, program)


def check_order(reader, case):
    order = case["order"]
    word, colon, column = order.partition(":")
    if colon and word in ("per_key", "materialized_by"):
        columns = case["program"].get("outputs", {}).get("main", {}).get("columns", {})
        if column not in columns:
            reader.fail(("order",), f"'{column}' is no column of outputs.main{nearest(column, columns)}")
    elif order not in ORDERS:
        reader.fail(("order",), f"{shown(order)} is none of {', '.join(sorted(ORDERS))}, per_key:COLUMN, materialized_by:COLUMN")


def check_columns(reader, program):
    """Columns that are named elsewhere are there."""
    for name, stream in (program.get("streams") or {}).items():
        for key in ("event_time", "primary_key"):
            for column in [stream[key]] if isinstance(stream.get(key), str) else stream.get(key) or []:
                if column not in stream["columns"]:
                    reader.fail(("program", "streams", name, key), f"'{column}' is no column of the stream{nearest(column, stream['columns'])}")
    for name, output in (program.get("outputs") or {}).items():
        for column in output.get("select") or {}:
            if column not in output["columns"]:
                reader.fail(("program", "outputs", name, "select", column), f"no column of the output{nearest(column, output['columns'])}")
    for key in ("left", "right"):
        if isinstance(program.get(key), str) and program[key] not in program["streams"]:
            reader.fail(("program", key), f"'{program[key]}' is no stream{nearest(program[key], program['streams'])}")


# ---- input.jsonl, expected.jsonl

def load_lines(path):
    """[(line number, object)]"""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise Malformed(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise Malformed(f"{path}: no UTF-8 at byte {error.start}") from None
    made = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line, object_pairs_hook=once)
        except ValueError as error:
            raise Malformed(f"{path}:{number}: {error}") from None
        if not isinstance(value, dict):
            raise Malformed(f"{path}:{number}: expected an object, found {shown(value)}")
        made.append((number, value))
    return made


def once(pairs):
    names = [name for name, _ in pairs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"'{twice}' stands there twice")
    return dict(pairs)


def check_line(path, number, row, columns, known):
    """columns: of rows here, None where any may be."""
    def fail(text):
        raise Malformed(f"{path}:{number}: {text}")
    for name, value in row.items():
        if name.startswith("__") and name not in known and name not in (columns or {}):
            fail(f"unknown marker '{name}'{nearest(name, known)}")
        if columns is not None and not name.startswith("__") and name not in columns:
            fail(f"'{name}' is no column here{nearest(name, columns)}")
        if name in ("__watermark__", "__proctime__", "__channel__", "__ts__") and not is_number(value):
            fail(f"'{name}': expected a whole number, found {shown(value)}")
    if row.get("__op__", "+I") not in OPS:
        fail(f"'__op__': {shown(row['__op__'])} is none of {', '.join(sorted(OPS))}")
    if row.get("__status__", "IDLE") not in ("IDLE", "ACTIVE"):
        fail(f"'__status__': {shown(row['__status__'])} is none of ACTIVE, IDLE")


def check_input(path, rows, program):
    streams = program.get("streams") or {}
    unit = program["kind"] in UNITS
    for number, row in rows:
        name = row.get("__stream__", next(iter(streams), None))
        if streams and name not in streams:
            raise Malformed(f"{path}:{number}: '{name}' is no stream{nearest(name, streams)}")
        needs_stream = len(streams) > 1 and not {"__end__", "__savepoint__", "__proctime__"} & set(row)
        if needs_stream and "__stream__" not in row:
            raise Malformed(f"{path}:{number}: '__stream__' is missing: there are {len(streams)} streams")
        columns = None if unit or MARKERS & set(row) else streams[name]["columns"]
        check_line(path, number, row, columns, MARKERS | {"__stream__", "__op__", "__channel__"})


def check_expected(path, lines, program):
    outputs = program.get("outputs") or {}
    unit = program["kind"] in UNITS
    for number, line in lines:
        name = line.get("__out__", "main")
        if not unit and name not in outputs:
            raise Malformed(f"{path}:{number}: '{name}' is no output{nearest(name, outputs)}")
        columns = None if unit or MARKERS & set(line) else outputs[name]["columns"]
        check_line(path, number, line, columns, {"__watermark__", "__savepoint__", "__status__", "__op__", "__out__", "__ts__"})


def load(directory):
    """(case, rows, results) of a directory; Malformed when it does not follow the format."""
    reader = Reader(directory / "case.yaml")
    check_case(reader)
    case = reader.tree
    rows, lines = load_lines(directory / "input.jsonl"), load_lines(directory / "expected.jsonl")
    check_input(directory / "input.jsonl", rows, case["program"])
    check_expected(directory / "expected.jsonl", lines, case["program"])
    return case, [row for _, row in rows], [line for _, line in lines]
