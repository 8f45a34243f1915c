"""Random programs of windows of the DataStream API: every assigner with every trigger and evictor, by event time and by the clock; its interval join."""

import inputs
from programs import BOUNDS, construct, no_null_key, selected

COLUMNS = {"k": "STRING", "v": "INT"}
GAPS = "CASE WHEN k = 'a' THEN 3000 WHEN v > 4 THEN 1000 ELSE 2000 END"
DELTAS = ["COALESCE(v, 0) - COALESCE(last_v, 1)", "ABS(COALESCE(v - last_v, 2))"]


def assigners(rng, time):
    """Those of a kind of time, and the global one. By the clock no row comes in the last millisecond of a window: whether a second one at the
    same moment finds the window open is left open."""
    size, odd = rng.choice([1000, 2000, 3000, 5000]), 1 if time == "EventTime" else 250
    return [{"type": f"Tumbling{time}Windows", "size_ms": size, "offset_ms": rng.choice([0, 0, odd, 500, -700])},
            {"type": f"Sliding{time}Windows", "size_ms": 3000, "slide_ms": rng.choice([1000, 1500, 2000, 4000]), "offset_ms": rng.choice([0, 0, 250])},
            {"type": f"{time.removesuffix('Time')}TimeSessionWindows", "gap_ms": rng.choice([odd, 1000, 2000])},
            {"type": f"Dynamic{time}SessionWindows", "gap_expression_ms": GAPS},
            {"type": "GlobalWindows"}]


def triggers(rng):
    return [{"type": "EventTimeTrigger"}, {"type": "ProcessingTimeTrigger"}, {"type": "CountTrigger", "count": rng.randrange(1, 5)},
            {"type": "ContinuousEventTimeTrigger", "interval_ms": rng.choice([700, 1000, 2000])},
            {"type": "ContinuousProcessingTimeTrigger", "interval_ms": rng.choice([700, 1000, 2000])},
            {"type": "DeltaTrigger", "expression": rng.choice(DELTAS), "threshold": rng.choice([0, 1.5, 4])}]


def evictors(rng, timed):
    """Rows without a time are of the moment in which they come, for leat; Flink then evicts none by time."""
    made = [{"type": "CountEvictor", "max_count": rng.randrange(1, 4)}, {"type": "TimeEvictor", "window_size_ms": rng.choice([1, 1000, 2000])},
            {"type": "DeltaEvictor", "expression": rng.choice(DELTAS), "threshold": rng.choice([0, 1.5, 4])}]
    return made if timed else made[::2]


def maybe_evictor(rng, assigner, timed):
    """In which order the rows of merged sessions stand is left open, so nothing may count them."""
    if rng.random() < 0.6:
        return None
    some = [each for each in evictors(rng, timed) if "Session" not in assigner["type"] or each["type"] == "TimeEvictor"]
    return {**rng.choice(some), "evict_after": rng.random() < 0.5} if some else None


def window_program(rng, streams, assigner, trigger, late):
    """Bounds are selected where a window has them."""
    timed = assigner["type"] != "GlobalWindows"
    columns, select = selected(rng, BOUNDS if timed else {})
    outputs = {"main": {"columns": columns, "select": select}}
    if late:
        outputs["late"] = {"columns": {"k": "STRING", "v": "INT", "ts": "TIMESTAMP_LTZ(3)"}, "select": {"k": "k", "v": "v", "ts": "ts"}}
    program = {"kind": "window", "streams": streams, "key_by": ["k"], "assigner": assigner,
               "trigger": {**trigger, "purging": rng.random() < 0.3}, "allowed_lateness_ms": 0, "outputs": outputs}
    if evictor := maybe_evictor(rng, assigner, "event_time" in streams["in"]):
        program["evictor"] = evictor
    return program


def fits(assigner, trigger):
    """A window without an end has no firing at its end; what merges cannot have the trigger by distance."""
    if "Session" in assigner["type"]:
        return trigger["type"] != "DeltaTrigger"
    return assigner["type"] != "GlobalWindows" or trigger["type"] not in ("EventTimeTrigger", "ProcessingTimeTrigger")


@construct
def stream_trigger(rng):
    """Windows in event time with all triggers, those of the clock too."""
    shape = inputs.Shape(rng, 1000)
    shape.time_type, shape.base = "TIMESTAMP_LTZ(3)", rng.choice([0, 0, 1000, 1_602_288_000_000])
    streams = {"in": shape.stream(COLUMNS)}
    assigner = rng.choice(assigners(rng, "EventTime"))
    trigger = rng.choice([each for each in triggers(rng) if fits(assigner, each)])
    timed = assigner["type"] != "GlobalWindows"
    program = window_program(rng, streams, assigner, trigger, timed and rng.random() < 0.5)
    if timed:
        program["allowed_lateness_ms"] = rng.choice([0, 0, 1, 1000, 4000])
    endless = not timed and trigger["type"] == "ContinuousEventTimeTrigger"
    rows = inputs.rows_of(shape, streams, most=30, end=0 if endless else 0.6, clock=True)
    return program, rows, "unordered_between_markers", {"workers": 1, "batch": 1}


@construct
def stream_clock(rng):
    """Windows of the clock. Rows have a time of their own or none."""
    shape = inputs.Shape(rng, 1000, event_time=rng.random() < 0.3)
    shape.time_type, shape.base = "TIMESTAMP_LTZ(3)", 0
    streams = {"in": shape.stream(COLUMNS)}
    assigner = rng.choice(assigners(rng, "ProcessingTime"))
    trigger = rng.choice([each for each in triggers(rng) if fits(assigner, each) and "EventTime" not in each["type"]])
    program = window_program(rng, streams, assigner, trigger, False)
    rows = inputs.rows_of(shape, streams, most=30, end=0.3 if not shape.event_time else 0, clock=True)
    return program, rows, "unordered_between_markers", {"workers": 1, "batch": 1}


@construct
def stream_interval_join(rng):
    shape = inputs.Shape(rng, 1000)
    shape.time_type = "TIMESTAMP_LTZ(3)"
    streams = {name: shape.stream({"k": "STRING", "v": "INT"}) for name in ("left", "right")}
    low, high = rng.choice([(-1000, 1000), (0, 2000), (-2000, 0), (1000, 3000), (-3000, -1000), (0, 0), (-1, 1)])
    select = {"k": "`left`.k", "lv": "`left`.v", "rv": "`right`.v", "lt": "`left`.ts", "rt": "`right`.ts"}
    columns = {"k": "STRING", "lv": "INT", "rv": "INT", "lt": "TIMESTAMP_LTZ(3)", "rt": "TIMESTAMP_LTZ(3)"}
    program = {"kind": "interval_join", "streams": streams, "left": "left", "right": "right", "key_by": ["k"], "lower_bound_ms": low,
               "upper_bound_ms": high, "lower_bound_exclusive": low < high and rng.random() < 0.3,
               "upper_bound_exclusive": low < high - 1 and rng.random() < 0.3, "outputs": {"main": {"columns": columns, "select": select}}}
    for name in ("left", "right"):
        if rng.random() < 0.3:
            program["outputs"][f"late_{name}"] = {"columns": dict(streams[name]["columns"])}
    return program, inputs.rows_of(shape, streams, most=26, make=no_null_key(rng)), "unordered_between_markers"
