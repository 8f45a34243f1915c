"""Values as Python has them: times are milliseconds, DECIMAL is Decimal, FLOAT a double rounded to four bytes, NULL None."""

import datetime
import struct
from decimal import ROUND_HALF_UP, Decimal

EPOCH = datetime.datetime(1970, 1, 1)
MILLISECOND = datetime.timedelta(milliseconds=1)
LONG_MIN, LONG_MAX = -2 ** 63, 2 ** 63 - 1
INTEGERS = {"TINYINT": 8, "SMALLINT": 16, "INT": 32, "BIGINT": 64, "INTERVAL": 64}
FLOATS = ("DOUBLE", "FLOAT")


def parse_time(text):
    text = text.rstrip("Z").replace("T", " ")
    if "." not in text:
        text += ".0"
    return (datetime.datetime.strptime(text, "%Y-%m-%d %H:%M:%S.%f") - EPOCH) // MILLISECOND


def print_time(ms):
    return (EPOCH + ms * MILLISECOND).strftime("%Y-%m-%d %H:%M:%S.") + f"{ms % 1000:03d}"


def round_float(value):
    return struct.unpack("f", struct.pack("f", value))[0]


def wrap(value, bits):
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def scale_of(kind):
    return int(kind[:-1].split(",")[1]) if "," in kind else 0


def from_json(value, kind):
    """A value of an input row."""
    if value is None:
        return None
    if kind.startswith("TIMESTAMP"):
        return value if isinstance(value, int) else parse_time(value)
    if kind.startswith("DECIMAL"):
        return Decimal(str(value))
    if kind == "FLOAT":
        return round_float(float(value))
    if kind == "DOUBLE":
        return float(value)
    if kind.startswith("ARRAY<"):
        return tuple(from_json(item, kind[6:-1]) for item in value)
    return value


def cast(value, kind, to):
    if value is None or kind == to:
        return value
    if to in INTEGERS:
        if kind == "STRING":
            value = int(value.strip())
        return wrap(int(value), INTEGERS[to])
    if to in FLOATS:
        return round_float(float(value)) if to == "FLOAT" else float(value)
    if to.startswith("DECIMAL"):
        return Decimal(str(value)).quantize(Decimal(1).scaleb(-scale_of(to)), ROUND_HALF_UP)
    if to.startswith("TIMESTAMP") and kind.startswith("TIMESTAMP"):
        return value
    if to == "STRING":
        return {True: "TRUE", False: "FALSE"}[value] if kind == "BOOLEAN" else str(value)
    raise NotImplementedError(f"CAST of {kind} to {to}")


def wider(a, b):
    """The type of an arithmetic result, a comparison, a CASE."""
    if a == b or b == "NULL":
        return a
    if a == "NULL":
        return b
    if a in FLOATS or b in FLOATS:
        return "DOUBLE" if "DOUBLE" in (a, b) or a not in FLOATS or b not in FLOATS else "FLOAT"
    if a in INTEGERS and b in INTEGERS:
        return a if INTEGERS[a] >= INTEGERS[b] else b
    if a.startswith("DECIMAL") or b.startswith("DECIMAL"):
        return f"DECIMAL(38, {max(scale_of(a), scale_of(b))})"
    if a.startswith("TIMESTAMP") and b.startswith("TIMESTAMP"):
        return a
    raise TypeError(f"{a} and {b} do not go together")
