"""Keyed process functions and process table functions, by their definitions in the conformance format."""

import sql
from expression import Column, Scope, compile_expression
from stream import Node
from values import LONG_MAX, LONG_MIN


class Timers:
    """Timers of all keys of one time domain. Unnamed ones are known by their time, named ones by their name."""

    def __init__(self):
        self.set = {}  # (key, name, time or None): (time, number)
        self.count = 0

    def register(self, key, time, name=None):
        identity = (key, name, time if name is None else None)
        if name is None and identity in self.set:
            return
        self.count += 1
        self.set[identity] = (time, self.count)

    def delete(self, key, time=None, name=None):
        self.set.pop((key, name, time if name is None else None), None)

    def clear(self, key):
        self.set = {identity: entry for identity, entry in self.set.items() if identity[0] != key}

    def next(self, limit):
        """The first timer that is due, taken out: (key, time, name)."""
        due = [(time, name is not None, number, (key, name, own)) for (key, name, own), (time, number) in self.set.items() if time <= limit]
        if not due:
            return None
        time, _, _, identity = min(due, key=lambda item: item[:3])
        del self.set[identity]
        return identity[0], time, identity[1]


class Keyed(Node):
    """A process function: state is a dict for each key, timers of both time domains."""

    def __init__(self, keys, inputs=1):
        self.inputs = inputs
        super().__init__()
        self.keys = keys  # for each port the indexes of its key columns
        self.states = {}
        self.event, self.processing = Timers(), Timers()
        self.clock = 0
        self.side = None
        self.key = None

    def state(self):
        return self.states.setdefault(self.key, {})

    def on_row(self, port, kind, values, ts):
        self.key = tuple(values[i] for i in self.keys[port])
        self.row(port, values, ts)

    def on_watermark(self, value):
        while (due := self.event.next(value)) is not None:
            self.key, time, name = due
            self.timer(time, name)

    def on_clock(self, now_ms):
        self.clock = now_ms
        while (due := self.processing.next(now_ms)) is not None:
            self.key, time, name = due
            self.timer(time, name)

    def give(self, values, ts):
        self.emit("+I", self.key + tuple(values), ts)


class Rising(Keyed):
    def prepare(self, program, columns):
        parameters = program["parameters"]
        self.value = compile_expression(sql.parse_expression(parameters["value"]), Scope(columns))[0]
        self.duration, self.by_event = parameters["duration_ms"], parameters["time"] == "event_time"

    def row(self, port, values, ts):
        state, value = self.state(), self.value(values)
        last, state["last"] = state.get("last"), value
        if last is None:
            return
        timers = self.event if self.by_event else self.processing
        if value < last and state.get("timer") is not None:
            timers.delete(self.key, state.pop("timer"))
        elif value > last and state.get("timer") is None:
            state["timer"] = (ts if self.by_event else self.clock) + self.duration
            timers.register(self.key, state["timer"])

    def timer(self, time, name):
        self.give([time], time if self.by_event else None)
        self.state().pop("timer", None)


class SmallThenLarge(Keyed):
    def prepare(self, program, columns):
        parameters, scope = program["parameters"], Scope(columns)
        self.small, self.large = (compile_expression(sql.parse_expression(parameters[name]), scope)[0] for name in ("small", "large"))
        self.emitted = [scope.find(None, name) for name in parameters["emit"]]
        self.within = parameters.get("within_ms")

    def row(self, port, values, ts):
        state = self.state()
        if state.get("flag"):
            if self.large(values) is True:
                self.emit("+I", tuple(values[i] for i in self.emitted), ts)
            state["flag"] = False
            if "timer" in state:
                self.processing.delete(self.key, state.pop("timer"))
        if self.small(values) is True:
            state["flag"] = True
            if self.within is not None:
                state["timer"] = self.clock + self.within
                self.processing.register(self.key, state["timer"])

    def timer(self, time, name):
        self.states[self.key] = {}


class OrderTimeout(Keyed):
    def prepare(self, program, columns):
        parameters, scope = program["parameters"], Scope(columns)
        self.open, self.close = (compile_expression(sql.parse_expression(parameters[name]), scope)[0] for name in ("open", "close"))
        self.timeout = parameters["timeout_ms"]

    def row(self, port, values, ts):
        state = self.state()
        if self.open(values) is True:
            state["timer"] = ts + self.timeout
            self.event.register(self.key, state["timer"])
        if self.close(values) is True:
            if "timer" in state:
                self.event.delete(self.key, state.pop("timer"))
            self.give(["paid"], ts)

    def timer(self, time, name):
        self.side.on_row(0, "+I", self.key, time)


