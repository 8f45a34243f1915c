"""ROW_NUMBER, RANK and DENSE_RANK with a bound in WHERE: Top-N and deduplication, within windows and as a changelog."""

from aggregate import net
from expression import Column, compile_expression
from process import sort_rows
from stream import Node

RANKS = ("ROW_NUMBER", "RANK", "DENSE_RANK")
TAKE_INSERTS = {"WindowAggregate", "WindowRank", "Deduplicate", "Over", "ClockOver", "Patterns", "IntervalJoin", "WindowJoin"}


class Bounds:
    def __init__(self):
        self.low, self.high = 1, None


def bounds_of(conditions, name):
    """What conditions say of column `name`, and the conditions that say nothing of it."""
    bounds, rest = Bounds(), []
    for condition in conditions:
        if condition[0] == "compare" and condition[2][0] == "col" and condition[2][2] == name and condition[3][0] == "lit":
            sign, number = condition[1], condition[3][1]
        elif condition[0] == "compare" and condition[3][0] == "col" and condition[3][2] == name and condition[2][0] == "lit":
            sign, number = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "="}[condition[1]], condition[2][1]
        elif condition[0] == "between" and condition[1][0] == "col" and condition[1][2] == name:
            bounds.low, bounds.high = max(bounds.low, condition[2][1]), condition[3][1]
            continue
        else:
            rest.append(condition)
            continue
        if sign in ("=", "<=", "<"):
            high = number - (sign == "<")
            bounds.high = high if bounds.high is None else min(bounds.high, high)
        if sign in ("=", ">=", ">"):
            bounds.low = max(bounds.low, number + (sign == ">"))
    return bounds, rest


def ranked(rows, order, kind, bounds, last_wins=False):
    """(row, rank) of those within the bounds."""
    rows = sort_rows(rows[::-1] if last_wins else rows, order)
    made, place, last = [], 0, None
    for number, row in enumerate(rows, 1):
        key = [run(row) for run, _, _ in order]
        if kind == "ROW_NUMBER" or key != last:
            place = place + 1 if kind == "DENSE_RANK" else number
        last = key
        if bounds.low <= place and (bounds.high is None or place <= bounds.high):
            made.append((row, place))
    return made


class WindowRank(Node):
    def __init__(self, keys, order, kind, bounds, end):
        super().__init__()
        self.keys, self.order, self.kind, self.bounds, self.end = keys, order, kind, bounds, end
        self.windows = {}
        self.last_wins = False  # deduplication that keeps the last: of equal times the one that came last

    def on_row(self, port, kind, values, ts):
        if values[self.end] - 1 > self.now:
            self.windows.setdefault(values[self.end], {}).setdefault(tuple(run(values) for run in self.keys), []).append(values)

    def on_watermark(self, value):
        for end in sorted(self.windows):
            if end - 1 > value:
                break
            for rows in self.windows.pop(end).values():
                for row, place in ranked(rows, self.order, self.kind, self.bounds, self.last_wins):
                    self.emit("+I", row + (place,), end - 1)

    def forward(self, value):
        super().forward(max(value, self.now))

    def restored(self):
        now = self.now
        super().restored()
        self.now = now


class Rank(Node):
    """Without a window: what a row changes in the table of the first ones. Only the table, not the way to it, is the same everywhere."""

    def __init__(self, keys, order, kind, bounds):
        super().__init__()
        self.keys, self.order, self.kind, self.bounds = keys, order, kind, bounds
        self.rows = {}

    def on_row(self, port, kind, values, ts):
        key = tuple(run(values) for run in self.keys)
        before = ranked(net(self.rows.get(key, [])), self.order, self.kind, self.bounds)
        self.rows.setdefault(key, []).append((kind in ("+I", "+U"), values))
        self.rows[key] = [(True, row) for row in net(self.rows[key])]
        after = ranked([row for _, row in self.rows[key]], self.order, self.kind, self.bounds)
        old, new = net([(True, item) for item in before] + [(False, item) for item in after]), net(
            [(True, item) for item in after] + [(False, item) for item in before])
        for row, place in old:
            self.emit("-D", row + (place,))
        for row, place in new:
            self.emit("+I", row + (place,))


