"""Joins: of windows, over an interval of time, with a version of a table, and of tables that are kept whole."""

import sql
from aggregate import find_calls, net
from expression import Scope, columns_of, compile_expression, conjuncts
from stream import Node
from values import LONG_MAX


class Join(Node):
    """Two inputs; rows of both sides of one key wait in `sides`."""

    inputs = 2

    def __init__(self, kind, widths, condition, keys):
        super().__init__()
        self.kind, self.widths, self.condition = kind, widths, condition
        self.keys = keys  # for each side: functions of a row; a NULL equals nothing
        self.outer = (kind in ("LEFT", "FULL"), kind in ("RIGHT", "FULL"))

    def key_of(self, side, values):
        return tuple(run(values) for run in self.keys[side])

    def meets(self, left, right):
        return self.condition(left + right) is True

    def pad(self, side, values):
        empty = (None,) * self.widths[1 - side]
        return values + empty if side == 0 else empty + values


class WindowJoin(Join):
    def __init__(self, kind, widths, condition, ends):
        super().__init__(kind, widths, condition, ((), ()))
        self.ends = ends
        self.windows = {}

    def on_row(self, port, kind, values, ts):
        end = values[self.ends[port]]
        if end - 1 > self.now:
            self.windows.setdefault(end, ([], []))[port].append(values)

    def on_watermark(self, value):
        for end in sorted(self.windows):
            if end - 1 > value:
                break
            self.fire(*self.windows.pop(end))

    def fire(self, left, right):
        met = [[self.meets(a, b) for b in right] for a in left]
        if self.kind in ("SEMI", "ANTI"):
            for a, some in zip(left, met):
                if any(some) == (self.kind == "SEMI"):
                    self.emit("+I", a)
            return
        for a, some in zip(left, met):
            for b, yes in zip(right, some):
                if yes:
                    self.emit("+I", a + b)
            if self.outer[0] and not any(some):
                self.emit("+I", self.pad(0, a))
        if self.outer[1]:
            for i, b in enumerate(right):
                if not any(some[i] for some in met):
                    self.emit("+I", self.pad(1, b))


class IntervalJoin(Join):
    """low and high: the left time lies between the right time plus low and plus high, both included. Rows expire by an alarm of their key or
    when a row of the other side comes by, so a late row may still meet what has not been taken out."""

    def __init__(self, kind, widths, condition, keys, times, low, high):
        super().__init__(kind, widths, condition, keys)
        self.times, self.low, self.high = times, low, high
        # How far behind its own time a row of each side may find a partner.
        self.reach = (-low, high)
        self.cache = ({}, {})  # key: [[time, values, whether it met somebody]]
        self.alarms = ({}, {})  # key: time
        self.expired = [0, 0]
        self.serial = 0

    def operator_time(self):
        return max(self.now, 0)

    def expiration(self, side):
        """Times up to which rows of that side find nobody any more."""
        return LONG_MAX if self.now >= LONG_MAX else self.operator_time() - self.reach[side] - 1

    def on_row(self, port, kind, values, ts):
        key, other = self.key_of(port, values), 1 - port
        if self.low > self.high:
            if self.outer[port]:
                self.emit("+I", self.pad(port, values))
            return
        at, met = values[self.times[port]], False
        first, last = (at - self.high, at - self.low) if port == 0 else (at + self.low, at + self.high)
        if self.expired[other] < last:
            self.expired[other] = self.expiration(other)
            met = self.meet(port, key, values, first, last)
        if self.operator_time() < last:
            self.cache[port].setdefault(key, []).append([at, values, met])
            if key not in self.alarms[port]:
                self.alarm(port, key, at)
        elif not met and self.outer[port]:
            self.emit("+I", self.pad(port, values))

    def meet(self, port, key, values, first, last):
        other, met, left = 1 - port, False, []
        for entry in self.cache[other].get(key, []):
            if first <= entry[0] <= last and self.meets(*((values, entry[1]) if port == 0 else (entry[1], values))):
                self.emit("+I", values + entry[1] if port == 0 else entry[1] + values)
                met = entry[2] = True
            if entry[0] > self.expired[other]:
                left.append(entry)
            elif self.outer[other] and not entry[2]:
                self.emit("+I", self.pad(other, entry[1]))
        self.cache[other][key] = left
        return met

    def alarm(self, side, key, at):
        self.serial += 1
        self.alarms[side][key] = (at + self.reach[side] + 1, self.serial)

    def on_watermark(self, value):
        while True:
            due = [(time, serial, side, key) for side in (0, 1) for key, (time, serial) in self.alarms[side].items() if time <= value]
            if not due:
                return
            _, _, side, key = min(due, key=lambda item: item[:2])
            self.expired[side] = self.expiration(side)
            self.take_out(side, key)

    def take_out(self, side, key):
        left = []
        for entry in self.cache[side].get(key, []):
            if entry[0] > self.expired[side]:
                left.append(entry)
            elif self.outer[side] and not entry[2]:
                self.emit("+I", self.pad(side, entry[1]))
        self.cache[side][key] = left
        if left:
            self.alarm(side, key, min(entry[0] for entry in left))
        else:
            del self.alarms[side][key]

    def forward(self, value):
        super().forward(value - max(0, *self.reach))

    def restored(self):
        super().restored()
        self.expired = [0, 0]  # no part of the state


