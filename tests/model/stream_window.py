"""Windows of the DataStream API: assigners, triggers, evictors, lateness, merging; the group windows of the table runtime; the interval join."""

import math

import sql
from aggregate import Aggregate, find_calls
from expression import Column, Scope, compile_expression
from join import StreamIntervalJoin
from stream import Map, Node
from values import LONG_MAX
from window import start_of

GLOBAL = (None, LONG_MAX + 1)  # a window is (start, end); that of GlobalWindows ends behind all times


# ---- triggers: each answers whether to fire; timers go through the operator

class EventTimeTrigger:
    def __init__(self, operator, declared):
        self.operator = operator

    def on_element(self, key, window, ts):
        if window[1] - 1 <= self.operator.now:
            return True
        self.operator.register(key, window, window[1] - 1)
        return False

    def on_timer(self, key, window, time):
        return time == window[1] - 1

    def clear(self, key, window):
        self.operator.timers.discard((window[1] - 1, key, window))

    def on_merge(self, key, window, merged):
        if window[1] - 1 > self.operator.now:
            self.operator.register(key, window, window[1] - 1)


class CountTrigger:
    def __init__(self, operator, declared):
        self.most, self.counts = declared["count"], {}

    def on_element(self, key, window, ts):
        self.counts[key, window] = self.counts.get((key, window), 0) + 1
        if self.counts[key, window] < self.most:
            return False
        del self.counts[key, window]
        return True

    def on_timer(self, key, window, time):
        return False

    def clear(self, key, window):
        self.counts.pop((key, window), None)

    def on_merge(self, key, window, merged):
        total = sum(self.counts.pop((key, each), 0) for each in merged)
        if total:
            self.counts[key, window] = self.counts.get((key, window), 0) + total


class ContinuousEventTimeTrigger:
    def __init__(self, operator, declared):
        self.operator, self.interval, self.next = operator, declared["interval_ms"], {}

    def on_element(self, key, window, ts):
        if window[1] - 1 <= self.operator.now:
            return True
        self.operator.register(key, window, window[1] - 1)
        if (key, window) not in self.next:
            self.plan(key, window, ts - int(math.fmod(ts, self.interval)))  # as Java's %
        return False

    def plan(self, key, window, after):
        self.next[key, window] = min(after + self.interval, window[1] - 1)
        self.operator.register(key, window, self.next[key, window])

    def on_timer(self, key, window, time):
        if time == window[1] - 1:
            return True
        if self.next.get((key, window)) != time:
            return False
        self.plan(key, window, time)
        return True

    def clear(self, key, window):
        time = self.next.pop((key, window), None)
        if time is not None:
            self.operator.timers.discard((time, key, window))

    def on_merge(self, key, window, merged):
        times = [self.next.pop((key, each)) for each in merged if (key, each) in self.next]
        times += [self.next[key, window]] if (key, window) in self.next else []
        if times:
            self.next[key, window] = min(times)
            self.operator.register(key, window, min(times))


TRIGGERS = {"EventTimeTrigger": EventTimeTrigger, "CountTrigger": CountTrigger, "ContinuousEventTimeTrigger": ContinuousEventTimeTrigger}


def evict(declared, rows):
    """What an evictor leaves of (timestamp, values)."""
    if declared["type"] == "CountEvictor":
        return rows[max(0, len(rows) - declared["max_count"]):]
    if any(ts is None for ts, _ in rows) or not rows:
        return rows
    cut = max(ts for ts, _ in rows) - declared["window_size_ms"]
    return [row for row in rows if row[0] > cut]


# ---- the operator

