"""Writes random programs of the DataStream API and CEP as conformance cases, with Flink's results.

Of N pairs on which Flink and leat agree those are kept that show most of what has not been shown before: each pair's traits (what its program names,
two at a time, and what its results hold) are counted, and a pair that adds little is left out.
"""

import itertools
import json
import pathlib
import types

import streams
import yaml

MOST = {"pattern": 22, "pattern_groups": 25, "pattern_clock": 12, "stream_window": 18, "stream_trigger": 18, "stream_clock": 14, "updating_window": 12,
        "stream_interval_join": 10, "process_connected": 3, "process_long_ride": 3, "process_order_timeout": 3, "process_rising": 3,
        "process_small_then_large": 3, "process_timer_at": 2}
CONSTRUCTS = list(MOST)
ROWS_MOST = 24


def parts(tree, path=""):
    """What a program names: words, and whether there is a number, not which."""
    if isinstance(tree, dict):
        for name, value in tree.items():
            if name not in ("columns", "where", "name", "expression"):
                yield from parts(value, f"{path}.{name}")
    elif isinstance(tree, list):
        for value in tree:
            yield from parts(value, path)
    else:
        yield f"{path}={tree if isinstance(tree, (str, bool)) and not path.endswith(('.stage', 'select')) else tree is not None}"


def traits(pair, results):
    program = {name: value for name, value in pair.program.items() if name not in ("outputs", "key_by")}
    if program["kind"] == "window":
        program.pop("streams")
    named = sorted(set(parts(program)))[:60] + [f"output {name}" for name in pair.program["outputs"]]
    held = [f"result {line.get('__out__', 'main')} {line.get('__op__', '')}" for line in results if "__watermark__" not in line]
    marks = [name for row in pair.rows for name in row if name.startswith("__") and name != "__stream__"]
    seen = set(named) | set(held) | set(marks)
    return seen | {f"{a} + {b}" for a, b in itertools.combinations(sorted(seen), 2)}