class LongRide(Keyed):
    def prepare(self, program, columns):
        self.is_start = compile_expression(sql.parse_expression(program["parameters"]["is_start"]), Scope(columns))[0]
        self.limit = program["parameters"]["limit_ms"]

    def row(self, port, values, ts):
        state, starts = self.state(), self.is_start(values) is True
        if "first" not in state:
            state["first"] = (starts, ts)
            if starts:
                self.event.register(self.key, ts + self.limit)
            return
        first = state["first"][1]
        if not starts:
            self.event.delete(self.key, first + self.limit)
        if (first - ts if starts else ts - first) > self.limit:
            self.give([], ts)
        state.clear()

    def timer(self, time, name):
        self.give([], time)
        self.state().clear()


class RidesAndFares(Keyed):
    def prepare(self, program, columns):
        pass

    def row(self, port, values, ts):
        state = self.state()
        if 1 - port in state:
            del state[1 - port]
            self.give([self.key[0]], ts)
        else:
            state[port] = True


class TimerAt(Keyed):
    def prepare(self, program, columns):
        self.at, self.out = program["parameters"]["timer_ms"], program["parameters"]["on_timer"]

    def row(self, port, values, ts):
        self.emit("+I", self.key, ts)
        self.event.register(self.key, self.at)

    def timer(self, time, name):
        self.emit("+I", (self.out,), time)


class RegisterThenDelete(Keyed):
    def prepare(self, program, columns):
        self.register_after, self.delete_after = (program["parameters"][name] for name in ("register_after_ms", "delete_after_ms"))

    def row(self, port, values, ts):
        state = self.state()
        if "key" in state:
            state.clear()
            self.event.delete(self.key, self.now + self.delete_after)
            return
        self.emit("+I", (f"INPUT:{self.key[0]}",), ts)
        state["key"] = self.key[0]
        self.event.register(self.key, self.now + self.register_after)

    def timer(self, time, name):
        self.emit("+I", (f"STATE:{self.state().get('key', 'null')}",), time)


FUNCTIONS = {"rising": Rising, "small_then_large": SmallThenLarge, "order_timeout": OrderTimeout, "long_ride": LongRide,
             "rides_and_fares": RidesAndFares, "timer_at": TimerAt, "register_then_delete": RegisterThenDelete}


def build(run):
    """Kind process."""
    program = run.program
    sources = list(run.sources.values())
    keys = [[Scope(source.columns).find(None, name) for name in program["key_by"]] for source in sources]
    node = FUNCTIONS[program["function"]](keys, len(sources))
    node.prepare(program, sources[0].columns)
    for port, source in enumerate(sources):
        source.feeds(node, port)
    node.feeds(run.collectors["main"])
    node.side = run.collectors.get("timeout")


# ---- process table functions

EVENT = ("event", "score", "timer", "for", "time", "watermark")


class TableFunction(Keyed):
    columns = [("event", "STRING"), ("score", "INT"), ("timer", "STRING"), ("for", "BIGINT"), ("time", "BIGINT"), ("watermark", "BIGINT")]

    def event_row(self, time, **fields):
        fields["time"] = time
        fields["watermark"] = None if self.now == LONG_MIN else self.now
        self.give([fields.get(name) for name, _ in self.columns] + [time], time)

    def row(self, port, values, ts):
        score = values[self.score]
        self.eval(score, ts)

    def put(self, time, at, name=None):
        self.event_row(time, event="register", timer=name, **{"for": at})
        self.event.register(self.key, at, name)

    def drop(self, time, name=None, at=None):
        self.event_row(time, event="clear", timer=name, **{"for": at})
        if name == "*":
            self.event.clear(self.key)
        else:
            self.event.delete(self.key, at, name)


class LateTimers(TableFunction):
    def eval(self, score, time):
        self.event_row(time, event="row", score=score)
        if self.key[0] == "Bob":
            self.put(time, 0, "bob")
            self.put(time, 0)
        elif self.key[0] == "Alice":
            self.put(time, 1, "alice")

    def timer(self, time, name):
        self.event_row(time, event="fire", timer=name)
        if name == "alice":
            self.put(time, 0, "alice-again")


