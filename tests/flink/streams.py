#!/usr/bin/python3
"""Flink's operators of the DataStream API and CEP, as StreamJudge plays them: conformance cases, and random pairs three ways.

usage: run streams cases DIR..                       expected.jsonl of cases against Flink
       run streams pairs [--pairs N] [--seed S] [--only NAME,..] [--savepoints N]   Flink, leat and the model on random programs
       run streams valves [--pairs N] [--seed S]     the valve of several channels, on random steps
       run streams write DIR [--pairs N] [--seed S]  random programs as conformance cases, with Flink's results

The last line is `N passed, N failed`; exit code 1 when something failed.
"""

import argparse
import collections
import copy
import json
import pathlib
import random
import sys

import yaml

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS / "model"))

import generate  # noqa: E402
import judge  # noqa: E402

run = generate.run
KINDS = ("pattern", "window", "group_window", "interval_join", "process", "valve", "assigner", "watermark_generator")
UNITS = ("valve", "assigner", "watermark_generator")
CONSTRUCTS = [name for name in generate.CONSTRUCTS if name.startswith(("stream_", "pattern", "process_", "updating_window"))]
SHOWN_MAX = 3  # of a construct and kind of difference
# Cases that StreamJudge has no words for, and why.
NOT_ASKED = {"ij-named-streams": "the right stream is declared first", "wg-expression": "an expression of SQL as a generator",
             **dict.fromkeys(("ty-join-timestamp", "ty-pattern-timestamp", "ty-process-rising-decimal", "ty-window-expressions", "ty-window-timestamp",
                              "wc-timestamp"), "times without a zone, DECIMAL, functions of SQL")}


class Flink(judge.Flink):
    """StreamJudge, which answers lines."""

    def __init__(self):
        super().__init__("StreamJudge")

    def ask(self, program, rows):
        """(lines, None) or (None, why Flink does not play it)."""
        answer = super().ask("pair", program, rows)
        return answer.get("results"), answer.get("error")


# ---- cases

def check_cases(directories):
    flink, counts = Flink(), collections.Counter()
    options = argparse.Namespace(batch=1, workers=1, recover=False, kill=False)
    for path in sorted(path for directory in directories for path in pathlib.Path(directory).rglob("case.yaml")):
        case = yaml.safe_load(path.read_text())
        if case["program"]["kind"] not in KINDS:
            continue
        if case["id"] in NOT_ASKED:
            print(f"left out {case['id']}: {NOT_ASKED[case['id']]}")
            continue
        rows, wanted = run.load_lines(path.parent / "input.jsonl"), run.load_lines(path.parent / "expected.jsonl")
        got, error = flink.ask(case["program"], rows)
        problem = error or difference(case, wanted, got, options)
        counts["failed" if problem else "passed"] += 1
        if problem:
            print(f"FAILED {path.parent}\n{problem}")
    flink.close()
    print(f"{counts['passed']} passed, {counts['failed']} failed")
    return 1 if counts["failed"] or not counts["passed"] else 0


def difference(case, wanted, got, options):
    """Text of what differs between two lists of lines, or None."""
    if case["program"]["kind"] in UNITS:
        return None if wanted == got else f"    expected {wanted}\n    got {got}"
    one, listed = run.expected_results(case, wanted)
    two, _ = run.expected_results(case, got)
    return run.compare(case, one, [item for item in two if listed or item[0] != "watermark"], options)


# ---- random pairs

class Trial:
    """One pair with the answers of all three."""

    def __init__(self, pair, flink, player):
        vars(pair.options).setdefault("kill", False)
        pair.finish()
        self.pair = pair
        try:
            self.model = pair.expected()
        except (KeyError, NotImplementedError) as missing:
            self.model, self.unmodelled = None, missing
        self.flink, self.error = flink.ask(pair.program, pair.rows)
        player.give(*pair.texts(), pair.options.batch)
        code, text, errors = player.take()
        self.refusal = errors.strip()[:500] if code != 0 else None
        self.leat = text

    def comparable(self, line):
        """Without a time that is left open: of matches that the end of input lets go, which leat gives the time of their last row, and of those
        that a watermark lets go which came to several instances or with several rows."""
        options = self.pair.options
        exact = options.batch == 1 and options.workers == 1 and not options.recover
        if self.pair.program["kind"] == "pattern" and line.get("__out__") != "late" and (line.get("__ts__") == run.LONG_MAX or not exact):
            line = {name: value for name, value in line.items() if name != "__ts__"}
        return line

    def verdict(self):
        """(what differs, text): None, "leat", "model", "flink refuses", "leat refuses"."""
        case, options = self.pair.case, self.pair.options
        if self.error or self.refusal:
            both = self.error and self.refusal
            return None if both else "flink refuses" if self.error else "leat refuses", self.error or self.refusal
        listed = self.pair.program["outputs"]["main"]["watermarks"]
        flink = run.expected_results(case, [self.comparable(line) for line in self.flink])[0]
        text = run.compare(case, flink, run.actual_results(case, self.leat, listed), options) or run.repeated_ids(self.leat)
        if text:
            return "leat", text
        if self.model is None:
            return "not in the model", str(self.unmodelled)
        # The model's lines stand first: it does not know the timestamp of every result.
        text = run.compare(case, run.expected_results(case, json.loads(json.dumps(self.model, default=str)))[0], flink, options)
        return ("model", text) if text else (None, "")