def candidates(options):
    """(pair, results), where Flink and leat agree."""
    flink, player = streams.Flink(), streams.generate.Player()
    for number in range(options.pairs):
        pair = streams.generate.Pair(options.seed + number // len(CONSTRUCTS), CONSTRUCTS[number % len(CONSTRUCTS)])
        vars(pair.options).update(batch=1, workers=1, recover=False, kill=False)
        if len(pair.rows) > ROWS_MOST:
            continue
        trial = streams.Trial(pair, flink, player)
        results = listed(pair, [trial.comparable(line) for line in trial.flink or []])
        if trial.verdict()[0] is None and sum("__watermark__" not in line for line in results) > 1 and always_so(pair, results, player):
            yield pair, results
    flink.close()
    player.close()


def listed(pair, results):
    """Watermarks are part of the case where lines of the input are watermarks: others come together when rows do."""
    explicit = all((stream.get("watermark") or {}).get("strategy") == "explicit" for stream in pair.program["streams"].values())
    main = pair.program["outputs"]["main"]
    main["watermarks"] = main.get("watermarks", False) and explicit
    return results if main["watermarks"] else [line for line in results if "__watermark__" not in line]


def always_so(pair, results, player):
    """Whether leat gives this with several rows at once and several instances, too: cases are played like that."""
    for batch, workers in ((1024, 1), (1, 4), (1024, 4)):
        options = types.SimpleNamespace(batch=batch, workers=workers, recover=False, kill=False)
        player.give(streams.run.gateway(pair.case, options), streams.run.script(pair.case, pair.rows, options), batch)
        code, text, _ = player.take()
        wanted, watermarks = streams.run.expected_results(pair.case, results)
        if code != 0 or streams.run.compare(pair.case, wanted, streams.run.actual_results(pair.case, text, watermarks), options):
            return False
    return True


def identity_of(name, number):
    family, plain = ("cep", name) if name.startswith("pattern") else ("stream", name.removeprefix("stream_"))
    return f"{family}-{plain.replace('_', '-')}-{number:02d}"


def chosen(pairs):
    """Of each construct the pairs that add most, one after the other."""
    left = [(pair, results, traits(pair, results)) for pair, results in pairs]
    for name, most in MOST.items():
        shown, some = set(), [each for each in left if each[0].name == name]
        for number in range(1, most + 1):
            best = max(some, key=lambda each: len(each[2] - shown), default=None)
            if best is None or not best[2] - shown:
                break
            some.remove(best)
            shown |= best[2]
            yield identity_of(name, number), best[0], best[1]


TAGS = {"quantifier": "loop", "optional": "optional", "greedy": "greedy", "until": "until", "within_ms": "within", "group": "group"}


def pattern_needs(program):
    text = json.dumps(program["stages"])
    tags = {"pattern.sequence"} | {f"pattern.{tag}" for word, tag in TAGS.items() if f'"{word}"' in json.dumps(program)}
    tags |= {"pattern.negation"} if '"not_' in text else set()
    tags |= {"pattern.combinations"} if '"combinations"' in text else set()
    tags |= {"pattern.after_match_skip"} if program["after_match_skip"]["strategy"] != "no_skip" else set()
    tags |= {"pattern.timeout_output"} if "timeout" in program["outputs"] else set()
    return tags | ({"pattern.iterative_condition"} if ".v" in text else set())


WINDOWS = {"Tumbling": "tumbling", "Sliding": "sliding", "Dynamic": "dynamic_session", "EventTimeSession": "session", "ProcessingTimeSession": "session",
           "Global": "global"}


def window_needs(program):
    tags = {f"window.{next(tag for start, tag in WINDOWS.items() if program['assigner']['type'].startswith(start))}"}
    trigger = program["trigger"]
    tags |= {"window.count_trigger"} if trigger["type"] == "CountTrigger" else set()
    tags |= {"window.continuous_trigger"} if trigger["type"].startswith("Continuous") else set()
    tags |= {"window.delta_trigger"} if trigger["type"] == "DeltaTrigger" else set()
    tags |= {"window.purging_trigger"} if trigger.get("purging") else set()
    tags |= {"window.evictor"} if program.get("evictor") else set()
    tags |= {"window.allowed_lateness"} if program.get("allowed_lateness_ms") else set()
    return tags | ({"window.late_output"} if "late" in program["outputs"] else set())


def needs(pair):
    program, kind = pair.program, pair.program["kind"]
    tags = {"pattern": pattern_needs, "window": window_needs}.get(kind, lambda _: set())(program)
    if kind == "group_window":
        tags = {"group_window.time" if program["window"]["type"].endswith("time") else "group_window.count"}
    if kind == "process":
        tags = {"process.connected" if len(program["streams"]) > 1 else "process.keyed"}
    if kind == "interval_join":
        tags = {"interval_join.datastream"}
    marks = {name for row in pair.rows for name in row}
    tags |= {"savepoint"} if "__savepoint__" in marks else set()
    tags |= {"watermark.idleness"} if "__status__" in marks else set()
    tags |= {"watermark.explicit"} if "__watermark__" in marks else set()
    tags |= {"time.processing"} if "__proctime__" in marks else set()
    tags |= {"output.watermarks"} if program["outputs"]["main"].get("watermarks") else set()
    return sorted(tags)


def title(pair):
    """In words: what the program names."""
    program, kind = pair.program, pair.program["kind"]
    if kind == "pattern":
        stages = " ".join(stage.get("contiguity").replace("_", "-") for stage in program["stages"])
        return f"Pattern {stages}, {program['after_match_skip']['strategy'].replace('_', ' ')}{', within' if 'within_ms' in program else ''}"
    if kind == "window":
        evictor = f", {program['evictor']['type']} {'after' if program['evictor']['evict_after'] else 'before'}" if program.get("evictor") else ""
        return f"{program['assigner']['type']}, {'purging ' if program['trigger'].get('purging') else ''}{program['trigger']['type']}{evictor}"
    if kind == "group_window":
        return f"Updates of windows {program['window']['type'].replace('_', ' by ')}"
    if kind == "interval_join":
        return f"Pairs from {program['lower_bound_ms']} to {program['upper_bound_ms']} ms"
    return f"Function {program['function'].replace('_', ' ')}"


class Dumper(yaml.SafeDumper):
    """Small mappings on one line, as cases are written by hand."""

    def ignore_aliases(self, _):
        return True


def small(dumper, held):
    flow = not any(isinstance(value, (dict, list)) and value and not is_plain(value) for value in held.values())
    return dumper.represent_mapping("tag:yaml.org,2002:map", held.items(), flow_style=flow and len(json.dumps(held)) < 130)


def is_plain(value):
    return isinstance(value, dict) and all(not isinstance(each, (dict, list)) for each in value.values())


def short(dumper, held):
    return dumper.represent_sequence("tag:yaml.org,2002:seq", held, flow_style=all(isinstance(each, str) for each in held))


Dumper.add_representer(dict, small)
Dumper.add_representer(list, short)


def write(folder, identity, pair, results, version):
    directory = pathlib.Path(folder) / identity
    directory.mkdir(parents=True, exist_ok=True)
    program = json.loads(json.dumps(pair.program))
    if not program["outputs"]["main"].get("watermarks"):
        program["outputs"]["main"].pop("watermarks", None)
    case = {"id": identity, "area": "judged", "title": title(pair), "authority": "flink-run", "source": {"flink": version, "judge": "StreamJudge"},
            "needs": needs(pair), "program": program, "order": pair.order}
    (directory / "case.yaml").write_text(yaml.dump(case, Dumper=Dumper, sort_keys=False, width=140))
    (directory / "input.jsonl").write_text("".join(json.dumps(row) + "\n" for row in pair.rows))
    (directory / "expected.jsonl").write_text("".join(json.dumps(line) + "\n" for line in results))


def write_all(folder, options, version="2.3.0"):
    count = 0
    for identity, pair, results in chosen(candidates(options)):
        write(folder, identity, pair, results, version)
        count += 1
    print(f"{count} passed, 0 failed")
    return 0 if count else 1
