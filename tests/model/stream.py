"""What operators of the model share: they push rows and watermarks to one another, one at a time.

A row is (kind, values, timestamp): kind "+I", "-U", "+U" or "-D", values a tuple. Rows come first, then the watermark they cause.
"""

from values import LONG_MIN


class Valve:
    """Combines the watermarks of an operator's channels."""

    def __init__(self, channels):
        self.watermarks = [LONG_MIN] * channels
        self.active = [True] * channels
        self.aligned = [True] * channels
        self.last = LONG_MIN
        self.idle = False

    def watermark(self, channel, value):
        """What is sent on: [], or [value]."""
        if self.idle or not self.active[channel] or value <= self.watermarks[channel]:
            return []
        self.watermarks[channel] = value
        if value >= self.last:
            self.aligned[channel] = True
        return self.rise(self.minimum())

    def minimum(self):
        return min((w for w, aligned in zip(self.watermarks, self.aligned) if aligned), default=LONG_MIN)

    def rise(self, value):
        if value <= self.last:
            return []
        self.last = value
        return [value]

    def status(self, channel, idle):
        """What is sent on: watermarks, and "IDLE" or "ACTIVE"."""
        if idle == (not self.active[channel]):
            return []
        if idle:
            return self.sleep(channel)
        self.active[channel] = True
        if self.watermarks[channel] >= self.last:
            self.aligned[channel] = True
        if self.idle:
            self.idle = False
            return ["ACTIVE"]
        return []

    def sleep(self, channel):
        self.active[channel] = self.aligned[channel] = False
        held = self.watermarks[channel] == self.last
        if not any(self.active):
            self.idle = True
            return (self.rise(max(self.watermarks)) if held else []) + ["IDLE"]
        return self.rise(self.minimum()) if held else []


class Inputs:
    """Combines the watermarks of an operator's inputs: a valve each, the minimum over those that are not idle, the highest when all are."""

    def __init__(self, count):
        self.valves = [Valve(1) for _ in range(count)]
        self.watermarks = [LONG_MIN] * count
        self.idle = [False] * count
        self.last = LONG_MIN

    def update(self):
        awake = [w for w, idle in zip(self.watermarks, self.idle) if not idle]
        value = min(awake) if awake else max(self.watermarks)
        if value <= self.last:
            return []
        self.last = value
        return [value]

    def watermark(self, port, value):
        made = []
        for each in self.valves[port].watermark(0, value):
            self.watermarks[port] = each
            made += self.update()
        return made

    def status(self, port, idle):
        made, were_idle = [], all(self.idle)
        for each in self.valves[port].status(0, idle):
            if isinstance(each, str):
                self.idle[port] = idle
            else:
                self.watermarks[port] = each
            made += self.update()
        return made + (["IDLE" if idle else "ACTIVE"] if all(self.idle) != were_idle else [])


class Node:
    """An operator. Subclasses define on_row(port, kind, values, ts), on_watermark(value), and restored() for what a savepoint forgets."""

    inputs = 1
    one_stream = False  # the inputs are channels of one

    def __init__(self):
        self.targets = []
        self.valve = self.combine()
        self.now = LONG_MIN  # watermark

    def combine(self):
        return Valve(self.inputs) if self.one_stream or self.inputs == 1 else Inputs(self.inputs)

    def feeds(self, node, port=0):
        self.targets.append((node, port))
        return node

    def emit(self, kind, values, ts=None):
        for node, port in self.targets:
            node.on_row(port, kind, values, ts)

    def watermark(self, port, value):
        self.send_on(self.valve.watermark(port, value))

    def status(self, port, idle):
        self.send_on(self.valve.status(port, idle))

    def send_on(self, made):
        for each in made:
            if isinstance(each, str):
                for node, port in self.targets:
                    node.status(port, each == "IDLE")
            else:
                self.now = max(self.now, each)
                self.on_watermark(each)
                self.forward(each)

    def forward(self, value):
        for node, port in self.targets:
            node.watermark(port, value)

    def on_watermark(self, value):
        pass

    def on_clock(self, now_ms):
        pass

    def after_row(self):
        """When an input row has gone through all nodes, before the watermark that it causes."""

    def restored(self):
        self.valve = self.combine()
        self.now = LONG_MIN


class Collector(Node):
    """Results, as lines of expected.jsonl."""

    def __init__(self, names, lines, out="main", list_watermarks=False, upsert=False):
        super().__init__()
        self.names, self.lines, self.out = names, lines, out
        self.list_watermarks, self.upsert = list_watermarks, upsert

    def on_row(self, port, kind, values, ts):
        if self.upsert and kind == "-U":
            return
        line = dict(zip(self.names, values))
        if kind != "+I":
            line["__op__"] = kind
        if self.out != "main":
            line["__out__"] = self.out
        if ts is not None:
            line["__ts__"] = ts
        self.lines.append(line)

    def on_watermark(self, value):
        if self.list_watermarks:
            self.lines.append({"__watermark__": value})


class Map(Node):
    """Filter and projection. An expression that cannot be computed rejects its row."""

    def __init__(self, where, columns):
        super().__init__()
        self.where, self.columns = where, columns

    def on_row(self, port, kind, values, ts):
        try:
            if self.where is not None and self.where(values) is not True:
                return
            if self.columns is not None:
                values = tuple(column(values) for column in self.columns)
        except ZeroDivisionError:
            return
        self.emit(kind, values, ts)


class Merge(Node):
    """UNION ALL."""

    one_stream = True

    def __init__(self, inputs):
        self.inputs = inputs
        super().__init__()

    def on_row(self, port, kind, values, ts):
        self.emit(kind, values, ts)


class SetOperation(Node):
    """INTERSECT and EXCEPT: what a row changes in the table of those that are in both queries, or in the left one only."""

    inputs = 2

    def __init__(self, minus, everything):
        super().__init__()
        self.minus, self.everything = minus, everything
        self.counts = {}  # row: [left, right]

    def times(self, values):
        left, right = self.counts.get(values, (0, 0))
        if self.everything:
            return max(0, left - right) if self.minus else min(left, right)
        return int(left > 0 and (right > 0) != self.minus)

    def on_row(self, port, kind, values, ts):
        before = self.times(values)
        self.counts.setdefault(values, [0, 0])[port] += 1 if kind in ("+I", "+U") else -1
        after = self.times(values)
        for _ in range(abs(after - before)):
            self.emit("+I" if after > before else "-D", values)
