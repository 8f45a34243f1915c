"""Window table functions and aggregation, in event time."""

from aggregate import count_of
from stream import Node


def start_of(ts, offset, size):
    """Start of the window of `size`, moved by `offset`, that holds ts; right for negative times too."""
    return ts - (ts - offset) % size


def assign(kind, lengths, ts):
    """(start, end) of each window that ts belongs to; lengths as in SQL."""
    if kind == "TUMBLE":
        size, offset = lengths[0], lengths[1] if len(lengths) > 1 else 0
        start = start_of(ts, offset, size)
        return [(start, start + size)]
    step, size, offset = lengths[0], lengths[1], lengths[2] if len(lengths) > 2 else 0
    if kind == "HOP":
        last = start_of(ts, offset, step)
        return [(start, start + size) for start in range(last, ts - size, -step)]
    start = start_of(ts, offset, size)
    return [(start, end) for end in range(start + step, start + size + step, step) if end > ts]


class WindowFunction(Node):
    """TUMBLE, HOP, CUMULATE: each row once for each of its windows, with window_start, window_end and window_time behind."""

    def __init__(self, kind, lengths, time):
        super().__init__()
        self.kind, self.lengths, self.time = kind, lengths, time

    def on_row(self, port, kind, values, ts):
        at = values[self.time]
        for start, end in assign(self.kind, self.lengths, at):
            self.emit(kind, values + (start, end, end - 1))


class SessionFunction(Node):
    """SESSION: rows come out when their session closes. The test for lateness is made on the merged session."""

    def __init__(self, gap, time, keys):
        super().__init__()
        self.gap, self.time, self.keys = gap, time, keys
        self.sessions = {}  # key: list of [start, end, rows]
        self.count = 0
        self.by_clock = False
        self.aggregated = False  # then the operator remembers its watermark

    def on_row(self, port, kind, values, ts):
        at = values[self.time]
        key = tuple(values[i] for i in self.keys)
        mine = self.sessions.setdefault(key, [])
        start, end = at, at + self.gap
        touched = [s for s in mine if s[0] <= end and s[1] >= start]
        start, end = min([start] + [s[0] for s in touched]), max([end] + [s[1] for s in touched])
        if end - 1 <= self.now:
            return
        self.count += 1
        rows = sorted([row for s in touched for row in s[2]] + [(self.count, kind, values)], key=lambda row: row[0])
        self.sessions[key] = [s for s in mine if s not in touched] + [[start, end, rows]]

    def on_clock(self, now_ms):
        if self.by_clock:
            self.fire(now_ms)

    def on_watermark(self, value):
        if not self.by_clock:
            self.fire(value)

    def fire(self, value):
        due = [(s[1], number, key, s) for number, (key, some) in enumerate(self.sessions.items()) for s in some if s[1] - 1 <= value]
        for _, _, key, session in sorted(due, key=lambda item: item[:2]):
            self.sessions[key].remove(session)
            start, end, rows = session
            for _, kind, values in rows:
                self.emit(kind, values + (start, end, end - 1))

    def restored(self):
        now = self.now
        super().restored()
        if self.aggregated:
            self.now = now


class WindowAggregate(Node):
    """GROUP BY with window_start and window_end. Rows come with their windows; a row whose window has fired is late for that window.

    Grouping sets: each row counts once in every set, with NULL for the keys that the set leaves out."""

    def __init__(self, keys, sets, aggregates, start, end):
        super().__init__()
        self.keys, self.sets, self.aggregates = keys, sets, aggregates  # keys: functions of a row; sets: of indexes into keys
        self.start, self.end = start, end
        self.windows = {}  # (end, start): {(set, key): [rows]}
        self.by_clock = False

    def on_row(self, port, kind, values, ts):
        start, end = values[self.start], values[self.end]
        if end - 1 <= self.now and not self.by_clock:
            return
        key = [run(values) for run in self.keys]
        groups = self.windows.setdefault((end, start), {})
        for number, held in enumerate(self.sets):
            rows = groups.setdefault((number, tuple(k if i in held else None for i, k in enumerate(key))), [])
            rows.append((kind in ("+I", "+U"), values))

    def on_clock(self, now_ms):
        if self.by_clock:
            self.fire(now_ms)

    def on_watermark(self, value):
        if not self.by_clock:
            self.fire(value)

    def fire(self, value):
        for end, start in sorted(self.windows):
            if end - 1 > value:
                break
            for (number, key), rows in self.windows.pop((end, start)).items():
                if count_of(rows):
                    marks = tuple(0 if i in self.sets[number] else 1 for i in range(len(key)))
                    made = key + marks + tuple(a.of(rows) for a in self.aggregates) + (start, end, end - 1)
                    self.emit("+I", made, None if self.by_clock else end - 1)

    def forward(self, value):
        super().forward(max(value, self.now))

    def restored(self):
        now = self.now
        super().restored()
        self.now = now  # what was late stays late


class GroupAggregate(Node):
    """GROUP BY without a window: one change for each row, none when the value stays."""

    def __init__(self, keys, sets, aggregates, ttl=0):
        super().__init__()
        self.keys, self.sets, self.aggregates, self.ttl = keys, sets, aggregates, ttl
        self.groups = {}  # (set, key): (rows, last result)
        self.written, self.clock = {}, 0
        self.timed = True

    def on_clock(self, now_ms):
        self.clock = now_ms

    def on_row(self, port, kind, values, ts):
        ts = ts if self.timed else None
        key = [run(values) for run in self.keys]
        for number, held in enumerate(self.sets):
            group = number, tuple(k if i in held else None for i, k in enumerate(key))
            self.change(group, kind in ("+I", "+U"), values, ts)

    def change(self, group, add, values, ts):
        if self.ttl and group in self.groups and self.written[group] + self.ttl <= self.clock:
            del self.groups[group]
        rows, last = self.groups.get(group, ([], None))
        self.written[group] = self.clock
        if last is None and not add:
            return
        rows.append((add, values))
        number, key = group
        if not count_of(rows):
            del self.groups[group]
            self.emit("-D", last, ts)
            return
        marks = tuple(0 if i in self.sets[number] else 1 for i in range(len(key)))
        result = key + marks + tuple(a.of(rows) for a in self.aggregates)
        self.groups[group] = rows, result
        if last is None:
            self.emit("+I", result, ts)
        elif result != last or self.ttl:  # else the next operator would let go of the group
            self.emit("-U", last, ts)
            self.emit("+U", result, ts)