class StreamIntervalJoin(Join):
    """The join of the DataStream API: a row older than the watermark is late."""

    def __init__(self, widths, keys, low, high, late):
        super().__init__("INNER", widths, lambda row: True, keys)
        self.low, self.high, self.late = low, high, late
        self.cache = ({}, {})

    def on_row(self, port, kind, values, ts):
        if ts < self.now:
            if self.late:
                self.late.on_row(port, "+I", values, ts)
            return
        key, other = self.key_of(port, values), 1 - port
        self.cache[port].setdefault(key, []).append((ts, values))
        for at, held in self.cache[other].get(key, []):
            left, right = (ts, at) if port == 0 else (at, ts)
            if left + self.low <= right <= left + self.high:
                self.emit("+I", values + held if port == 0 else held + values, max(ts, at))

    def on_watermark(self, value):
        for side, reach in ((0, self.high), (1, -self.low)):
            for key, rows in self.cache[side].items():
                self.cache[side][key] = [row for row in rows if row[0] + max(0, reach) > value]


class TemporalJoin(Join):
    """The left row takes the version of the right side that held at its time."""

    def __init__(self, kind, widths, condition, keys, times):
        super().__init__(kind, widths, condition, keys)
        self.times = times
        self.waiting, self.versions = [], {}
        self.timers = {}  # key: the least time that has not fired; old versions go only when it does

    def on_row(self, port, kind, values, ts):
        if port == 1 and kind == "-U":
            return
        key, at = self.key_of(port, values), values[self.times[port]]
        if port == 0:
            self.waiting.append((kind, values, ts))
        else:
            self.versions.setdefault(key, {})[at] = (kind != "-D", values)
        self.timers[key] = min(at, self.timers.get(key, at))

    def on_watermark(self, value):
        for key in [key for key, time in self.timers.items() if time <= value]:
            del self.timers[key]
            self.fire(key, value)

    def fire(self, key, value):
        mine = [row for row in self.waiting if self.key_of(0, row[1]) == key]
        due = [row for row in mine if row[1][self.times[0]] <= value]
        self.waiting = [row for row in self.waiting if row not in due]
        left = [row[1][self.times[0]] for row in mine if row not in due]
        if left:
            self.timers[key] = min(left)
        for kind, values, ts in due:
            at = values[self.times[0]]
            held = self.versions.get(key, {}) if None not in key else {}
            holds = [time for time in held if time <= at]
            lives, version = held[max(holds)] if holds else (False, None)
            if lives and self.meets(values, version):
                self.emit(kind, values + version, ts)
            elif self.outer[0]:
                self.emit(kind, self.pad(0, values), ts)
        held = self.versions.get(key, {})
        for time in sorted(time for time in held if time <= value)[:-1]:
            del held[time]


