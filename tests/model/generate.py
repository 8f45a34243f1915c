#!/usr/bin/python3
"""leat against the model: random programs on random disordered inputs, played by conformance_runner, compared with what model.py says.

usage: generate.py [--pairs N] [--seed S] [--only NAME[,NAME...]] [--jobs N] [--show SEED:NAME] [--keep DIR]

Each pair has a seed of its own (SEED:NAME is printed with a mismatch and plays it again). Batches of 1, 3 or 1024 rows, 1 or 4 instances, and a
recovery after every row are drawn for each pair. A construct that leat refuses by name ("... is not in leat yet") is left out, with a line that
says so. A pair of which the model or leat makes more than either computes in some seconds is left out as too large, and named. At a mismatch rows are taken away while it still fails, and program, rows, both results and the seed are printed; exit code 1.
The last line is `N passed, N failed`.
"""

import argparse
import collections
import contextlib
import copy
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import time
import traceback
import types

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import model  # noqa: E402
from check_cases import load_runner  # noqa: E402
import programs_clock  # noqa: E402, F401: adds its own
import programs_pattern  # noqa: E402, F401
import programs_process  # noqa: E402, F401
import programs_values  # noqa: E402, F401
import programs_windows  # noqa: E402, F401
from programs import CONSTRUCTS  # noqa: E402

run = load_runner()
DEFAULT_PAIRS = 20000
PROBES = 12
SHOWN_MAX = 2  # of a construct, by each job
SECONDS_MAX = 10  # for the model, and for comparing; conformance_runner ends a case after as many
OUT_OF_TIME = 128 + signal.SIGALRM
MANY, MANY_BYTES = 1000, 1 << 15  # results, as lines and as text: with fewer leat has to come to its end, and does not wait for us to read them
FAULT = re.compile(r"^rule failed: .*", re.M)


class TooLarge(BaseException):
    """More than is worth waiting for. Not an Exception: nothing on the way takes it for a mistake of the model."""


