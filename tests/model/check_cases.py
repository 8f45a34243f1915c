#!/usr/bin/python3
"""The model against conformance cases: check_cases.py DIR [ID..] plays every case below DIR on the model and compares with expected.jsonl."""

import importlib.machinery
import importlib.util
import pathlib
import re
import sys
import traceback
import types

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import model  # noqa: E402
import yaml  # noqa: E402


def load_runner():
    """tests/conformance/run as a module: the comparison that leat's own results go through."""
    loader = importlib.machinery.SourceFileLoader("conformance_run", str(HERE.parent / "conformance" / "run"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("conformance_run", loader))
    loader.exec_module(module)
    return module


# Keys of case.yaml that the model reads, or that say nothing to it. A case with any other is left out, so that a new one never fails here.
KNOWN = {
    "case": {"id", "area", "title", "authority", "source", "needs", "program", "order", "notes", "pins", "one_worker"},
    "program": {"kind", "streams", "query", "outputs", "key_by", "assigner", "trigger", "allowed_lateness_ms", "evictor", "window", "function",
                "parameters", "stages", "after_match_skip", "within_ms", "mode", "channels", "generators", "settings", "left", "right",
                "lower_bound_ms", "upper_bound_ms", "lower_bound_exclusive", "upper_bound_exclusive", "time"},
    "stream": {"columns", "changelog_mode", "event_time", "watermark", "primary_key", "processing_time"},
    "watermark": {"strategy", "expression", "delay_ms", "sql_semantics"},
    "output": {"columns", "changelog_mode", "primary_key", "select", "watermarks"},
    "setting": {"state_ttl"},
}
KINDS = {"sql", "ptf", "process", "pattern", "window", "group_window", "interval_join", "valve", "assigner", "watermark_generator"}
# What pins leat's own choices: the order of a changelog, LIMIT.
OWN_CHOICES = {"changelog"}
# Changelogs that are compared by the table they leave.
TABLES = {"rank"}
# Functions, of which the model has few.
FUNCTIONS = {"judged-functions"}
# Queries as Flink's tests have them: their columns go to the sink by their place.
BY_PLACE = {"judged-programs"}
# Cases that the model reads wrongly, and why.
UNREAD = {"ty-join-timestamp": "TIMESTAMPDIFF", "ptf-unnamed-timers-jump": "arguments by their place",
          "sq-tjoin-inner": "a delete by key has the time of the row that it deletes", "sq-tjoin-left": "a delete by key has the time of the row that it deletes"}
EXACT = types.SimpleNamespace(batch=1, workers=1, recover=False, kill=False)


def unknown(case):
    """What the model knows nothing of, by name; None: nothing."""
    program = case["program"]
    parts = [("case", case), ("program", program), ("setting", program.get("settings") or {})]
    parts += [("stream", each) for each in (program.get("streams") or {}).values()]
    parts += [("watermark", each.get("watermark") or {}) for each in (program.get("streams") or {}).values()]
    parts += [("output", each) for each in (program.get("outputs") or {}).values() if isinstance(each, dict)]
    for part, held in parts:
        for key in held:
            if key not in KNOWN[part] and not (key == "time_zone" and held[key] == "UTC"):
                return f"{part} key {key}"
    if program["kind"] == "group_window" and any(each.get("changelog_mode", "insert_only") != "insert_only" for each in program["streams"].values()):
        return "changes into a window of a form"
    return None if program["kind"] in KINDS else f"kind {program['kind']}"


def unread(program):
    """What of a known key's values the model does not read; None: nothing."""
    if program["kind"] == "window" and program["assigner"]["type"] == "GlobalWindows" and "trigger" not in program:
        return "a window that never fires"
    if program["kind"] != "watermark_generator":
        return None
    stream = next(iter(program["streams"].values()))
    if program["mode"] == "compare" and not program["assigner"]["type"].startswith("Tumbling"):
        return "generators that drive other windows than tumbling ones"
    if stream["columns"][stream["event_time"]] != "TIMESTAMP_LTZ(3)" or stream["watermark"]["strategy"] == "expression":
        return "times without a zone and expressions of a generator"
    return None


def filled(program):
    """The program with what may be left out."""
    if program["kind"] in ("window", "group_window"):
        program.setdefault("allowed_lateness_ms", 0)
    if program["kind"] == "window":
        program.setdefault("trigger", {"type": "EventTimeTrigger"})
        program["trigger"].setdefault("purging", False)
    if "Tumbling" in program.get("assigner", {}).get("type", "") or "Sliding" in program.get("assigner", {}).get("type", ""):
        program["assigner"].setdefault("offset_ms", 0)
    return program


def judge(run, directory):
    case = yaml.safe_load((directory / "case.yaml").read_text())
    if reason := UNREAD.get(case["id"]) or unknown(case) or unread(case["program"]):
        raise NotImplementedError(reason)
    filled(case["program"])
    rows, lines = run.load_lines(directory / "input.jsonl"), run.load_lines(directory / "expected.jsonl")
    if directory.parent.name in TABLES or re.search(r"(INTERSECT|EXCEPT)\s+ALL", case["program"].get("query", "")):
        case["order"] = "materialized"  # the model knows that table, not the way to it
    got = model.evaluate(case["program"], rows)
    if case["program"]["kind"] in ("valve", "assigner", "watermark_generator"):
        return None if got == lines else f"expected {lines}\n got {got}"
    wanted, listed = run.expected_results(case, lines)
    found, _ = run.expected_results(case, got)
    return run.compare(case, wanted, [line for line in found if listed or line[0] != "watermark"], EXACT)


def main():
    run = load_runner()
    only = set(sys.argv[2:])
    left_out = 0
    passed = failed = 0
    for path in sorted(pathlib.Path(sys.argv[1]).rglob("case.yaml")):
        if only and path.parent.name not in only:
            continue
        if path.parent.parent.name in OWN_CHOICES | FUNCTIONS | BY_PLACE:
            left_out += 1
            continue
        try:
            problem = judge(run, path.parent)
        except (NotImplementedError, SyntaxError) as reason:
            left_out += 1
            print(f"left out {path.parent.parent.name}/{path.parent.name}: {reason}")
            continue
        except Exception:  # noqa: BLE001: whatever the model cannot do is a failure of that case
            problem = traceback.format_exc() if only else traceback.format_exc().splitlines()[-1]
        passed, failed = passed + (problem is None), failed + (problem is not None)
        if problem:
            print(f"FAILED {path.parent.parent.name}/{path.parent.name}\n{problem}")
    if left_out:
        print(f"left out {left_out} cases: what is said above, those that pin leat's own choices, those of functions and of Flink's programs")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
