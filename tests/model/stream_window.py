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
EVENT, CLOCK = "event time", "processing time"  # of timers


# ---- triggers: each answers whether to fire; timers go through the operator

class EventTimeTrigger:
    def __init__(self, operator, declared):
        self.operator = operator

    def on_element(self, key, window, row):
        if window[1] - 1 <= self.operator.now:
            return True
        self.operator.register(EVENT, key, window, window[1] - 1)
        return False

    def on_timer(self, domain, key, window, time):
        return domain == EVENT and time == window[1] - 1

    def clear(self, key, window):
        self.operator.forget(EVENT, key, window, window[1] - 1)

    def on_merge(self, key, window, merged):
        if window[1] - 1 > self.operator.now:
            self.operator.register(EVENT, key, window, window[1] - 1)


class ProcessingTimeTrigger:
    def __init__(self, operator, declared):
        self.operator = operator

    def on_element(self, key, window, row):
        self.operator.register(CLOCK, key, window, window[1] - 1)
        return False

    def on_timer(self, domain, key, window, time):
        return domain == CLOCK

    def clear(self, key, window):
        self.operator.forget(CLOCK, key, window, window[1] - 1)

    def on_merge(self, key, window, merged):
        if window[1] - 1 > self.operator.clock_ms:
            self.operator.register(CLOCK, key, window, window[1] - 1)


class CountTrigger:
    def __init__(self, operator, declared):
        self.most, self.counts = declared["count"], {}

    def on_element(self, key, window, row):
        self.counts[key, window] = self.counts.get((key, window), 0) + 1
        if self.counts[key, window] < self.most:
            return False
        del self.counts[key, window]
        return True

    def on_timer(self, domain, key, window, time):
        return False

    def clear(self, key, window):
        self.counts.pop((key, window), None)

    def on_merge(self, key, window, merged):
        total = sum(self.counts.pop((key, each), 0) for each in merged)
        if total:
            self.counts[key, window] = self.counts.get((key, window), 0) + total


class DeltaTrigger:
    """Fires for a row that is further from the last one that fired than the threshold; that one, or the first, is the mark."""

    def __init__(self, operator, declared):
        self.declared, self.marks = compiled_delta(declared, operator.columns), {}

    def on_element(self, key, window, row):
        mark = self.marks.setdefault((key, window), row[1])
        if mark is row[1] or not self.declared["delta"](row[1] + mark) > self.declared["threshold"]:
            return False
        self.marks[key, window] = row[1]
        return True

    def on_timer(self, domain, key, window, time):
        return False

    def clear(self, key, window):
        self.marks.pop((key, window), None)


class ContinuousTrigger:
    """Of either kind of time. At the window's end the next firing is not planned any more."""

    domain = EVENT

    def __init__(self, operator, declared):
        self.operator, self.interval, self.next = operator, declared["interval_ms"], {}

    def begin(self, key, window, now):
        if (key, window) not in self.next:
            self.plan(key, window, now - int(math.fmod(now, self.interval)))  # as Java's %

    def plan(self, key, window, after):
        self.next[key, window] = min(after + self.interval, window[1] - 1)
        self.operator.register(self.domain, key, window, self.next[key, window])

    def on_timer(self, domain, key, window, time):
        if domain != self.domain:
            return False
        if time == window[1] - 1:
            return True
        if self.next.get((key, window)) != time:
            return False
        self.plan(key, window, time)
        return True

    def clear(self, key, window):
        time = self.next.pop((key, window), None)
        if time is not None:
            self.operator.forget(self.domain, key, window, time)

    def on_merge(self, key, window, merged):
        times = [self.next.pop((key, each)) for each in merged if (key, each) in self.next]
        times += [self.next[key, window]] if (key, window) in self.next else []
        if times:
            self.next[key, window] = min(times)
            self.operator.register(self.domain, key, window, min(times))


class ContinuousEventTimeTrigger(ContinuousTrigger):
    def on_element(self, key, window, row):
        if window[1] - 1 <= self.operator.now:
            return True
        self.operator.register(EVENT, key, window, window[1] - 1)
        self.begin(key, window, row[0])
        return False


class ContinuousProcessingTimeTrigger(ContinuousTrigger):
    domain = CLOCK

    def on_element(self, key, window, row):
        self.begin(key, window, self.operator.clock_ms)
        return False


TRIGGERS = {"EventTimeTrigger": EventTimeTrigger, "CountTrigger": CountTrigger, "ContinuousEventTimeTrigger": ContinuousEventTimeTrigger,
            "DeltaTrigger": DeltaTrigger, "ProcessingTimeTrigger": ProcessingTimeTrigger, "ContinuousProcessingTimeTrigger": ContinuousProcessingTimeTrigger}