def known(pair):
    """Where Flink is known to be wrong, and leat is not: why, or None."""
    assigner = pair.program.get("assigner", {})
    if assigner.get("type", "").startswith("Dynamic"):
        # MergingWindowSet: a row whose own window is what the session has become already starts the session anew, without its rows.
        return "a session forgets its rows"
    if {"__savepoint__": True} in pair.rows:
        # The watermark begins anew and rows may be older than what was before. SharedBuffer numbers the events of a time from 0 again once that
        # time is over and takes one for the other; group windows that share panes find those of windows that are over.
        if pair.program["kind"] == "pattern" or pair.program.get("window", {}).get("type") in ("cumulative_time", "sliding_time"):
            return "time begins anew behind a savepoint"
    return None


def add_savepoints(pair, most):
    """Stops at random lines, but not while a stream is idle: idleness is not part of a savepoint."""
    rng, made, asleep, left = random.Random(pair.seed), [], set(), most
    for row in pair.rows:
        if "__status__" in row:
            (asleep.add if row["__status__"] == "IDLE" else asleep.discard)(row.get("__stream__"))
        made.append(row)
        if left and not asleep and rng.random() < 0.15:
            made.append({"__savepoint__": True})
            left -= 1
    pair.rows = made


class Pairs:
    def __init__(self, options):
        self.options = options
        self.flink, self.player = Flink(), generate.Player()
        self.counts = collections.defaultdict(collections.Counter)

    def trial(self, pair):
        try:
            return Trial(pair, self.flink, self.player).verdict()
        except run.Skip as reason:
            return "leat refuses", str(reason)

    def shrink(self, pair, kind):
        def fails(rows, options):
            trial = copy.copy(pair)
            trial.program, trial.rows, trial.options = copy.deepcopy(pair.program), rows, options
            return self.trial(trial)[0] == kind
        for name, plain in (("recover", False), ("workers", 1), ("batch", 1)):
            options = copy.copy(pair.options)
            setattr(options, name, plain)
            if fails(pair.rows, options):
                pair.options = options
        size = max(1, len(pair.rows) // 2)
        while size:
            at = 0
            while at < len(pair.rows):
                fewer = pair.rows[:at] + pair.rows[at + size:]
                if fails(fewer, pair.options):
                    pair.rows = fewer
                else:
                    at += size
            size //= 2
        return self.trial(pair)[1]

    def play(self):
        names = self.options.only.split(",") if self.options.only else CONSTRUCTS
        for number in range(self.options.pairs):
            pair = generate.Pair(self.options.seed + number // len(names), names[number % len(names)])
            if self.options.savepoints:
                add_savepoints(pair, self.options.savepoints)
            kind, text = self.trial(pair)
            if kind == "leat" and known(pair):
                kind, text = None, self.counts[pair.name].update({f"known ({known(pair)})": 1})
                continue
            self.counts[pair.name][kind or "same"] += 1
            if kind and self.counts[pair.name][kind] <= SHOWN_MAX:
                text = self.shrink(pair, kind)
                print(f"{kind.upper()} " + generate.describe(pair, text).replace("leat against the model", "Flink (got) against the model" if kind == "model" else "leat (got) against Flink"), flush=True)
        self.flink.close()
        self.player.close()
        wrong = 0
        for name, counts in sorted(self.counts.items()):
            print(f"  {name:28} " + ", ".join(f"{count} {kind}" for kind, count in counts.most_common()))
            wrong += counts["leat"] + counts["model"]
        print(f"{sum(counts['same'] for counts in self.counts.values())} passed, {wrong} failed")
        return 1 if wrong else 0


# ---- valves

def random_valve(seed):
    """A program and steps: watermarks that rise, repeat and fall, channels that sleep and wake up ahead, behind or level."""
    rng = random.Random(seed)
    channels, steps, highest = rng.randrange(1, 5), [], 0
    for step in range(rng.randrange(3, 30)):
        line = {"step": step, "__channel__": rng.randrange(channels)}
        if rng.random() < 0.3:
            line["__status__"] = rng.choice(["IDLE", "ACTIVE"])
        else:
            line["__watermark__"] = highest + rng.choice([-5, -1, 0, 1, 2, 7])
            highest = max(highest, line["__watermark__"])
        steps.append(line)
    return {"kind": "valve", "channels": channels, "outputs": {"main": {"columns": {"step": "INT"}, "watermarks": True}}}, steps


def play_valves(options):
    flink, wrong = Flink(), 0
    for number in range(options.pairs):
        program, steps = random_valve(options.seed + number)
        wanted, error = flink.ask(program, steps)
        leat = [json.loads(line) for line in run.run_units({"program": program}, steps).splitlines()]
        model = generate.model.evaluate(program, steps)
        if wanted != leat or wanted != model:
            wrong += 1
            print(f"MISMATCH valve {options.seed + number}: {program['channels']} channels", *steps, f"Flink {error or wanted}", f"leat {leat}", f"model {model}", sep="\n  ")
    flink.close()
    print(f"{options.pairs - wrong} passed, {wrong} failed")
    return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["cases", "pairs", "valves", "write"])
    parser.add_argument("directories", nargs="*")
    parser.add_argument("--pairs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--savepoints", type=int, default=0, help="so many more in each pair")
    options = parser.parse_args()
    if options.what == "valves":
        return play_valves(options)
    if options.what == "write":
        import stream_cases
        return stream_cases.write_all(options.directories[0], options)
    return check_cases(options.directories) if options.what == "cases" else Pairs(options).play()


if __name__ == "__main__":
    sys.exit(main())
