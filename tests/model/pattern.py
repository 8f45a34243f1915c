"""Kind pattern, and what it shares with MATCH_RECOGNIZE: events wait for the watermark, then an automaton for each key takes them in order."""

import sql
from expression import Column, Scope, columns_of, compile_expression
from nfa import Automaton, Graph
from stream import Map, Node
from values import LONG_MAX


class Patterns(Node):
    def __init__(self, keys, graph, within, skip, result, order=()):
        super().__init__()
        self.keys, self.graph, self.within, self.skip, self.result = keys, graph, within, skip, result
        self.order = order  # of events of one time
        self.automata, self.waiting, self.timers = {}, {}, set()
        self.count = 0
        self.late = self.timeout = None
        self.strict_skip, self.immediate = False, None
        self.by_clock, self.clock_ms, self.clock_timers = False, 0, set()
        self.timed = False  # results have the time at which they became known

    def automaton(self, key):
        if key not in self.automata:
            self.automata[key] = Automaton(self.graph, self.within, self.skip, self.strict_skip)
        return self.automata[key]

    def on_row(self, port, kind, values, ts):
        key = tuple(values[i] for i in self.keys)
        if self.immediate is not None:
            self.take(key, [values], values[self.immediate])
        elif self.by_clock:
            self.take(key, [values], self.clock_ms)
        elif ts <= self.now:
            if self.late:
                self.late.on_row(0, "+I", values, ts)
        else:
            self.waiting.setdefault(key, {}).setdefault(ts, []).append(values)
            self.timers.add((ts, key))

    def on_watermark(self, value):
        while True:
            due = [timer for timer in self.timers if timer[0] <= value]
            if not due:
                return
            first = min(time for time, _ in due)
            for timer in [timer for timer in due if timer[0] == first]:
                self.timers.discard(timer)
                self.catch_up(timer[1], value)

    def on_clock(self, now_ms):
        self.clock_ms = now_ms
        for timer in sorted((timer for timer in self.clock_timers if timer[0] <= now_ms), key=lambda timer: timer[0]):
            self.clock_timers.discard(timer)
            self.advance(self.automaton(timer[1]), now_ms)

    def catch_up(self, key, now):
        waiting = self.waiting.get(key, {})
        for ts in sorted(ts for ts in waiting if ts <= now):
            self.take(key, self.sorted(waiting.pop(ts)), ts)
        self.advance(self.automaton(key), now)
        self.automaton(key).started = False  # all rows behind one that began a match have set timers, as in Flink

    def sorted(self, rows):
        from process import sort_rows
        return sort_rows(rows, self.order) if self.order else rows

    def advance(self, automaton, now):
        matches, timed_out = automaton.advance(now)
        for path in matches:
            self.emit("+I", self.result(path), now if self.timed and now < LONG_MAX else None)
        for path, at in timed_out:
            if self.timeout:
                self.timeout(path, at)

    def take(self, key, rows, ts):
        automaton = self.automaton(key)
        self.advance(automaton, ts)
        for values in rows:
            self.count += 1
            for path in automaton.process(values, (ts, self.count)):
                self.emit("+I", self.result(path), ts if self.timed else None)
            if self.within and automaton.started:
                self.clock_timers.add((ts + self.within + 1, key)) if self.by_clock else self.timers.add((ts + self.within, key))
        if self.by_clock or self.immediate is not None:
            automaton.started = False


def condition_of(text, columns, names):
    """A condition of a stage: plain columns are those of the event, the rest is of the events taken so far: stage.column, FIRST, LAST, aggregates."""
    from match import Reader
    reader = Reader(sql.parse_expression(text), columns, set(names))
    return lambda event, path: reader.value(event, [(stage, held) for stage, _, held in path]) is True


def stage_of(declared, columns, names):
    quantifier = declared.get("quantifier")
    until = declared.get("until")
    none = bool(quantifier) and quantifier["from"] == 0
    made = {"name": declared["name"], "contiguity": declared["contiguity"], "low": max(1, quantifier["from"]) if quantifier else 1,
            "high": quantifier["to"] if quantifier else 1, "loop": declared.get("inner_contiguity", "relaxed") if quantifier else None,
            "optional": none or declared.get("optional", False), "greedy": declared.get("greedy", False),
            "window": quantifier.get("within_ms") if quantifier else declared.get("within_ms"),
            "where": condition_of(declared["where"], columns, names) if declared.get("where") else (lambda event, path: True),
            "until": condition_of(until, columns, names) if until else None}
    if declared.get("group"):
        made["group"] = [stage_of(stage, columns, names) for stage in declared["group"]]
    return made


def names_of(stages):
    """Those of stages that take events."""
    return [name for stage in stages for name in (names_of(stage["group"]) if stage.get("group") else [stage["name"]])]


def selection(select, columns, names):
    """A function of (path, time of a timeout) that makes a result's columns."""
    scope, runs = Scope(list(columns)), []
    for text in select.values():
        tree = sql.parse_expression(text)
        if tree[0] == "call" and tree[1] == "ARRAY_AGG":
            run = compile_expression(tree[2][0], scope)[0]
            runs.append(lambda path, at, run=run: tuple(run(event) for _, _, event in path))
        elif tree[0] == "call" and tree[1] == "TIMEOUT_ROWTIME":
            runs.append(lambda path, at: at)
        else:
            test = value_of(tree, columns, names)
            runs.append(lambda path, at, test=test: test(path))
    return lambda path, at=None: tuple(run(path, at) for run in runs)


def value_of(tree, columns, names):
    others = list(dict.fromkeys(c for c in columns_of(tree) if c[1] in names))
    scope = Scope(list(columns))
    places = [scope.find(None, name) for _, _, name in others]
    whole = Scope(list(columns) + [Column(None, f"$other{i}", columns[place].type) for i, place in enumerate(places)],
                  {other: len(columns) + i for i, other in enumerate(others)})
    run = compile_expression(tree, whole)[0]

    def value(path):
        more = ()
        for (_, stage, _), place in zip(others, places):
            taken = [event for name, _, event in path if name == stage]
            more += (taken[-1][place] if taken else None,)
        return run(path[-1][2] + more)
    return value


def build(run):
    """Kind pattern."""
    program = run.program
    source = next(iter(run.sources.values()))
    columns, names = source.columns, names_of(program["stages"])
    stages = [stage_of(stage, columns, names) for stage in program["stages"]]
    within = program.get("within_ms")
    skip = program.get("after_match_skip") or {"strategy": "no_skip"}
    keys = [Scope(columns).find(None, name) for name in program["key_by"]]
    node = Patterns(keys, Graph(stages, within), within, (skip["strategy"], skip.get("stage")),
                    selection(program["outputs"]["main"]["select"], columns, names))
    node.by_clock = program.get("time") == "processing"
    node.timed = not node.by_clock
    source.feeds(node)
    node.feeds(run.collectors["main"])
    if "timeout" in program["outputs"]:
        made = selection(program["outputs"]["timeout"]["select"], columns, names)
        node.timeout = lambda path, at: run.collectors["timeout"].on_row(0, "+I", made(path, at), at if node.timed else None)
    if "late" in program["outputs"]:
        select = program["outputs"]["late"]["select"]
        node.late = Map(None, [compile_expression(sql.parse_expression(text), Scope(columns))[0] for text in select.values()])
        node.late.feeds(run.collectors["late"])