class StreamWindow(Node):
    def __init__(self, inputs, program, columns):
        self.inputs = inputs
        super().__init__()
        self.assigner, self.lateness = program["assigner"], program["allowed_lateness_ms"]
        self.kind = self.assigner["type"]
        self.merging = "Session" in self.kind
        self.trigger = TRIGGERS[program["trigger"]["type"]](self, program["trigger"])
        self.purging = program["trigger"].get("purging", False)
        self.evictor = program.get("evictor")
        self.gap = compile_expression(sql.parse_expression(self.assigner["gap_expression_ms"]), Scope(columns))[0] \
            if "gap_expression_ms" in self.assigner else (lambda row: self.assigner["gap_ms"])
        self.keys = [Scope(columns).find(None, name) for name in program["key_by"]]
        self.contents = {}  # (key, window): [(ts, values)]
        self.live = {}  # key: windows, when they merge
        self.timers = set()  # (time, key, window)
        self.late = self.result = None

    def register(self, key, window, time):
        self.timers.add((time, key, window))

    def cleanup(self, window):
        return LONG_MAX if window == GLOBAL else min(LONG_MAX, window[1] - 1 + self.lateness)

    def is_late(self, window):
        return window != GLOBAL and self.cleanup(window) <= self.now

    def assign(self, values, ts):
        if self.kind == "GlobalWindows":
            return [GLOBAL]
        if self.merging:
            return [(ts, ts + self.gap(values))]
        size, offset = self.assigner["size_ms"], self.assigner.get("offset_ms", 0)
        slide = self.assigner.get("slide_ms", size)
        return [(start, start + size) for start in range(start_of(ts, offset, slide), ts - size, -slide)]

    def on_row(self, port, kind, values, ts):
        key = tuple(values[i] for i in self.keys)
        skipped = True
        for window in self.assign(values, ts):
            if self.merging:
                window = self.merge(key, window)
            if self.is_late(window):
                if self.merging:
                    self.live[key].discard(window)
                continue
            skipped = False
            self.contents.setdefault((key, window), []).append((ts, values))
            if self.trigger.on_element(key, window, ts):
                self.fire(key, window)
            if self.cleanup(window) < LONG_MAX:
                self.register(key, window, self.cleanup(window))
        if skipped and ts is not None and ts + self.lateness <= self.now and self.late:
            self.late.on_row(0, "+I", values, ts)

    def merge(self, key, window):
        """The session that the new one becomes part of."""
        live = self.live.setdefault(key, set())
        touched = {each for each in live if each[0] <= window[1] and each[1] >= window[0]}
        made = (min([window[0]] + [w[0] for w in touched]), max([window[1]] + [w[1] for w in touched]))
        live -= touched
        live.add(made)
        old = touched - {made}
        if old:
            self.trigger.on_merge(key, made, old)
            for each in sorted(old):
                self.trigger.clear(key, each)
                self.timers.discard((self.cleanup(each), key, each))
                self.contents.setdefault((key, made), []).extend(self.contents.pop((key, each), []))
        return made

    def fire(self, key, window):
        rows = self.contents.get((key, window))
        if rows:
            self.give(key, window, rows)
        if self.purging:
            self.contents.pop((key, window), None)

    def give(self, key, window, rows):
        if self.evictor and not self.evictor["evict_after"]:
            rows = evict(self.evictor, rows)
        self.result(key, window, rows)
        if self.evictor:
            self.contents[key, window] = evict(self.evictor, rows) if self.evictor["evict_after"] else rows

    def on_watermark(self, value):
        while True:
            due = [timer for timer in self.timers if timer[0] <= value]
            if not due:
                return
            first = min(time for time, _, _ in due)
            for timer in [timer for timer in due if timer[0] == first]:
                if timer in self.timers:
                    self.timers.discard(timer)
                    self.on_timer(*timer)

    def on_timer(self, time, key, window):
        if self.merging and window not in self.live.get(key, ()):
            return
        if self.trigger.on_timer(key, window, time):
            self.fire(key, window)
        if window != GLOBAL and time == self.cleanup(window):
            self.contents.pop((key, window), None)
            self.trigger.clear(key, window)
            if self.merging:
                self.live[key].discard(window)


class Selection:
    """`select` of a window's result: key columns, aggregates over its rows, the window."""

    def __init__(self, select, key_names, columns, extra):
        scope = Scope(columns)
        trees = {name: sql.parse_expression(text) for name, text in select.items()}
        calls = list(dict.fromkeys(find_calls(list(trees.values()))))
        self.aggregates = [Aggregate(call, scope) for call in calls]
        kinds = {column.name: column.type for column in columns}
        made = [Column(None, name, kinds[name]) for name in key_names] + [Column(None, name, kind) for name, kind in extra]
        made += [Column(None, f"$aggregate{i}", a.type) for i, a in enumerate(self.aggregates)]
        places = {call: len(key_names) + len(extra) + i for i, call in enumerate(calls)}
        self.runs = [compile_expression(tree, Scope(made, places))[0] for tree in trees.values()]

    def row(self, key, extra, rows):
        held = key + extra + tuple(a.of([(True, row) for row in rows]) for a in self.aggregates)
        return tuple(run(held) for run in self.runs)


def select_rows(select, columns):
    scope = Scope(columns)
    return Map(None, [compile_expression(sql.parse_expression(text), scope)[0] for text in select.values()])


WINDOW = [("window_start", "TIMESTAMP_LTZ(3)"), ("window_end", "TIMESTAMP_LTZ(3)")]


def feed(run, node):
    for port, source in enumerate(run.sources.values()):
        source.feeds(node, port)