def evict(declared, rows):
    """What an evictor leaves of (timestamp, values)."""
    if declared["type"] == "CountEvictor":
        return rows[max(0, len(rows) - declared["max_count"]):]
    if declared["type"] == "DeltaEvictor":
        return [row for row in rows if declared["delta"](row[1] + rows[-1][1]) < declared["threshold"]]
    if any(ts is None for ts, _ in rows) or not rows:
        return rows
    cut = max(ts for ts, _ in rows) - declared["window_size_ms"]
    return [row for row in rows if row[0] > cut]


# ---- the operator

class StreamWindow(Node):
    one_stream = True  # several are united before

    def __init__(self, inputs, program, columns):
        self.inputs = inputs
        super().__init__()
        self.assigner, self.lateness = program["assigner"], program["allowed_lateness_ms"]
        self.kind = self.assigner["type"]
        self.merging, self.by_clock = "Session" in self.kind, "ProcessingTime" in self.kind
        self.by_event = not self.by_clock and self.kind != "GlobalWindows"
        self.columns = columns
        self.trigger = TRIGGERS[program["trigger"]["type"]](self, program["trigger"])
        self.purging = program["trigger"].get("purging", False)
        self.evictor = compiled_delta(program.get("evictor"), columns)
        self.gap = compile_expression(sql.parse_expression(self.assigner["gap_expression_ms"]), Scope(columns))[0] \
            if "gap_expression_ms" in self.assigner else (lambda row: self.assigner["gap_ms"])
        self.keys = [Scope(columns).find(None, name) for name in program["key_by"]]
        self.contents = {}  # (key, window): [(ts, values)]
        self.live = {}  # key: windows, when they merge
        self.timers = {EVENT: set(), CLOCK: set()}  # (time, key, window)
        self.clock_ms = 0
        self.late = self.result = None

    def register(self, domain, key, window, time):
        self.timers[domain].add((time, key, window))

    def forget(self, domain, key, window, time):
        self.timers[domain].discard((time, key, window))

    def cleanup(self, window):
        return LONG_MAX if window == GLOBAL else min(LONG_MAX, window[1] - 1 + (self.lateness if self.by_event else 0))

    def own_domain(self):
        return CLOCK if self.by_clock else EVENT

    def is_late(self, window):
        return self.by_event and self.cleanup(window) <= self.now

    def assign(self, values, ts):
        if self.kind == "GlobalWindows":
            return [GLOBAL]
        if self.by_clock:
            ts = self.clock_ms
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
            if self.trigger.on_element(key, window, (ts, values)):
                self.fire(key, window)
            if self.cleanup(window) < LONG_MAX:
                self.register(self.own_domain(), key, window, self.cleanup(window))
        if skipped and self.by_event and ts + self.lateness <= self.now and self.late:
            self.late.on_row(0, "+I", values, ts)

    def after_row(self):
        self.fire_due(CLOCK, self.clock_ms)  # timers set for a time that the clock has left behind

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
                self.forget(self.own_domain(), key, each, self.cleanup(each))
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
        self.fire_due(EVENT, value)

    def on_clock(self, now_ms):
        self.clock_ms = now_ms
        self.fire_due(CLOCK, now_ms)

    def fire_due(self, domain, value):
        timers = self.timers[domain]
        while True:
            due = [timer for timer in timers if timer[0] <= value]
            if not due:
                return
            first = min(time for time, _, _ in due)
            for timer in [timer for timer in due if timer[0] == first]:
                if timer in timers:
                    timers.discard(timer)
                    self.on_timer(domain, *timer)

    def on_timer(self, domain, time, key, window):
        if self.merging and window not in self.live.get(key, ()):
            return
        if self.trigger.on_timer(domain, key, window, time):
            self.fire(key, window)
        if window != GLOBAL and domain == self.own_domain() and time == self.cleanup(window):
            self.contents.pop((key, window), None)
            self.trigger.clear(key, window)
            if self.merging:
                self.live[key].discard(window)


def compiled_delta(declared, columns):
    """With `delta`, a function of the columns of a row and behind them those of the other one."""
    if not declared or "expression" not in declared:
        return declared
    scope = Scope(list(columns) + [Column(None, f"last_{column.name}", column.type) for column in columns])
    return {**declared, "delta": compile_expression(sql.parse_expression(declared["expression"]), scope)[0]}


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
        if kind == "sliding_time":
            size, slide = self.window["size_ms"], self.window["slide_ms"]
            return [(start, start + size) for start in range(start_of(ts, 0, slide), ts - size, -slide)]
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
    """Late rows of either side, in outputs of their own."""

    def __init__(self, run, names, sources):
        self.outputs = [run.collectors.get(name) for name in ("late_left", "late_right")]
        self.places = [[Scope(source.columns).find(None, name) for name in output.names] if output else [] for output, source in zip(self.outputs, sources)]

    def on_row(self, port, kind, values, ts):
        if self.outputs[port]:
            self.outputs[port].on_row(0, "+I", tuple(values[i] for i in self.places[port]), ts)
