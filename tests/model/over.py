"""OVER windows on event time: a row comes out when the watermark has passed it, in the order of time and then of arrival."""

from aggregate import Aggregate
from expression import Column, Scope, compile_expression
from stream import Node


class Over(Node):
    def __init__(self, time, keys, frame, calls):
        super().__init__()
        self.time, self.keys, self.frame, self.calls = time, keys, frame, calls
        self.waiting, self.passed, self.fired = [], {}, {}
        self.timers, self.cleanups = set(), {}

    def on_row(self, port, kind, values, ts):
        at, key = values[self.time], tuple(run(values) for run in self.keys)
        bounded = self.frame[1] is not None
        # An unbounded frame compares with the watermark, a bounded one with the last time that fired for the key, 0 at first.
        if at <= (self.fired.get(key, 0) if bounded else self.now):
            return
        self.waiting.append((at, key, values))
        self.timers.add((at, key))
        if bounded and self.frame[0] == "RANGE":
            self.plan_cleanup(key, at)

    def plan_cleanup(self, key, at):
        """A bounded RANGE forgets its key some time behind the last row; a timer that was moved on still fires."""
        back = self.frame[1]
        if self.cleanups.get(key) is None or self.cleanups[key] < at + back + 1:
            self.cleanups[key] = at + int(back * 1.5) + 1
            self.timers.add((self.cleanups[key], key))

    def on_watermark(self, value):
        while True:
            due = [timer for timer in self.timers if timer[0] <= value]
            if not due:
                return
            first = min(time for time, _ in due)
            for time, key in [timer for timer in due if timer[0] == first]:
                self.timers.discard((time, key))
                self.fire(time, key)

    def fire(self, time, key):
        if self.cleanups.get(key) is not None and self.cleanups[key] <= time:
            self.waiting = [row for row in self.waiting if row[1] != key]
            for held in (self.passed, self.fired, self.cleanups):
                held.pop(key, None)
            return
        due = [values for at, own, values in self.waiting if at == time and own == key]
        self.waiting = [row for row in self.waiting if row[0] != time or row[1] != key]
        rows = self.passed.setdefault(key, [])
        number = len(rows)
        rows += [(time, values) for values in due]
        self.fired[key] = time
        for values in due:
            self.emit("+I", values + tuple(call(rows, number) for call in self.calls))
            number += 1

    def frame_of(self, rows, number):
        """Rows of a key that count for its row `number`."""
        kind, back = self.frame
        at = rows[number][0]
        if kind == "RANGE":  # without a bound: everything so far, whatever its time
            return [values for other, values in rows if back is None or at - back <= other <= at]
        return [values for _, values in rows[max(0, number - back) if back is not None else 0:number + 1]]


class ClockOver(Over):
    """By the clock: a row comes out at once; with a RANGE that has a bound a millisecond later, with the others of its millisecond."""

    def __init__(self, time, keys, frame, calls):
        super().__init__(time, keys, frame, calls)
        self.late = frame[0] == "RANGE" and frame[1] is not None

    def on_row(self, port, kind, values, ts):
        at, key = values[self.time], tuple(run(values) for run in self.keys)
        self.waiting.append((at, key, values))
        if not self.late:
            self.fire(at, key)

    def on_clock(self, now_ms):
        while due := [(at, key) for at, key, _ in self.waiting if at < now_ms]:
            self.fire(*min(due, key=lambda item: item[0]))

    def on_watermark(self, value):
        pass

    def frame_of(self, rows, number):
        if self.frame[1] is None:
            return [values for _, values in rows[:number + 1]]
        return super().frame_of(rows, number)


def aggregate_of(node, aggregate):
    return lambda rows, number: aggregate.of([(True, values) for values in node.frame_of(rows, number)])


def lag_of(node, run, offset, default):
    """Counted from the end of the frame, which has all rows of the same time."""
    def value(rows, number):
        frame = node.frame_of(rows, number)
        return run(frame[-1 - offset]) if offset < len(frame) else default(frame[-1])
    return value


def plan(planner, tree, items, source):
    from query import Relation, find_over, project, resolve
    items = [(resolve(e, [], source), alias or (e[2] if e[0] == "col" else None)) for e, alias in items]
    calls = list(dict.fromkeys(find_over([e for e, _ in items])))
    scope = source.scope()
    partition, order, frame = tree.windows[calls[0][5]] if isinstance(calls[0][5], str) else calls[0][5]
    time = scope.find(*order[0][0][1:]) if order[0][0][0] == "col" else None
    if time is None or not source.columns[time].type.startswith("TIMESTAMP"):
        raise NotImplementedError("OVER in an order that is no time")
    if any(call[1] in ("RANK", "DENSE_RANK") for call in calls):
        raise NotImplementedError("ranks in OVER")
    numbering = calls[0][1] == "ROW_NUMBER"
    made_of = ClockOver if source.columns[time].role == "proctime" else Over
    node = made_of(time, [compile_expression(e, scope)[0] for e in partition], frame or (("ROWS" if numbering else "RANGE"), None), [])
    columns, made = list(source.columns), {}
    for call in calls:
        if call[1] == "LAG":
            run, kind = compile_expression(call[2][0], scope)
            offset = call[2][1][1] if len(call[2]) > 1 else 1
            default = compile_expression(call[2][2], scope)[0] if len(call[2]) > 2 else (lambda row: None)
            node.calls.append(lag_of(node, run, offset, default))
        elif call[1] == "ROW_NUMBER":
            kind = "BIGINT"
            node.calls.append(lambda rows, number: number + 1)
        else:
            aggregate = Aggregate(call[:5] + (None,), scope)
            kind = aggregate.type
            node.calls.append(aggregate_of(node, aggregate))
        made[call] = len(columns)
        columns.append(Column(None, f"$over{len(made)}", kind))
    source.node.feeds(node)
    return project(node, items, Scope(columns, made), Relation(node, columns))