class NamedTimers(TableFunction):
    def eval(self, score, time):
        self.event_row(time, event="row", score=score)
        if time == 0:
            for number in (1, 2, 3):
                self.put(time, time + number, f"timeout{number}")
            for number in (4, 5):
                self.put(time, LONG_MAX, f"timeout{number}")

    def timer(self, time, name):
        self.event_row(time, event="fire", timer=name)
        if name == "timeout1":
            self.put(time, time + 4, "timeout2")
            self.drop(time, "timeout3")
        elif name == "timeout2":
            self.drop(time, "*")


class UnnamedTimers(TableFunction):
    def eval(self, score, time):
        self.event_row(time, event="row", score=score)
        if time == 0:
            for at in (time + 1, time + 2, LONG_MAX):
                self.put(time, at)

    def timer(self, time, name):
        self.event_row(time, event="fire")
        if time == 1:
            self.put(time, time + 4)
            self.drop(time, at=2)
        elif time == 5:
            self.drop(time, "*")


class AppendScore(TableFunction):
    columns = [("score", "INT"), ("time", "BIGINT"), ("watermark", "BIGINT"), ("seen", "ARRAY<INT>")]

    def eval(self, score, time):
        seen = self.state().setdefault("seen", [])
        seen.append(score)
        self.event_row(time, score=score, seen=tuple(seen))


class CountingState(TableFunction):
    columns = [("event", "STRING"), ("state", "INT"), *TableFunction.columns[1:]]

    def event_row(self, time, **fields):
        if fields.get("event") in ("row", None) and "state" in fields:
            self.give([fields.get("state") if name == "state" else fields.get(name) for name, _ in self.columns] + [time], time)
        else:
            super().event_row(time, **fields)

    def eval(self, score, time):
        state = self.state()
        self.event_row(time, state=state.get("n"), score=score)
        if state.get("n") is None:
            state["n"] = 1
            self.put(time, time + 2, "t")
        else:
            state["n"] += 1

    def timer(self, time, name):
        self.event_row(time, event="fire", timer=name)
        if self.state().get("n") is not None:
            self.state()["n"] *= 10


TABLE_FUNCTIONS = {"late_timers": LateTimers, "named_timers": NamedTimers, "unnamed_timers": UnnamedTimers, "append_score": AppendScore,
                   "counting_state": CountingState}


class Ordered(Node):
    """PARTITION BY .. ORDER BY: rows wait for the watermark, which the function sees only behind them; late ones are dropped."""

    def __init__(self, time, order):
        super().__init__()
        self.time, self.order = time, order
        self.waiting = []

    def on_row(self, port, kind, values, ts):
        if values[self.time] > self.now:
            self.waiting.append(values)

    def on_watermark(self, value):
        due = [values for values in self.waiting if values[self.time] <= value]
        self.waiting = [values for values in self.waiting if values[self.time] > value]
        for values in sort_rows(due, self.order):
            self.emit("+I", values, values[self.time])


def sort_rows(rows, order):
    """order: (function of a row, descending, NULLs last). Stable."""
    for run, descending, nulls_last in reversed(order):
        some = sorted((row for row in rows if run(row) is not None), key=run, reverse=descending)
        none = [row for row in rows if run(row) is None]
        rows = some + none if nulls_last else none + some
    return rows


def plan(planner, tree):
    if tree.name.upper() == "DEDUPLICATE_KEEP_FIRST":
        import rank
        return rank.keep_first_function(planner, tree)
    if tree.name not in TABLE_FUNCTIONS:
        raise NotImplementedError(f"function {tree.name}")
    if planner.ttl():
        raise NotImplementedError("a time to live of what a function keeps")
    source = planner.table(tree.table)
    scope = source.scope()
    keys = [source.index_of(e) for e in tree.partition]
    node = TABLE_FUNCTIONS[tree.name]([keys])
    node.score = scope.find(None, "score")
    time_name = tree.arguments["on_time"][1][0]
    feeder = source.node
    if tree.order:
        order = [(compile_expression(e, scope)[0], descending, last) for e, descending, last in tree.order]
        feeder = feeder.feeds(Ordered(scope.find(None, time_name), order))
    feeder.feeds(node)
    from query import Relation
    columns = [Column(None, source.columns[i].name, source.columns[i].type) for i in keys]
    columns += [Column(None, name, kind) for name, kind in node.columns]
    return Relation(node, columns + [Column(None, "rowtime", source.columns[scope.find(None, time_name)].type, "rowtime")])
