"""Random patterns with groups, times of stages, and conditions over the events taken so far."""

import inputs
from programs import construct, pattern_rows

CONTIGUITIES = ["next", "followed_by", "followed_by", "followed_by_any"]


class Maker:
    """Stages are numbered as they are made; `taken` are those whose events a condition may read."""

    def __init__(self, rng, windows):
        self.rng, self.windows = rng, windows
        self.number, self.groups, self.taken = 0, 0, []

    def sequence(self, count, depth):
        made = []
        for number in range(count):
            made.append(self.stage(number, made[-1] if made else {}, depth, number == count - 1))
        return made

    def stage(self, number, before, depth, last):
        rng = self.rng
        negation = number and not before.get("optional") and rng.random() < 0.15 and not (last and depth)
        if not negation and rng.random() < (0.5 if depth == 0 else 0.2 if depth == 1 else 0):
            return self.group(number, before, depth)
        stage = {"name": f"s{self.number}", "contiguity": "begin" if number == 0 else rng.choice(CONTIGUITIES)}
        self.number += 1
        stage["where"] = self.condition()
        if self.windows and rng.random() < 0.3:
            stage["within_ms"] = rng.choice([1, 1000, 1000, 2000])
        if negation:
            stage["contiguity"] = rng.choice(["not_next", "not_followed_by"])
            return stage
        if rng.random() < 0.3:
            self.repeat(stage)
            if stage["quantifier"]["to"] is None and rng.random() < 0.2:
                stage["until"] = "name = 'd'"
            elif rng.random() < 0.3 and stage["inner_contiguity"] != "combinations":
                stage["greedy"] = True
        self.leave_out(stage, number, before)
        self.taken.append(stage["name"])
        return stage

    def group(self, number, before, depth):
        rng = self.rng
        group = {"name": f"g{self.groups}", "contiguity": "begin" if number == 0 else rng.choice(CONTIGUITIES)}
        self.groups += 1
        group["group"] = self.sequence(rng.randrange(1, 3), depth + 1)
        if rng.random() < 0.6:
            self.repeat(group)
            if group["quantifier"]["to"] is None and (all(can_be_empty(stage) for stage in group["group"]) or any(map(is_endless, group["group"]))):
                group["quantifier"]["to"] = group["quantifier"]["from"] + 1
            if group["quantifier"]["to"] is None and rng.random() < 0.2:
                group["until"] = "name = 'd'"
        self.leave_out(group, number, before)
        return group

    def repeat(self, stage):
        low = self.rng.randrange(1, 3)
        stage["quantifier"] = {"from": low, "to": self.rng.choice([None, None, low, low + 1])}
        stage["inner_contiguity"] = self.rng.choice(["relaxed", "consecutive", "combinations"])
        window = stage.pop("within_ms", None)
        if window:
            stage["quantifier"]["within_ms"] = window
        if stage["quantifier"]["to"] and self.rng.random() < 0.1:
            stage["quantifier"]["from"] = 0

    def leave_out(self, stage, number, before):
        zero = stage.get("quantifier", {}).get("from") == 0
        if (number or "group" in stage) and not zero and not before.get("greedy") and self.rng.random() < 0.2:
            stage["optional"] = True
        elif zero and number == 0 and "group" not in stage:
            stage["quantifier"]["from"] = 1

    def condition(self):
        rng = self.rng
        text = rng.choice([f"name = '{rng.choice('abc')}'", f"name = '{rng.choice('ab')}'", "name <> 'd'", "v > 1", "name IN ('a', 'b')"])
        if not self.taken or rng.random() > 0.2:
            return text
        other = rng.choice(self.taken)
        return text + rng.choice([f" AND v >= {other}.v", f" AND COUNT({other}.v) < 2", f" AND (SUM({other}.v) < 6 OR {other}.v IS NULL)",
                                  f" AND v >= COALESCE(FIRST({other}.v), 0)"])


def is_endless(stage):
    """Endless loops within endless loops make more partial matches than anybody waits for."""
    return ("quantifier" in stage and stage["quantifier"]["to"] is None) or any(map(is_endless, stage.get("group", [])))


