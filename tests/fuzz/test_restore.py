#!/usr/bin/python3
"""Damaged state: every operator's `restore` survives any bytes, and what it has taken in does no harm to what follows.

The conformance cases are played up to a random place; there a checkpoint is cut, and a process of its own recovers from entries that were damaged, and
plays the rest. It may refuse them; it may not crash, hang, or ask for more memory in one piece than a rule can need. Under the sanitizers (./dev lint,
./dev fuzz) every byte read past its end counts as a crash.

LEAT_DAMAGE_SECONDS: for how long (default 15, and until every operator was met); LEAT_DAMAGE_SEED: another than the fixed one. What fails is told with its seed:
test_restore.py ID SEED plays it again.
"""

import collections
import importlib.machinery
import importlib.util
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import time
import types
import unittest

import yaml

TESTS = pathlib.Path(__file__).resolve().parents[1]
SOURCE = TESTS.parent
SECONDS = float(os.environ.get("LEAT_DAMAGE_SECONDS", "15"))
SEED = int(os.environ.get("LEAT_DAMAGE_SEED", "1"))
CHUNK = 64  # cases that one process plays
PER_CASE = 3  # places in a case, each with damage of its own
UNITS = ("valve", "assigner", "watermark_generator")
# What no conformance case has: a table that is read again whenever it changes.
TABLE = """
agent: { name: damage }
sources:
  limits: { driver: table, path: none, format: json, fields: { device: string, high: double }, primary_key: device }
  readings: { driver: script, format: json, fields: { device: string, reading: double }, processing_time: now }
rules:
  checked: { to: main, sql: "SELECT r.device, reading > high AS too_high FROM readings AS r LEFT JOIN limits FOR SYSTEM_TIME AS OF r.now AS l ON r.device = l.device" }
sinks:
  main: { driver: collect, format: json }
"""
TABLE_SCRIPT = "".join(f'R limits {{"device": "d{device}", "high": {device + reading}.5}}\n' + ("T limits\n" if device == 3 else "") +
                       f'R readings {{"device": "d{device}", "reading": {reading}}}\nF\n' for reading in range(4) for device in range(4))
SANITIZERS = {"ASAN_OPTIONS": "exitcode=99:detect_leaks=0:detect_odr_violation=0:allocator_may_return_null=1", "UBSAN_OPTIONS": "exitcode=99:halt_on_error=1:print_stacktrace=1"}


def load_runner():
    loader = importlib.machinery.SourceFileLoader("conformance_run", str(TESTS / "conformance" / "run"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("conformance_run", loader))
    loader.exec_module(module)
    return module


run = load_runner()


def cases():
    """(id, gateway, script) of each case that is a rule."""
    options = types.SimpleNamespace(batch=1, workers=1, recover=False, kill=False)
    for path in sorted((TESTS / "conformance" / "cases").rglob("case.yaml")):
        case = yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        if case["program"]["kind"] not in UNITS:
            yield case["id"], run.gateway(case, options), run.script(case, run.load_lines(path.parent / "input.jsonl"), options)


def every_case():
    return [*cases(), ("table", TABLE, TABLE_SCRIPT)]


def with_damage(script, seed):
    """The script with places at which a process tries to go on from damaged entries; none before there can be any."""
    dice = random.Random(seed)
    lines = script.split("\n")
    rows = [i + 1 for i, line in enumerate(lines) if line and not line.startswith("R ")] or [len(lines)]
    for place in sorted((dice.choice(rows) for _ in range(PER_CASE)), reverse=True):
        lines.insert(place, f"D {dice.randrange(1, 1 << 60)}")
    return "\n".join(lines)


def play(chunk):
    """[(id, exit code, output, standard error)] of (id, gateway, script)."""
    asked = b"".join(b"1 %d %d\n%b%b" % (len(gateway.encode()), len(script.encode()), gateway.encode(), script.encode()) for _, gateway, script in chunk)
    done = subprocess.run([str(run.RUNNER), "--list"], input=asked, capture_output=True, timeout=600, env={**os.environ, **SANITIZERS})
    rest, results = done.stdout, []
    for name, _, _ in chunk:
        end = re.search(rb"^#end (\d+) (\d+)\n", rest, re.M)
        if not end:
            raise RuntimeError(f"{name}: {done.stderr.decode()[-2000:]}")
        said = rest[end.end():end.end() + int(end.group(2))]
        results.append((name, int(end.group(1)), rest[:end.start()].decode(), said.decode(errors="replace")))
        rest = rest[end.end() + int(end.group(2)):]
    return results


def stateful_operators():
    """Operators that have something to restore, from their tables of functions."""
    names = re.findall(r"^LEAT_OPERATOR\((\w+)\)", (SOURCE / "operators" / "operators.def").read_text(), re.M)
    return {name for name in names if re.search(r"\.restore = ", (SOURCE / "operators" / f"{name}.c").read_text())}


class Restore(unittest.TestCase):
    def test_damaged_entries(self):
        every, outcomes, attacked, problems = every_case(), collections.Counter(), set(), []
        dice, until, missing = random.Random(SEED), time.monotonic() + SECONDS, stateful_operators()
        while time.monotonic() < until:
            dice.shuffle(every)
            for at in range(0, len(every), CHUNK):
                if time.monotonic() > until and missing <= attacked:
                    break
                seeds = {name: dice.randrange(1 << 32) for name, _, _ in every[at:at + CHUNK]}
                for name, code, text, said in play([(name, gateway, with_damage(script, seeds[name])) for name, gateway, script in every[at:at + CHUNK]]):
                    found = [json.loads(line) for line in text.splitlines() if line.startswith('{"damaged"')]
                    outcomes.update(each["outcome"] for each in found)
                    attacked |= {operator.split("/")[0] for each in found for operator in each["operators"]}
                    if code != 0 or any(each["outcome"] == "crashed" for each in found):
                        problems.append(f"{name} {seeds[name]}: exit code {code}\n{said[:3000]}")
        print(f"seed {SEED}: {sum(outcomes.values())} damaged images: {dict(outcomes)}", file=sys.stderr)
        if problems:
            self.fail("\n\n".join([f"{len(problems)} cases crashed", *problems[:12]]))
        self.assertGreater(outcomes["refused"], 100)
        self.assertGreater(outcomes["taken"], 100)
        self.assertEqual(missing - attacked, set(), "operators whose state was never damaged")


def again(name, seed):
    for case, gateway, script in every_case():
        if case == name:
            for _, code, text, said in play([(case, gateway, with_damage(script, seed))]):
                print(text, said, f"exit code {code}")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        again(sys.argv[1], int(sys.argv[2]))
    else:
        unittest.main()
