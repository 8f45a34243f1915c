"""Random inputs of process functions, those of tests/functions."""

import inputs
from programs import UNIT, construct


def process_program(streams, key_by, function, parameters, columns, **side):
    outputs = {"main": {"columns": columns}}
    outputs.update(side)
    return {"kind": "process", "streams": streams, "key_by": key_by, "function": function, "parameters": parameters, "outputs": outputs}


@construct
def process_rising(rng):
    shape = inputs.Shape(rng, UNIT)
    shape.nulls = 0
    streams = {"in": shape.stream({"k": "STRING", "d": "DOUBLE"})}
    by_event = rng.random() < 0.7
    parameters = {"value": "d", "duration_ms": rng.choice([0, 1, 1000, 3000] if by_event else [1, 1000, 3000]), "time": "event_time" if by_event else "processing_time"}
    program = process_program(streams, ["k"], "rising", parameters, {"k": "STRING", "alert_at": "TIMESTAMP_LTZ(3)"})
    return program, inputs.rows_of(shape, streams, clock=not by_event), "per_key:k"


@construct
def process_small_then_large(rng):
    shape = inputs.Shape(rng, UNIT, event_time=False)
    streams = {"in": shape.stream({"k": "STRING", "v": "INT", "d": "DOUBLE"})}
    parameters = {"small": "d < 1.00", "large": "v > 2", "emit": ["k", "v"]}
    if rng.random() < 0.6:
        parameters["within_ms"] = rng.choice([500, 1000, 1500])
    program = process_program(streams, ["k"], "small_then_large", parameters, {"k": "STRING", "v": "INT"})
    return program, inputs.rows_of(shape, streams, clock=True), "per_key:k"


@construct
def process_order_timeout(rng):
    shape = inputs.Shape(rng, UNIT)
    streams = {"in": shape.stream({"g": "INT", "v": "INT"})}
    parameters = {"open": "v < 3", "close": "v = 5 OR v = 10", "timeout_ms": rng.choice([0, 1000, 2500])}
    program = process_program(streams, ["g"], "order_timeout", parameters, {"g": "INT", "result": "STRING"},
                              timeout={"columns": {"g": "INT"}})
    return program, inputs.rows_of(shape, streams), "per_key:g"


@construct
def process_long_ride(rng):
    shape = inputs.Shape(rng, UNIT)
    streams = {"rides": shape.stream({"ride": "BIGINT", "starts": "BOOLEAN"})}
    state = {}

    def make(_, row):
        """Each ride has a start and an end, in either order."""
        ride = rng.randrange(3) + 1
        seen = state.setdefault(ride, [])
        row["ride"] = ride
        row["starts"] = not seen[0] if seen else rng.random() < 0.6
        seen.append(row["starts"])
        if len(seen) == 2:
            seen.clear()
    parameters = {"is_start": "starts", "limit_ms": rng.choice([1000, 3000, 5000])}
    program = process_program(streams, ["ride"], "long_ride", parameters, {"ride": "BIGINT"})
    return program, inputs.rows_of(shape, streams, make=make, savepoints=False), "per_key:ride"


@construct
def process_connected(rng):
    shape = inputs.Shape(rng, UNIT)
    streams = {name: shape.stream({"keyr": "BIGINT"}) for name in ("rides", "fares")}
    for stream in streams.values():
        stream["columns"]["ride_id"] = stream["columns"].pop("keyr")
        stream["columns"] = {"ride_id": "BIGINT", "ts": shape.time_type}

    def make(_, row):
        row["ride_id"] = rng.randrange(3)
    program = process_program(streams, ["ride_id"], "rides_and_fares", {}, {"ride_id": "BIGINT", "fare_ride_id": "BIGINT"})
    return program, inputs.rows_of(shape, streams, make=make), "per_key:ride_id"


@construct
def process_timer_at(rng):
    shape = inputs.Shape(rng, UNIT)
    streams = {"in": shape.stream({"g": "INT"})}
    parameters = {"timer_ms": shape.base + rng.choice([0, 1000, 5000]), "on_timer": 1777}
    return process_program(streams, ["g"], "timer_at", parameters, {"out": "INT"}), inputs.rows_of(shape, streams), "unordered_between_markers"


PTF_COLUMNS = {"score": "INT", "timer": "STRING", "for": "BIGINT", "time": "BIGINT", "watermark": "BIGINT", "rowtime": "TIMESTAMP_LTZ(3)"}


@construct
def table_function(rng):
    shape = inputs.Shape(rng, 1)
    shape.base, shape.nulls, shape.time_type = 0, 0, "TIMESTAMP_LTZ(3)"
    streams = {"t": shape.stream({"name": "STRING", "score": "INT"})}
    function = rng.choice(["late_timers", "unnamed_timers", "append_score", "counting_state", "named_timers"])
    order = rng.choice(["", " ORDER BY ts", " ORDER BY (ts ASC, score DESC)", " ORDER BY (ts, score)"]) if rng.random() < 0.5 else ""

    def make(_, row):
        row["name"] = rng.choice(["Bob", "Alice", "Eve"][:shape.keys])
    if function == "append_score":
        columns = {"name": "STRING", "score": "INT", "time": "BIGINT", "watermark": "BIGINT", "seen": "ARRAY<INT>", "rowtime": "TIMESTAMP_LTZ(3)"}
    else:
        columns = {"name": "STRING", "event": "STRING", **({"state": "INT"} if function == "counting_state" else {}), **PTF_COLUMNS}
    query = f"SELECT * FROM {function}(r => TABLE t PARTITION BY name{order}, on_time => DESCRIPTOR(ts))"
    program = {"kind": "ptf", "streams": streams, "function": function, "query": query, "outputs": {"main": {"columns": columns}}}
    # Of several instances each sees only some of the watermarks.
    return program, inputs.rows_of(shape, streams, make=make), "per_key:name", {"workers": 1}
