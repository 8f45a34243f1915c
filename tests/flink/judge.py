#!/usr/bin/python3
"""Flink as the judge of leat's SQL. ./run builds what this needs and calls it.

usage: run cases DIR.. [--only ID[,ID..]] [--verbose]    conformance cases of kind sql, Flink's results against expected.jsonl
       run pairs [--pairs N] [--seed S] [--only NAME..] [--keep DIR]   random programs: Flink against leat and against the model
       run functions [--rows N] [--only TEXT]            expressions over rows of boundary values: Flink against leat, types too
       run streams ..                                    DataStream programs: streams.py says how
       run keep DIR [--what pairs|expressions]           writes cases with Flink's results
       run ask CASE [--trace]                            Flink's results of one case, and its plan

The last line is `N passed, N failed`; exit code 1 when something failed.
"""

import argparse
import collections
import copy
import json
import os
import pathlib
import subprocess
import sys
import types

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "model"))

from check_cases import load_runner  # noqa: E402
import yaml  # noqa: E402

OPENS = [word for name in ("util", "lang", "time") for word in ("--add-opens", f"java.base/java.{name}=ALL-UNNAMED")]
EXACT = types.SimpleNamespace(batch=1, workers=1, recover=False, kill=False)


class Flink:
    """One JVM that answers requests, a line each."""

    def __init__(self, main="SqlJudge"):
        build = pathlib.Path(os.environ["LEAT_FLINK"])
        path = f"{build}/classes:{(build / 'classpath').read_text().strip()}"
        self.process = subprocess.Popen(["java", "-Xmx2g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", *OPENS, "-cp", path, main],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=None if os.environ.get("LEAT_FLINK_ERRORS") else subprocess.DEVNULL, text=True, encoding="utf-8")

    def give(self, name, program, rows, **more):
        self.process.stdin.write(json.dumps({"id": name, "program": program, "rows": rows, **more}) + "\n")
        self.process.stdin.flush()

    def take(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the judge ended")
        return json.loads(line)

    def ask(self, name, program, rows, **more):
        self.give(name, program, rows, **more)
        return self.take()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


# ---- what differs and stays (README.md)

KNOWN_CASES = {
    "topn-limit-fraction": "Flink takes 2.5 for 25", "dedup-first-row-rowtime": "new rows only since Flink 2.1", "dedup-ttl-hint": "Flink ignores the hint there",
    "dedup-keep-first-null-key": "not in Flink's catalog of 2.3", "intersect-distinct": "Flink gives changes, not new rows alone",
    "rank-choices": "Flink refuses", "tjoin-clock-inner": "Flink refuses", "tjoin-clock-left-condition": "Flink refuses", "wagg-session-zone": "gaps by the local clock",
    "upsert-having": "Flink's sink gets the -U and deletes for it", "proctime-day-short": "the row in the last millisecond", "proctime-tumble-edge": "the row in the last millisecond",
}
REFUSED_BY_FLINK = ("signature MAX_BY", "signature MIN_BY", "count of one field", "SumWithRetractAggFunction", "Processing-time temporal join", '"DEFINE" ...', "Could not skip to first element")


def known_pair(pair, what, text):
    """Why this difference of a random pair stays, or None."""
    query = pair.program["query"]
    if what.startswith("error"):
        return next((reason for reason in REFUSED_BY_FLINK if reason in text), None)
    if pair.name == "session_where":
        return "the filter goes in front of the session"
    if pair.name == "deduplicate" and "ORDER BY ts ASC" in query:
        return "new rows only since Flink 2.1"
    if pair.name == "top_n" and ("rn = 1" in query or "rn <= 1" in query or "rn < 2" in query):
        return "Top-1 without -U"
    if pair.name == "upsert_group":
        return "a row that repeats its columns is no change there"
    if "COLLECT(" in query:
        return "a multiset has no order"
    if what == "watermarks":
        return "a part of the query that can never give a row is gone, and its watermarks with it"
    return None


# ---- cases

SETTINGS = {"state_ttl"}


def left_out(case):
    """Why a case is not asked, or None."""
    program = case["program"]
    if case["id"].startswith("pg-over-aggregate-non-time-rows"):
        return "OVER of ROWS in an order that is no time does not run in the harness; what Flink's own test asserts stands there"
    if program["kind"] != "sql":
        return f"kind {program['kind']}"
    if set(program.get("settings") or {}) - SETTINGS:
        return f"settings {', '.join(program['settings'])} are leat's"
    return None


def by_place(run, case, line):
    """A result under the names that the sink has, as the runner has it."""
    marks = {name: value for name, value in line.items() if name.startswith("__")}
    if "__watermark__" in marks or "__savepoint__" in marks:
        return line
    values = {name: value for name, value in line.items() if name not in marks}
    return {**marks, **run.named(values, case["program"]["outputs"][line.get("__out__", "main")]["columns"], "sql")}


def judge_case(run, flink, case, rows, lines):
    answer = flink.ask(case["id"], case["program"], rows)
    if "error" in answer:
        return f"    Flink fails ({answer['stage']}): {answer['error'][:600]}"
    wanted, listed = run.expected_results(case, lines)
    got, _ = run.expected_results(case, [by_place(run, case, line) for line in answer["results"]])
    return run.compare(case, wanted, [line for line in got if listed or line[0] != "watermark"], EXACT)


def play_cases(options):
    run, flink = load_runner(), Flink()
    only, counts = set(filter(None, options.only.split(","))), collections.Counter()
    for path in sorted(path for folder in options.directories for path in pathlib.Path(folder).rglob("case.yaml")):
        case = yaml.safe_load(path.read_text())
        if only and case["id"] not in only:
            continue
        reason = left_out(case)
        if reason:
            counts["left out"] += 1
            if not reason.startswith("kind"):
                print(f"left out {case['id']}: {reason}")
            continue
        rows, lines = run.load_lines(path.parent / "input.jsonl"), run.load_lines(path.parent / "expected.jsonl")
        problem = judge_case(run, flink, case, rows, lines)
        if problem and case["id"] in KNOWN_CASES:
            counts["known"] += 1
            print(f"differs and stays: {case['id']}: {KNOWN_CASES[case['id']]}")
            continue
        counts["failed" if problem else "passed"] += 1
        if problem:
            print(f"FAILED {case['id']} (order {case.get('order')}): the case against Flink\n{problem}")
        elif options.verbose:
            print(f"passed {case['id']}")
    flink.close()
    print(f"{counts['left out']} left out, {counts['known']} differ and stay")
    return counts


# ---- random pairs

def pair_of(generate, seed, name):
    """A random program with its input, to be played in one instance, row by row, without recoveries."""
    pair = generate.Pair(seed, name)
    pair.options = EXACT
    pair.finish()
    return pair


def verdict_of(generate, pair, answer, listed=None):
    """(what, text): how Flink's answer differs from the model's."""
    try:
        wanted = pair.expected()
    except Exception as reason:  # noqa: BLE001: the model has a word to say about its limits
        return "model", f"    the model: {reason!r}"
    if "error" in answer:
        return f"error at {answer['stage']}", f"    {answer['error'][:900]}"
    listed = pair.program["outputs"]["main"].get("watermarks") if listed is None else listed
    wanted, _ = generate.run.expected_results(pair.case, [{**line, "__ts__": None} for line in wanted])  # SQL has no time of its own
    got, _ = generate.run.expected_results(pair.case, answer["results"])
    text = generate.run.compare(pair.case, [each for each in wanted if listed or each[0] != "watermark"],
                                [each for each in got if listed or each[0] != "watermark"], EXACT)
    return ("failed", text) if text else ("passed", "")


def judge_pair(generate, flink, pair):
    answer = flink.ask(f"{pair.seed}:{pair.name}", pair.program, pair.rows)
    what, text = verdict_of(generate, pair, answer)
    if what == "failed" and pair.program["outputs"]["main"].get("watermarks"):
        if verdict_of(generate, pair, answer, listed=False)[0] == "passed":
            return "watermarks", text
    return what, text


def shrink_pair(generate, flink, pair, what):
    size = max(1, len(pair.rows) // 2)
    while size:
        at = 0
        while at < len(pair.rows):
            trial = copy.copy(pair)
            trial.rows = pair.rows[:at] + pair.rows[at + size:]
            if judge_pair(generate, flink, trial)[0] == what:
                pair.rows = trial.rows
            else:
                at += size
        size //= 2
    return judge_pair(generate, flink, pair)[1]


def play_pairs(options):
    import generate
    shift_before_1970()
    flink, player, counts = Flink(), generate.Player(), collections.defaultdict(collections.Counter)
    names = options.only.split(",") if options.only else [name for name in generate.CONSTRUCTS]
    shown = collections.Counter()
    for i in range(options.pairs):
        name = names[i % len(names)]
        pair = pair_of(generate, options.seed + i // len(names), name)
        if pair.program["kind"] != "sql":
            counts[name]["left out"] += 1
            continue
        what, text = judge_pair(generate, flink, pair)
        if what != "passed" and known_pair(pair, what, text):
            what = "known"
        counts[name][what] += 1
        shown[name, what, text[:60] if what.startswith("error") else ""] += 1
        if what in ("passed", "known") or shown[name, what, text[:60] if what.startswith("error") else ""] > options.show:
            continue
        if what in ("failed", "watermarks") and not options.whole:
            text = shrink_pair(generate, flink, pair, what)
        leat = generate.judge(player, pair)
        print(f"{what.upper()}, leat against the model: {leat[0]}")
        print(generate.describe(pair, text).replace("leat against the model", "Flink against the model"), flush=True)
        if options.keep and what == "failed":
            generate.keep(pair, options.keep)
    flink.close()
    player.close()
    total = collections.Counter()
    for name in sorted(counts):
        total.update(counts[name])
        print(f"  {name:28} " + ", ".join(f"{count} {what}" for what, count in counts[name].items()))
    print(dict(total))
    total["failed"] = sum(total.values()) - total["passed"] - total["left out"] - total["known"]
    return total


def play_functions(options):
    import expressions
    import generate
    flink = Flink()
    counts = expressions.play(generate, flink, options)
    flink.close()
    print(dict(counts))
    counts["failed"] = counts["type"] + counts["value"] + counts["leat refuses"]
    return counts


def flink_version():
    import re
    return re.search(r"<flink.version>(.*?)<", (HERE / "pom.xml").read_text()).group(1)


def shift_before_1970():
    """Flink's windows do not fire before 1970."""
    import inputs
    inputs.BASES[:] = [base + 40_000 if base <= 0 else base for base in inputs.BASES]


def play_keep(options):
    import generate
    import keep
    shift_before_1970()
    flink = Flink()
    made = keep.play(sys.modules[__name__], generate, flink, options)
    flink.close()
    return collections.Counter(passed=made)


def ask(options):
    flink, path = Flink(), pathlib.Path(options.case)
    case = yaml.safe_load((path / "case.yaml").read_text())
    answer = flink.ask(case["id"], case["program"], load_runner().load_lines(path / "input.jsonl"), **({"trace": True} if options.trace else {}))
    print(answer.pop("plan", ""))
    for line in answer.pop("results", []):
        print(json.dumps(line))
    print(json.dumps(answer))
    flink.close()
    return collections.Counter(passed=1)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("cases")
    command.add_argument("directories", nargs="*", default=[HERE.parent / "conformance" / "cases"])
    command.add_argument("--only", default="")
    command.add_argument("--verbose", action="store_true")
    command.set_defaults(play=play_cases)
    command = commands.add_parser("pairs")
    command.add_argument("--pairs", type=int, default=1000)
    command.add_argument("--seed", type=int, default=1)
    command.add_argument("--only", default="")
    command.add_argument("--show", type=int, default=2)
    command.add_argument("--keep", default="")
    command.add_argument("--whole", action="store_true", help="does not take rows away from what fails")
    command.set_defaults(play=play_pairs)
    command = commands.add_parser("functions")
    command.add_argument("--rounds", type=int, default=3, help="how often each template is filled")
    command.add_argument("--seed", type=int, default=1)
    command.add_argument("--only", default="", help="templates with this text")
    command.add_argument("--zone", default="UTC")
    command.set_defaults(play=play_functions)
    command = commands.add_parser("keep")
    command.add_argument("directory")
    command.add_argument("--what", choices=["pairs", "expressions"])
    command.add_argument("--seed", type=int, default=1)
    command.set_defaults(play=play_keep)
    command = commands.add_parser("ask")
    command.add_argument("case")
    command.add_argument("--trace", action="store_true")
    command.set_defaults(play=ask)
    options = parser.parse_args()
    counts = options.play(options)
    print(f"{counts['passed']} passed, {counts['failed']} failed")
    return 1 if counts["failed"] or not counts["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