@contextlib.contextmanager
def bounded():
    def over(number, frame):
        raise TooLarge(f"more than {SECONDS_MAX} seconds")
    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, SECONDS_MAX)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Player:
    """One conformance_runner that plays cases one after another. Cases are handed over before results of the last one are read."""

    def __init__(self):
        self.process = subprocess.Popen([str(run.RUNNER), "--list"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def give(self, gateway, script, batch):
        gateway, script = gateway.encode(), script.encode()
        self.process.stdin.write(b"%d %d %d\n%s%s" % (batch, len(gateway), len(script), gateway, script))
        self.process.stdin.flush()

    def take(self):
        """(exit code, results, errors)"""
        lines = []
        while True:
            line = self.process.stdout.readline()
            if not line:
                raise RuntimeError("conformance_runner ended")
            if line.startswith(b"#end "):
                _, code, size = line.split()
                errors = self.process.stdout.read(int(size))
                return int(code), b"".join(lines).decode(), errors.decode(errors="replace")
            lines.append(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def times_out(program):
    """Whether partial matches end by event time."""
    return bool(re.search(r"\bWITHIN INTERVAL\b", program.get("query", ""))) or '"within_ms"' in json.dumps(program.get("stages", [])) or \
        (program["kind"] == "pattern" and "within_ms" in program)


def feels_steps(program):
    """Whether it matters in how many steps the watermark rises between two rows."""
    return times_out(program) or "FOR SYSTEM_TIME AS OF" in program.get("query", "")


class Pair:
    """One program with its input, and how it is played."""

    def __init__(self, seed, name):
        self.seed, self.name = seed, name
        rng = random.Random(f"{seed}:{name}")
        self.program, self.rows, self.order, *fixed = CONSTRUCTS[name](rng)
        self.options = types.SimpleNamespace(batch=rng.choice([1, 1, 3, 1024]), workers=rng.choice([1, 1, 1, 4]), recover=rng.random() < 0.3,
                                             kill=False)
        vars(self.options).update(*fixed)
        # One of several workers sees the watermark rise once for a whole batch if the rows in between are others'. Where Flink sets no timer (matches that
        # begin at 0 or before, times of a stage) the size of that step decides whether a match is told to be over, in Flink as here; and a temporal join, which
        # has one timer a key, forgets old versions when it goes off, by the watermark of that moment.
        if self.options.workers > 1 and feels_steps(self.program):
            self.options.batch = 1
        self.finish()

    def finish(self):
        exact = self.exact = self.options.batch == 1 and self.options.workers == 1 and not self.options.recover
        # Where a watermark that an operator has kept goes on after a savepoint is left open.
        timed = all(stream.get("event_time") for stream in self.program["streams"].values()) and {"__savepoint__": True} not in self.rows
        self.program["outputs"]["main"]["watermarks"] = exact and timed and self.order == "unordered_between_markers"
        self.case = {"program": self.program, "order": self.order}

    def texts(self):
        return run.gateway(self.case, self.options), run.script(self.case, self.rows, self.options)

    def expected(self):
        """The model's lines; types of the result's columns go into the program."""
        made = model.Run(self.program)
        if hasattr(made, "columns") and not self.program["outputs"]["main"]["columns"]:
            self.program["outputs"]["main"]["columns"] = made.columns
        lines = made.play(self.rows)
        if self.program["kind"] == "pattern" and not self.exact:
            for line in lines:  # when a match becomes known is left open where watermarks come to several instances or with several rows
                if line.get("__out__") != "late":
                    line.pop("__ts__", None)
        return lines

    def problem(self, wanted, answer):
        """("refused" | "too large" | "passed" | "failed", text)."""
        code, results, errors = answer
        if code == 2 and (refusal := run.REFUSED.search(errors)):
            return "refused", refusal.group(0).split(": ", 1)[-1]
        if code == OUT_OF_TIME and (len(wanted) >= MANY or len(results) >= MANY_BYTES):
            return "too large", f"leat did not come to the end of {len(wanted)} lines"
        if code != 0:
            return "failed", f"    exit code {code}: {errors.strip()[:2000]}"
        wanted, listed = run.expected_results(self.case, wanted)
        listed = self.program["outputs"]["main"]["watermarks"]
        text = run.compare(self.case, wanted, run.actual_results(self.case, results, listed), self.options)
        text = text or run.repeated_ids(results)
        return ("failed", text) if text else ("passed", "")


def judge(player, pair):
    try:
        pair.finish()
        with bounded():
            wanted = pair.expected()
        player.give(*pair.texts(), pair.options.batch)
    except run.Skip as reason:
        return "refused", str(reason)
    except TooLarge as reason:
        return "too large", f"the model: {reason}"
    return compared(pair, wanted, player.take())


def compared(pair, wanted, answer):
    try:
        with bounded():
            return pair.problem(wanted, answer)
    except TooLarge as reason:
        return "too large", f"comparing {len(wanted)} lines: {reason}"


def shrink(player, pair):
    """Drops rows, then what makes the run special, while it still fails."""
    def fails(rows, options):
        trial = copy.copy(pair)
        trial.program, trial.rows, trial.options = copy.deepcopy(pair.program), rows, options
        try:
            return judge(player, trial)[0] == "failed"
        except Exception:  # noqa: BLE001: a trial that the model cannot compute is no mismatch
            return False
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
    return judge(player, pair)


def describe(pair, text):
    options = pair.options
    lines = [f"MISMATCH --show {pair.seed}:{pair.name}  (batch {options.batch}, workers {options.workers}, recover {options.recover}, "
             f"order {pair.order})"]
    program = {key: part for key, part in pair.program.items() if key != "query"}
    lines += [json.dumps(program), pair.program.get("query", "")] + [json.dumps(row) for row in pair.rows]
    return "\n".join(lines + ["  " + "leat against the model:", text])


def keep(pair, folder):
    """The pair as a conformance case, with the model's results."""
    import yaml
    directory = pathlib.Path(folder) / f"{pair.name.replace('_', '-')}-{pair.seed}"
    directory.mkdir(parents=True, exist_ok=True)
    wanted = pair.expected()
    case = {"id": directory.name, "area": "found", "title": f"{pair.name.replace('_', ' ')}, found by random programs",
            "authority": "derived-by-reasoning", "source": {"derived": True}, "needs": [], "program": pair.program, "order": pair.order}
    (directory / "case.yaml").write_text(yaml.safe_dump(case, sort_keys=False, width=140))
    (directory / "input.jsonl").write_text("".join(json.dumps(row) + "\n" for row in pair.rows))
    (directory / "expected.jsonl").write_text("".join(json.dumps(line, default=str) + "\n" for line in wanted))


# ---- a worker: plays its share

class Worker:
    def __init__(self, options, number):
        self.options, self.number = options, number
        self.player = Player()
        self.counts = collections.defaultdict(collections.Counter)
        self.refusals, self.large = {}, []

    def pairs(self, names):
        seed = self.options.seed + self.number
        for i in range(self.number, self.options.pairs, self.options.jobs):
            yield Pair(seed + (i // len(names)) * self.options.jobs, names[i % len(names)])

    def play(self, names):
        waiting = None
        for pair in self.pairs(names):
            try:
                texts = pair.texts()
                self.player.give(*texts, pair.options.batch)
            except run.Skip as reason:
                self.count(pair, ("refused", str(reason)))
                continue
            if waiting:
                self.finish(*waiting)
            waiting = pair, self.compute(pair)
        if waiting:
            self.finish(*waiting)
        self.player.close()

    def compute(self, pair):
        try:
            with bounded():
                return pair.expected()
        except TooLarge as reason:
            return reason
        except Exception:  # noqa: BLE001: shown as a mismatch of the model
            return traceback.format_exc()

    def finish(self, pair, wanted):
        answer = self.player.take()
        try:
            if isinstance(wanted, str) and answer[0] == 2 and run.REFUSED.search(answer[2]):
                wanted = []
            if isinstance(wanted, TooLarge):
                verdict = "too large", f"the model: {wanted}"
            else:
                verdict = ("failed", wanted) if isinstance(wanted, str) else compared(pair, wanted, answer)
        except Exception:  # noqa: BLE001
            verdict = "failed", traceback.format_exc()
        self.count(pair, verdict)

    def count(self, pair, verdict):
        self.counts[pair.name][verdict[0]] += 1
        if verdict[0] == "refused":
            self.refusals.setdefault(pair.name, verdict[1])
        elif verdict[0] == "too large":
            self.large.append(f"{pair.seed}:{pair.name}: {verdict[1]}")
        elif verdict[0] == "failed":
            if self.counts[pair.name]["failed"] <= SHOWN_MAX:
                self.report(pair, verdict[1])

    def report(self, pair, text):
        spare = Player()
        if "Traceback" not in text:
            verdict, found = shrink(spare, pair)
            text = found if verdict == "failed" else text + "\n    (not seen when played again)"
        spare.close()
        print(describe(pair, text), flush=True)
        if self.options.keep and "Traceback" not in text:
            keep(pair, self.options.keep)


def supported(options):
    """Constructs that leat does not refuse altogether."""
    names = options.only.split(",") if options.only else list(CONSTRUCTS)
    player, left = Player(), []
    for name in names:
        reasons = []
        for seed in range(PROBES):
            pair = Pair(options.seed + seed, name)
            try:
                player.give(*pair.texts(), pair.options.batch)
                code, _, errors = player.take()
                reasons.append(run.REFUSED.search(errors).group(0).strip() if code == 2 and run.REFUSED.search(errors) else None)
            except run.Skip as reason:
                reasons.append(str(reason))
        if None in reasons:
            left.append(name)
        else:
            print(f"left out {name}: {reasons[0]}")
    player.close()
    return left


def in_child(options, number, names, pipe):
    worker = Worker(options, number)
    worker.play(names)
    with os.fdopen(pipe, "w") as out:
        json.dump({"counts": worker.counts, "refusals": worker.refusals, "large": worker.large}, out)


def play_all(options, names):
    """Counts by construct and verdict, from one process for each job."""
    children = []
    for number in range(options.jobs):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            status = 1
            try:
                in_child(options, number, names, writing)
                status = 0
            except BaseException:  # noqa: BLE001: shown, and counted by the parent
                traceback.print_exc()
            sys.stdout.flush()
            os._exit(status)
        os.close(writing)
        children.append((child, reading))
    counts, refusals, large, broken = collections.defaultdict(collections.Counter), {}, [], 0
    for child, reading in children:
        with os.fdopen(reading) as answer:
            text = answer.read()
        broken += os.waitpid(child, 0)[1] != 0
        if text:
            answer = json.loads(text)
            refusals.update(answer["refusals"])
            large += answer["large"]
            for name, verdicts in answer["counts"].items():
                counts[name].update(verdicts)
    return counts, refusals, large, broken


def show(options):
    seed, name = options.show.split(":")
    pair, player = Pair(int(seed), name), Player()
    verdict, text = judge(player, pair)
    if verdict == "failed":
        verdict, text = shrink(player, pair)
    print(describe(pair, text))
    print(f"{verdict}, left out" if verdict == "too large" else verdict)
    if options.keep and verdict == "failed":
        keep(pair, options.keep)
    player.close()
    return 1 if verdict == "failed" else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=int(os.environ.get("LEAT_MODEL_PAIRS", DEFAULT_PAIRS)))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--show", default="")
    parser.add_argument("--keep", default="", help="writes mismatches as conformance cases below this folder")
    options = parser.parse_args()
    if options.show:
        return show(options)
    started = time.monotonic()
    names = supported(options)
    counts, refusals, large, broken = play_all(options, names)
    total = collections.Counter()
    for name in sorted(counts):
        total.update(counts[name])
        refused = f", {counts[name]['refused']} refused ({refusals[name]})" if counts[name]["refused"] else ""
        print(f"  {name:28} {counts[name]['passed']:7} passed, {counts[name]['failed']} failed{refused}")
    for pair in large:
        print(f"too large, left out: {pair}")
    seconds = time.monotonic() - started
    print(f"{sum(total.values())} pairs in {seconds:.0f} s, {1000 * seconds * options.jobs / max(1, sum(total.values())):.2f} ms each")
    print(f"{total['passed']} passed, {total['failed'] + broken} failed")
    return 1 if total["failed"] or broken or not total["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
