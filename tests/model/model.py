"""What a program of a conformance case gives for its input, computed plainly: the reference that leat is compared with.

evaluate(program, rows) returns the lines of expected.jsonl: dicts with `__op__`, `__out__`, `__ts__` where they say something, and the markers
{"__watermark__": n} (when the main output lists them) and {"__savepoint__": true}.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import rank  # noqa: E402
import sql  # noqa: E402
import window  # noqa: E402
from expression import Column, Scope, compile_expression  # noqa: E402
from query import Planner, Relation  # noqa: E402
from stream import Collector, Map, Merge, Node, Valve  # noqa: E402
from values import LONG_MAX, LONG_MIN, from_json  # noqa: E402


class Source(Node):
    """One stream: rows with their event time, and the watermark after each of them."""

    def __init__(self, declared):
        super().__init__()
        self.types = declared["columns"]
        self.time = declared.get("event_time")
        self.columns = [Column(None, name, kind, "rowtime" if name == self.time else None) for name, kind in self.types.items()]
        if declared.get("processing_time"):
            self.columns.append(Column(None, declared["processing_time"], "TIMESTAMP_LTZ(3)", "proctime"))
        self.clock = declared.get("processing_time") is not None
        self.asleep = False
        self.primary_key = None  # of an upsert source whose rows become a changelog
        self.table = {}
        self.declared = declared.get("watermark") or {"strategy": "none"}
        self.restored()
        self.expression = None
        if self.declared["strategy"] == "expression" and self.time:
            self.expression = compile_expression(sql.parse_expression(self.declared["expression"]), Scope(self.columns))[0]

    def restored(self):
        super().restored()
        self.highest = self.generated = LONG_MIN

    def take(self, row, now_ms):
        if self.asleep:
            self.idle(False)
        values = tuple(from_json(row.get(name), kind) for name, kind in self.types.items())
        ts = values[list(self.types).index(self.time)] if self.time else None
        if self.clock:
            values += (now_ms,)
        if self.primary_key is None:
            self.emit(row.get("__op__", "+I"), values, ts)
        else:
            self.upsert(row.get("__op__", "+I"), values, ts)
        self.settle()
        made = self.generate(values, ts)
        if made is not None and made > self.generated:
            self.generated = made
            self.forward(made)

    def upsert(self, kind, values, ts):
        """What the row changes in the table of its key."""
        key = tuple(values[list(self.types).index(name)] for name in self.primary_key)
        last = self.table.get(key)
        if kind == "-D":
            if self.table.pop(key, None) is not None:
                self.emit("-D", last, ts)
            return
        self.table[key] = values
        if last is None:
            self.emit("+I", values, ts)
        elif last != values:
            self.emit("-U", last, ts)
            self.emit("+U", values, ts)

    def generate(self, values, ts):
        strategy = self.declared["strategy"]
        if self.expression:
            return self.expression(values)
        if strategy in ("bounded_out_of_orderness", "ascending"):
            self.highest = max(self.highest, ts)
            return self.highest - self.declared.get("delay_ms", 0) - 1
        return None

    def marker(self, value):
        if value > self.generated:
            self.generated = value
            self.forward(value)

    def idle(self, idle):
        self.asleep = idle
        for node, port in self.targets:
            node.status(port, idle)


class Run:
    def __init__(self, program):
        self.program = program
        self.lines = []
        self.now_ms = 0
        self.sources = {name: Source(stream) for name, stream in program["streams"].items()}
        self.kind = program["kind"]
        self.build()
        self.nodes = self.reached()
        for source in self.sources.values():
            source.settle = self.settle

    def build(self):
        outputs = self.program["outputs"]
        self.collectors = {name: Collector(list(output["columns"]), self.lines, name, output.get("watermarks", False),
                                           output.get("changelog_mode") == "upsert") for name, output in outputs.items()}
        if self.kind in ("sql", "ptf"):
            tables = {name: Relation(source, source.columns) for name, source in self.sources.items()}
            self.normalize()
            planner = Planner(tables, self.program)
            made = planner.query(sql.parse(self.program["query"]))
            self.collectors["main"].names = [column.name for column in made.columns]
            self.columns = {column.name: column.type for column in made.columns}
            made.node.feeds(self.collectors["main"])
            inserts = outputs["main"].get("changelog_mode", "insert_only") == "insert_only"
            rank.settle_forms(self.reached(), (Map, Merge, window.WindowFunction, window.SessionFunction), inserts)
        else:
            self.build_kind()

    def normalize(self):
        """Updates by key become a changelog, except for a join with the versions of a table, which reads them as they come."""
        for name, declared in self.program["streams"].items():
            if declared.get("changelog_mode") == "upsert" and "SYSTEM_TIME" not in self.program.get("query", "").upper():
                self.sources[name].primary_key = declared["primary_key"]

    def build_kind(self):
        import process
        import pattern
        import stream_window
        made = {"process": process.build, "pattern": pattern.build, "window": stream_window.build,
                "group_window": stream_window.build_group, "interval_join": stream_window.build_join}
        made[self.kind](self)

    def settle(self):
        for node in self.nodes:
            node.after_row()

    def reached(self):
        found, waiting = [], list(self.sources.values())
        while waiting:
            node = waiting.pop(0)
            if node not in found:
                found.append(node)
                waiting += [target for target, _ in node.targets]
        return found

    def play(self, rows):
        first = next(iter(self.sources))
        for row in rows:
            source = self.sources[row.get("__stream__", first)]
            if "__watermark__" in row:
                source.marker(row["__watermark__"])
            elif "__status__" in row:
                source.idle(row["__status__"] == "IDLE")
            elif "__proctime__" in row:
                self.now_ms = row["__proctime__"]
                for node in self.nodes:
                    node.on_clock(self.now_ms)
            elif "__savepoint__" in row:
                for node in self.nodes:
                    node.restored()
                self.lines.append({"__savepoint__": True})
            elif "__end__" in row:
                for each in self.sources.values():
                    each.marker(LONG_MAX)
            else:
                source.take(row, self.now_ms)
        return self.lines


def evaluate(program, rows):
    if program["kind"] in UNITS:
        return UNITS[program["kind"]](program, rows)
    return Run(program).play(rows)


# ---- kinds that are no flow

def valve(program, rows):
    made, lines = Valve(program["channels"]), []
    for step, row in enumerate(rows):
        if "__watermark__" in row:
            sent = made.watermark(row["__channel__"], row["__watermark__"])
        else:
            sent = made.status(row["__channel__"], row["__status__"] == "IDLE")
        lines += [{"step": step, "__status__" if isinstance(each, str) else "__watermark__": each} for each in sent]
    return lines


def assigner(program, rows):
    if program["function"] == "window_start":
        return [{"start": window.start_of(row["ts"], row["offset"], row["size"])} for row in rows]
    return [{"intersects": row["a"][0] <= row["b"][1] and row["a"][1] >= row["b"][0]} for row in rows]


def watermark_generator(program, rows):
    stream = next(iter(program["streams"].values()))
    if program["mode"] == "compare":
        return compare_generators(program, rows)
    highest, lines = None, []
    for row in rows:
        if "__emit__" in row:
            made = LONG_MIN if highest is None else highest - stream["watermark"]["delay_ms"] - 1
            lines.append({"__watermark__": made})
        else:
            highest = row["ts"] if highest is None else max(highest, row["ts"])
    return lines


def compare_generators(program, rows):
    """Which windows fire behind which row, for each generator."""
    size, lines = program["assigner"]["size_ms"], []
    held = {name: [LONG_MIN, set()] for name in program["generators"]}
    for row in rows:
        for name, generator in program["generators"].items():
            state = held[name]
            start = window.start_of(row["ts"], program["assigner"]["offset_ms"], size)
            if start + size - 1 > state[0]:
                state[1].add(start)
            state[0] = max(state[0], row["ts"] - generator["delay_ms"] - (0 if generator["sql_semantics"] else 1))
            for start in sorted(start for start in state[1] if start + size - 1 <= state[0]):
                state[1].remove(start)
                lines.append({"after_ts": row["ts"], "generator": name, "fires": f"[{start},{start + size})"})
    return lines


UNITS = {"valve": valve, "assigner": assigner, "watermark_generator": watermark_generator}