def build(run):
    """Kind window."""
    program = run.program
    columns = next(iter(run.sources.values())).columns
    node = StreamWindow(len(run.sources), program, columns)
    selection = Selection(program["outputs"]["main"]["select"], program["key_by"], columns, WINDOW)

    def result(key, window, rows):
        node.emit("+I", selection.row(key, window, [values for _, values in rows]), window[1] - 1)
    node.result = result
    feed(run, node)
    node.feeds(run.collectors["main"])
    if "late" in program["outputs"]:
        node.late = select_rows(program["outputs"]["late"]["select"], columns)
        node.late.feeds(run.collectors["late"])


# ---- group windows of the table runtime

class GroupWindow(Node):
    def __init__(self, program, columns):
        super().__init__()
        self.window, self.lateness = program["window"], program["allowed_lateness_ms"]
        self.keys = [Scope(columns).find(None, name) for name in program["key_by"]]
        self.timed = self.window["type"].endswith("time")
        self.rows, self.sent, self.counts = {}, {}, {}
        self.due = set()  # (key, window) that a timer will fire
        self.result = None

    def assign(self, key, ts):
        kind = self.window["type"]
        if kind == "tumbling_time":
            start = start_of(ts, 0, self.window["size_ms"])
            return [(start, start + self.window["size_ms"])]
        if kind == "cumulative_time":
            start = start_of(ts, 0, self.window["max_size_ms"])
            ends = range(start + self.window["step_ms"], start + self.window["max_size_ms"] + 1, self.window["step_ms"])
            return [(start, end) for end in ends if end > ts]
        count = self.counts.get(key, 0)
        self.counts[key] = count + 1
        size = self.window["size"]
        slide = self.window.get("slide", size)
        return [number for number in range(count // slide, -1, -1) if number * slide <= count < number * slide + size]

    def on_row(self, port, kind, values, ts):
        key = tuple(values[i] for i in self.keys)
        for window in self.assign(key, ts):
            if self.timed and window[1] - 1 + self.lateness <= self.now:
                continue
            rows = self.rows.setdefault((key, window), [])
            rows.append(values)
            if (window[1] - 1 <= self.now) if self.timed else len(rows) == self.window["size"]:
                self.fire(key, window)
            elif self.timed:
                self.due.add((key, window))

    def fire(self, key, window):
        made = self.result(key, window if self.timed else (window,), self.rows[key, window])
        last = self.sent.get((key, window))
        if last is None:
            self.emit("+I", made)
        elif last != made:
            self.emit("-U", last)
            self.emit("+U", made)
        self.sent[key, window] = made
        if not self.timed:
            del self.rows[key, window]

    def on_watermark(self, value):
        if not self.timed:
            return
        for key, window in sorted(self.due, key=lambda item: item[1][1]):
            if window[1] - 1 <= value:
                self.due.discard((key, window))
                self.fire(key, window)
        for key, window in list(self.rows):
            if window[1] - 1 + self.lateness <= value:
                del self.rows[key, window]
                self.sent.pop((key, window), None)


def build_group(run):
    """Kind group_window."""
    program = run.program
    source = next(iter(run.sources.values()))
    node = GroupWindow(program, source.columns)
    extra = WINDOW if node.timed else [("window_id", "BIGINT")]
    selection = Selection(program["outputs"]["main"]["select"], program["key_by"], source.columns, extra)
    node.result = selection.row
    feed(run, node)
    node.feeds(run.collectors["main"])


# ---- interval join

def build_join(run):
    """Kind interval_join."""
    program = run.program
    names = [program["left"], program["right"]]
    sources = [run.sources[name] for name in names]
    columns = [column._replace(table=name) for name, source in zip(names, sources) for column in source.columns]
    keys = tuple(tuple((lambda row, i=Scope(source.columns).find(None, name): row[i]) for name in program["key_by"]) for source in sources)
    low, high = program["lower_bound_ms"], program["upper_bound_ms"]
    late = LateRows(run, names, sources) if any(name.startswith("late") for name in program["outputs"]) else None
    node = StreamIntervalJoin(tuple(len(source.columns) for source in sources), keys, low + (1 if program["lower_bound_exclusive"] else 0),
                              high - (1 if program["upper_bound_exclusive"] else 0), late)
    for port, source in enumerate(sources):
        source.feeds(node, port)
    node.feeds(select_rows(program["outputs"]["main"]["select"], columns)).feeds(run.collectors["main"])


class LateRows:
    """Late rows of either side, in the output `late`."""

    def __init__(self, run, names, sources):
        select = run.program["outputs"]["late"]["select"]
        self.maps = [select_rows(select, [c._replace(table=name) for c in source.columns]) for name, source in zip(names, sources)]
        for each in self.maps:
            each.feeds(run.collectors["late"])

    def on_row(self, port, kind, values, ts):
        self.maps[port].on_row(0, kind, values, ts)