class CurrentJoin(Join):
    """FOR SYSTEM_TIME AS OF a processing time: the version there is when the left row comes."""

    def __init__(self, kind, widths, condition, keys):
        super().__init__(kind, widths, condition, keys)
        self.versions = {}

    def on_row(self, port, kind, values, ts):
        if port == 1:
            if kind in ("+I", "+U"):
                self.versions[self.key_of(1, values)] = values
            else:
                self.versions.pop(self.key_of(1, values), None)
            return
        version = self.versions.get(self.key_of(0, values))
        if version is not None and self.meets(values, version):
            self.emit(kind, values + version, ts)
        elif self.outer[0]:
            self.emit(kind, self.pad(0, values), ts)


class RegularJoin(Join):
    """Both sides are kept; what a row changes in the joined table is sent on."""

    def __init__(self, kind, widths, condition):
        super().__init__(kind, widths, condition, ((), ()))
        self.rows = ([], [])

    def table(self):
        left, right = self.rows
        if self.kind in ("SEMI", "ANTI"):
            return [a for a in left if any(self.meets(a, b) for b in right) == (self.kind == "SEMI")]
        made, met = [], set()
        for a in left:
            some = [i for i, b in enumerate(right) if self.meets(a, b)]
            met.update(some)
            made += [a + right[i] for i in some]
            if not some and self.outer[0]:
                made.append(self.pad(0, a))
        if self.outer[1]:
            made += [self.pad(1, b) for i, b in enumerate(right) if i not in met]
        return made

    def on_row(self, port, kind, values, ts):
        before = self.table()
        if kind in ("+I", "+U"):
            self.rows[port].append(values)
        elif values in self.rows[port]:
            self.rows[port].remove(values)
        after = self.table()
        for row in net([(True, row) for row in before] + [(False, row) for row in after]):
            self.emit("-D", row)
        for row in net([(True, row) for row in after] + [(False, row) for row in before]):
            self.emit("+I", row)


# ---- planning

def plan(planner, tree, where):
    """The joined relation; with `where`, a list of conditions, also what is left of it."""
    left, right = planner.table(tree.left), planner.table(tree.right)
    conditions, rest = conjuncts(tree.on), []
    if where is not None:
        from query import is_semi
        inner = tree.kind in ("INNER", "CROSS")
        rest = [c for c in where if is_semi(c) or not inner]
        conditions = conditions + ([c for c in where if not is_semi(c)] if inner else [])
    kind = "INNER" if tree.kind == "CROSS" else tree.kind
    made = connect(planner, kind, left, right, conditions, getattr(tree.right, "as_of", None))
    return made if where is None else (made, rest)


def connect(planner, kind, left, right, conditions, as_of=None):
    from query import Relation, where_of
    columns = left.columns + right.columns
    widths = len(left.columns), len(right.columns)
    scope = Scope(columns)
    whole = where_of(conditions)
    condition = compile_expression(whole, scope)[0] if whole else (lambda row: True)
    equal = [pair for c in conditions if (pair := equality(c, scope, widths[0]))]
    keys = tuple(tuple((lambda row, i=i: row[i]) for i in side) for side in ([a for a, _ in equal], [b - widths[0] for _, b in equal]))
    roles = [(columns[a].role, columns[b].role) for a, b in equal]
    if ("start", "start") in roles and ("end", "end") in roles:
        if planner.by_clock:
            raise NotImplementedError("joins of windows by the clock")
        node = WindowJoin(kind, widths, condition, (left.by_role("end"), right.by_role("end")))
    elif as_of is not None:
        time = scope.find(as_of[1], as_of[2]) if as_of[0] == "col" else None
        right_time = right.by_role("rowtime")
        if time is not None and columns[time].role == "rowtime":
            node = TemporalJoin(kind, widths, condition, keys, (time, right_time))
        else:
            node = CurrentJoin(kind, widths, condition, keys)
    elif (bounds := interval(conditions, columns, scope, widths[0])) is not None:
        times, low, high, others = bounds
        whole = where_of(others)
        condition = compile_expression(whole, scope)[0] if whole else (lambda row: True)
        node = IntervalJoin(kind, widths, condition, keys, times, low, high)
    else:
        if any(columns[scope.find(c[1], c[2])].role == "proctime" for c in columns_of(conditions)):
            raise NotImplementedError("a join over an interval of the clock")
        node = RegularJoin(kind, widths, condition)
    left.node.feeds(node, 0)
    right.node.feeds(node, 1)
    if kind in ("SEMI", "ANTI"):
        return Relation(node, left.columns)
    if isinstance(node, RegularJoin):
        columns = [c._replace(role=None) for c in columns]
    return Relation(node, columns)