class Deduplicate(Node):
    """ROW_NUMBER() = 1 by a time attribute: one row for each key, replaced by an earlier (first) or later (last) one."""

    def __init__(self, keys, time, last, by_arrival, ttl=0):
        super().__init__()
        self.keys, self.time, self.last, self.by_arrival, self.ttl = keys, time, last, by_arrival, ttl
        self.rows, self.written, self.clock = {}, {}, 0
        self.waits = False  # the first row: it leaves when the watermark reaches it, and once
        self.arrivals = 0

    def on_clock(self, now_ms):
        self.clock = now_ms

    def await_watermark(self, key, values, ts):
        at = values[self.time]
        if at < self.now or key in self.written and not (self.ttl and self.written[key] + self.ttl <= self.clock):
            return
        self.written.pop(key, None)
        if key not in self.rows or at < self.rows[key][0]:
            self.arrivals += 1
            self.rows[key] = (at, self.arrivals, values, ts)

    def on_watermark(self, value):
        if not self.waits:
            return
        for key, (at, _, values, ts) in sorted(self.rows.items(), key=lambda item: item[1][:2]):
            if at <= value:
                del self.rows[key]
                self.written[key] = self.clock
                self.emit("+I", values + (1,), ts)

    def keep(self, key, values):
        self.rows[key], self.written[key] = values, self.clock

    def changes_nothing(self, held, values):
        """By the clock, a last row equal to the one before; with a time to live the next operator has to hear of it all the same."""
        drop = lambda row: row[:self.time] + row[self.time + 1:]  # noqa: E731
        return self.by_arrival and not self.ttl and drop(held) == drop(values)

    def on_row(self, port, kind, values, ts):
        key = tuple(run(values) for run in self.keys)
        if self.waits:
            self.await_watermark(key, values, ts)
            return
        if self.ttl and key in self.rows and self.written[key] + self.ttl <= self.clock:
            del self.rows[key]
        held = self.rows.get(key)
        if held is None:
            self.keep(key, values)
            self.emit("+I", values + (1,))
            return
        at, own = values[self.time], held[self.time]
        if self.last if self.by_arrival else (at >= own if self.last else at < own):
            self.keep(key, values)
            if self.changes_nothing(held, values):
                return
            self.emit("-U", held + (1,))
            self.emit("+U", values + (1,))


def takes_inserts(node, passing):
    """Whether one of those that read the node, behind what passes rows on, takes new rows only."""
    return any(takes_inserts(target, passing) if isinstance(target, passing) else type(target).__name__ in TAKE_INSERTS for target, _ in node.targets)


def settle_forms(nodes, passing, inserts):
    """First rows by event time wait where their readers take new rows only: the result (inserts), or an operator."""
    for node in nodes:
        if isinstance(node, Deduplicate) and not node.last and not node.by_arrival:
            node.waits = inserts or takes_inserts(node, passing)


def plan(planner, nested, where):
    """For SELECT .. FROM (SELECT .., ROW_NUMBER() OVER (..) AS n FROM ..) WHERE n <= 3; None when the table is not of that form."""
    from query import Relation, expand, find_over, project, resolve
    query = nested.query
    found = [(e, alias) for e, alias in query.items if e[0] == "call" and e[1] in RANKS and e[5] is not None]
    if len(found) != 1:
        return None
    call, name = found[0]
    bounds, rest = bounds_of(where, name)
    if bounds.high is None:
        return None
    source, inner = planner.source_of(query)
    for condition in inner:
        source = source.where(condition)
    over = query.windows[call[5]] if isinstance(call[5], str) else call[5]
    partition = [resolve(e, [], source) for e in over[0]]
    order = [(resolve(e, [], source), descending, last) for e, descending, last in over[1]]
    scope = source.scope()
    node = node_of(source, scope, partition, order, call[1], bounds, planner.ttl())
    if isinstance(node, WindowRank) and planner.by_clock:
        raise NotImplementedError("ranks of windows by the clock")
    source.node.feeds(node)
    columns = [*source.columns, Column(None, name, "BIGINT")]
    items = [(e, alias) if not find_over(e) else (("col", None, name), name) for e, alias in query.items]
    made = Relation(node, columns)
    items = [(resolve(e, [], made), alias or (e[2] if e[0] == "col" else None)) for e, alias in expand_ranked(items, source, name)]
    return project(node, items, made.scope(), made).named(nested.alias), rest


def expand_ranked(items, source, name):
    from query import expand
    return [(e, alias) for item in items for e, alias in (expand([item], source.columns) if item[0][0] == "star" else [item])]


def node_of(source, scope, partition, order, kind, bounds, ttl):
    compiled = [(compile_expression(e, scope)[0], descending, last) for e, descending, last in order]
    roles = [source.role_of(e) for e in partition]
    if "start" in roles and "end" in roles:
        keys = [compile_expression(e, scope)[0] for e in partition]
        node = WindowRank(keys, compiled, kind, bounds, source.by_role("end"))
        timed = len(order) == 1 and source.role_of(order[0][0]) in ("was_time", "time", "rowtime")
        node.last_wins = timed and order[0][1] and bounds.high == 1 and kind == "ROW_NUMBER"
        return node
    keys = [compile_expression(e, scope)[0] for e in partition]
    role = source.role_of(order[0][0])
    if bounds.high == 1 and kind == "ROW_NUMBER" and role in ("rowtime", "proctime", "time") and len(order) == 1:
        return Deduplicate(keys, source.index_of(order[0][0]), order[0][1], role == "proctime", ttl)
    return Rank(keys, compiled, kind, bounds)


def keep_first_function(planner, tree):
    """DEDUPLICATE_KEEP_FIRST(input => TABLE t PARTITION BY k): the first row of each key, insert-only."""
    from query import Relation
    source = planner.table(tree.table)
    keys = [compile_expression(e, source.scope())[0] for e in tree.partition]
    node = source.node.feeds(First(keys))
    return Relation(node, source.columns)


class First(Node):
    def __init__(self, keys):
        super().__init__()
        self.keys, self.seen = keys, set()

    def on_row(self, port, kind, values, ts):
        key = tuple(run(values) for run in self.keys)
        if key not in self.seen:
            self.seen.add(key)
            self.emit("+I", values, ts)
