"""Random inputs: few keys, NULLs, repeats, disorder, times exactly at the ends of windows, late rows, idle marks, savepoints, no end at all."""

from values import print_time

KEYS = {"STRING": ["a", "b", "c"], "INT": [1, 2, 3], "BIGINT": [1, 2, 30]}
BASES = [0, 0, 0, 1_602_288_000_000, -20_000]


class Shape:
    """What the streams of one case have in common."""

    def __init__(self, rng, unit=1000, event_time=True):
        self.rng = rng
        self.unit = unit
        self.base = rng.choice(BASES)
        self.nulls = rng.choice([0, 0, 0.1, 0.3])
        self.keys = rng.choice([1, 2, 3])
        self.disorder = rng.choice([0, 0, 1, 3, 8, 20])
        self.event_time = event_time
        self.time_type = rng.choice(["TIMESTAMP(3)", "TIMESTAMP_LTZ(3)"])
        self.strategy = rng.choice(["expression", "expression", "bounded_out_of_orderness", "ascending", "explicit"])

    def maybe_no_watermark(self):
        if self.rng.random() < 0.2:
            self.strategy = "none"

    def watermark(self, time, strategies=None):
        strategy = self.rng.choice(strategies) if strategies else self.strategy
        delay = self.rng.choice([0, 1, self.unit, 2 * self.unit, 3 * self.unit + 1])
        if strategy == "expression":
            text = f"{time} - INTERVAL '{delay // 1000}.{delay % 1000:03d}' SECOND" if delay else time
            return {"strategy": strategy, "expression": text, "delay_ms": delay, "sql_semantics": True}
        if strategy == "bounded_out_of_orderness":
            return {"strategy": strategy, "delay_ms": delay, "sql_semantics": False}
        if strategy == "ascending":
            return {"strategy": strategy, "delay_ms": 0, "sql_semantics": False}
        return {"strategy": strategy}

    def stream(self, columns=None, time="ts", strategies=None):
        made = {"columns": dict(columns or {"k": "STRING", "g": "INT", "v": "INT", "w": "BIGINT", "d": "DOUBLE", "s": "STRING"})}
        if self.event_time:
            made["columns"][time] = self.time_type
            made["event_time"] = time
            made["watermark"] = self.watermark(time, strategies)
        return made


def value(shape, name, kind):
    rng = shape.rng
    if rng.random() < shape.nulls:
        return None
    if name in ("k", "g") or name.startswith("key"):
        return KEYS[kind][rng.randrange(shape.keys)]
    if kind == "INT" or kind == "BIGINT":
        return rng.choice([0, 1, 2, 3, 5, 10, -1, -4, rng.randrange(-9, 30)])
    if kind.startswith("DECIMAL"):
        return rng.choice([0, 1.25, -0.01, 99.99, rng.randrange(-500, 5000) / 100])
    if kind == "DOUBLE":
        return rng.choice([0.0, 1.5, 2.25, -3.0, 10.0, rng.randrange(-40, 80) / 4])
    if kind == "STRING":
        return rng.choice(["x", "y", "zz", "", "Hello"])
    if kind == "BOOLEAN":
        return rng.random() < 0.5
    raise ValueError(kind)


def time_text(kind, ms):
    return ms if kind == "TIMESTAMP_LTZ(3)" else print_time(ms)


class Clock:
    """The event time of one stream as it goes on."""

    def __init__(self, shape):
        self.shape, self.now, self.highest = shape, shape.base, None

    def next(self):
        rng, unit = self.shape.rng, self.shape.unit
        self.now += rng.choice([0, 0, unit // 2, unit, unit, 2 * unit, 5 * unit]) if rng.random() > 0.05 else 20 * unit
        at = self.now - (rng.randrange(self.shape.disorder + 1) * unit if self.shape.disorder else 0)
        at += rng.choice([0, 0, 0, 0, -1, 1])
        self.highest = at if self.highest is None else max(self.highest, at)
        return at


def rows_of(shape, streams, most=36, savepoints=True, idle=True, make=None, end=0.8, clock=False):
    """Input lines. make(stream name, row): a last hand on a row."""
    rng = shape.rng
    count = rng.choice([0, 1, 2, 3]) if rng.random() < 0.05 else rng.randrange(4, most)
    names, lines = list(streams), []
    clocks = {name: Clock(shape) for name in names}
    asleep, now_ms = set(), 0
    base = {"__stream__": None} if len(names) > 1 else {}
    for _ in range(count):
        name = rng.choice(names)
        mark = dict(base, **({"__stream__": name} if base else {}))
        if name in asleep:
            lines.append({**mark, "__status__": "ACTIVE"})
            asleep.discard(name)
        if clock and rng.random() < 0.3:
            now_ms += rng.choice([1, 500, 1000, 3000])
            lines.append({"__proctime__": now_ms})
        lines.append(one_row(shape, streams[name], clocks[name], mark, make, name))
        explicit = streams[name].get("watermark", {}).get("strategy") == "explicit"
        if explicit and rng.random() < 0.4:
            lines.append({**mark, "__watermark__": clocks[name].highest - rng.choice([0, 1, 2, 3, -1, 8]) * rng.choice([1, shape.unit])})
        if savepoints and rng.random() < 0.006:
            if not asleep:
                lines.append({"__savepoint__": True})
        elif idle and rng.random() < 0.02 and shape.event_time and streams[name].get("watermark", {}).get("strategy") != "none":
            lines.append({**mark, "__status__": "IDLE"})
            asleep.add(name)
    for name in sorted(asleep):
        lines.append({**({"__stream__": name} if base else {}), "__status__": "ACTIVE"})
    if rng.random() < end:
        lines.append({"__end__": True})
    return lines


def one_row(shape, stream, clock, mark, make, name):
    row = dict(mark)
    for column, kind in stream["columns"].items():
        if column == stream.get("event_time"):
            row[column] = time_text(kind, clock.next())
        else:
            row[column] = value(shape, column, kind)
    if make:
        make(name, row)
    return row