def equality(condition, scope, width):
    """(index of the left column, of the right one) for left.x = right.y."""
    if condition[0] != "compare" or condition[1] != "=" or condition[2][0] != "col" or condition[3][0] != "col":
        return None
    a, b = sorted(scope.find(e[1], e[2]) for e in condition[2:4])
    return (a, b) if a < width <= b else None


def linear(tree, scope):
    """(index of a time column, milliseconds added) or None."""
    if tree[0] == "col":
        return scope.find(tree[1], tree[2]), 0
    if tree[0] == "bin" and tree[1] in "+-" and tree[3][0] == "lit" and (made := linear(tree[2], scope)):
        return made[0], made[1] + (tree[3][1] if tree[1] == "+" else -tree[3][1])
    return None


def interval(conditions, columns, scope, width):
    """((left time, right time), low, high, other conditions): left - right lies between low and high."""
    low = high = times = None
    others = []
    for condition in conditions:
        parts = [condition]
        if condition[0] == "between":
            parts = [("compare", ">=", condition[1], condition[2]), ("compare", "<=", condition[1], condition[3])]
        found = [bound_of(part, columns, scope, width) for part in parts]
        if None in found:
            others.append(condition)
            continue
        for own, is_low, value in found:
            times = own
            if is_low in (True, None):
                low = value if low is None else max(low, value)
            if is_low in (False, None):
                high = value if high is None else min(high, value)
    return (times, low, high, others) if low is not None and high is not None else None


def bound_of(condition, columns, scope, width):
    """(times, whether it is the lower bound, or None for both, of left - right, value)"""
    if condition[0] != "compare" or condition[1] == "<>":
        return None
    a, b = linear(condition[2], scope), linear(condition[3], scope)
    if not a or not b or columns[a[0]].role != "rowtime" or columns[b[0]].role != "rowtime" or (a[0] < width) == (b[0] < width):
        return None
    sign = condition[1]
    if a[0] >= width:
        a, b, sign = b, a, {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "="}[sign]
    value = b[1] - a[1]
    times = a[0], b[0] - width
    if sign == "=":
        return times, None, value
    return times, sign[0] == ">", value + (1 if sign == ">" else -1 if sign == "<" else 0)


def semi(planner, source, condition):
    """EXISTS, NOT EXISTS, IN (SELECT ..)."""
    kind = "ANTI" if condition[0] == "not" else "SEMI"
    condition = condition[1] if condition[0] == "not" else condition
    from query import Relation
    if condition[0] == "in_query" and kind == "ANTI":
        raise NotImplementedError("NOT IN with a query")
    if holds_query(condition[1] if condition[0] == "in_query" else condition[1].items):
        raise NotImplementedError("a query within EXISTS or beside IN")
    if condition[0] == "in_query":
        try:
            right = planner.query(condition[2]).named("$in")
        except KeyError:
            raise NotImplementedError("IN of a query that names columns outside of it") from None
        return connect(planner, kind, source, right, [("compare", "=", condition[1], ("col", "$in", right.columns[0].name))])
    query = condition[1]
    if query.group is not None or query.having is not None or find_calls([e for e, _ in query.items]):
        raise NotImplementedError("EXISTS of groups")
    right, where = planner.source_of(sql.Select(query.items, query.table, None))
    both = Scope(source.columns + right.columns)
    right_only, correlated = [], []
    for each in conjuncts(query.where):
        sides = {both.find(c[1], c[2]) >= len(source.columns) for c in columns_of(each)}
        (right_only if sides == {True} and not ambiguous(each, right) else correlated).append(each)
    for each in right_only:
        right = right.where(each)
    assert isinstance(right, Relation) and not where
    return connect(planner, kind, source, right, correlated)


def holds_query(tree):
    if isinstance(tree, (sql.Select, sql.Union)):
        return True
    return isinstance(tree, (list, tuple)) and any(holds_query(part) for part in tree)


def ambiguous(tree, right):
    return any(c[1] is None and c[2] not in [column.name for column in right.columns] for c in columns_of(tree))