def can_be_empty(stage):
    none = stage.get("optional") or stage["contiguity"].startswith("not") or stage.get("quantifier", {}).get("from") == 0
    return bool(none) or ("group" in stage and all(can_be_empty(each) for each in stage["group"]))


def negations_fit(stages):
    """No negation behind what may be left out; one may stand behind another."""
    fits = all(a["contiguity"].startswith("not") or not can_be_empty(a) for a, b in zip(stages, stages[1:]) if b["contiguity"].startswith("not"))
    return fits and all(negations_fit(stage["group"]) for stage in stages if "group" in stage)


def states(stage):
    """About how many states it becomes."""
    quantifier = stage.get("quantifier") or {}
    inner = sum(states(each) for each in stage["group"]) if "group" in stage else 2
    return inner * (quantifier.get("to") or quantifier.get("from", 1) + 1)


@construct
def pattern_groups(rng):
    shape = inputs.Shape(rng, 1000)
    # Nothing at 0: of a match that begins there Flink sets no timer, so that whether it is told to be over hangs on how far the watermark steps.
    shape.time_type, shape.base, shape.nulls = "TIMESTAMP_LTZ(3)", rng.choice([100_000, 1_602_288_000_000]), 0
    streams = {"in": shape.stream({"k": "STRING", "n": "INT", "name": "STRING", "v": "INT"})}
    while True:
        maker = Maker(rng, rng.random() < 0.3)
        stages = maker.sequence(rng.randrange(1, 4), 0)
        if negations_fit(stages) and sum(states(stage) for stage in stages) < 60:
            break
    names = [stage["name"] for stage in stages if "group" not in stage and not stage["contiguity"].startswith("not")]
    skip = rng.choice([{"strategy": "no_skip"}, {"strategy": "no_skip"}, {"strategy": "skip_to_next"}, {"strategy": "skip_past_last_event"}] +
                      [{"strategy": rng.choice(["skip_to_first", "skip_to_last"]), "stage": name} for name in names[:1]])
    columns, select = {"k": "STRING", "match": "ARRAY<INT>"}, {"k": "k", "match": "ARRAY_AGG(n)"}
    program = {"kind": "pattern", "streams": streams, "key_by": rng.choice([["k"], ["k"], []]), "stages": stages, "after_match_skip": skip,
               "outputs": {"main": {"columns": columns, "select": select}}}
    if stages[-1]["contiguity"] == "not_followed_by" or rng.random() < 0.6:
        program["within_ms"] = rng.choice([2000, 3000, 5000])
        if rng.random() < 0.5:
            program["outputs"]["timeout"] = {"columns": {**columns, "at": "TIMESTAMP_LTZ(3)"}, "select": {**select, "at": "TIMEOUT_ROWTIME()"}}
    make, number = pattern_rows(rng, rng.choice(["abcd", "abd", "aab"])), iter(range(1, 1000))

    def numbered(name, row):
        make(name, row)
        row["n"] = next(number)
    rows = inputs.rows_of(shape, streams, most=12, make=numbered)
    return program, rows, "unordered"


@construct
def pattern_clock(rng):
    """Patterns by the clock: rows go to the automaton as they come, and what takes too long is told when the clock is past it."""
    program, rows, _ = pattern_groups(rng)
    stream = program["streams"]["in"]
    for name in ("event_time", "watermark"):
        stream.pop(name)
    program["time"] = "processing"
    program["outputs"].pop("late", None)
    if "timeout" in program["outputs"]:
        for part in program["outputs"]["timeout"].values():
            part.pop("at")
    made, now_ms = [], 1000
    for row in rows:
        if "n" not in row:
            continue
        if rng.random() < 0.5:
            now_ms += rng.choice([1, 500, 999, 1000, 1001, 3000])
            made.append({"__proctime__": now_ms})
        made.append(row)
    return program, made + [{"__proctime__": now_ms + rng.choice([1, 20_000])}], "unordered", {"workers": 1, "batch": 1}
