#!/usr/bin/python3
"""SIGKILL at random instants of a run from file to file: the output is that of a run without a kill, ids included, each key's rows of a rule in their order.

The order among rules hangs on where batches end, that among keys of one instant on the table they lie in: neither is compared.
Sequences have no hole.
"""

import collections
import os
import pathlib
import random
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from support import Agent, Folder, leat, read_lines, write_lines  # noqa: E402

KILLS = int(os.environ.get("LEAT_KILLS", "100"))
ROWS = 250000

GATEWAY = """
agent: { checkpoint: { interval: 20ms, retained: 3 }, workers: @WORKERS@ }
sources:
  s:
    driver: file
    path: @IN@
    format: json
    fields: { k: string, ts: timestamp_ms, v: double }
    event_time: ts
    watermark: { out_of_orderness: 300ms }
rules:
  windows:
    sql: |
      SELECT k, window_end, COUNT(*) AS n, AVG(v) AS mean, COUNT(DISTINCT v) AS different
      FROM TABLE(HOP(TABLE s, DESCRIPTOR(ts), INTERVAL '1' SECOND, INTERVAL '5' SECOND))
      GROUP BY k, window_start, window_end
    to: out
  sessions: { detect: session, from: s, key: k, column: v, gap: 400ms, to: out }
  rising: { detect: rising, from: s, key: k, column: v, for: 200ms, to: out }
  high: { sql: "SELECT k, ts, v FROM windows_in WHERE v > 99", to: out }
  windows_in: { sql: "SELECT k, ts, v FROM s" }
sinks:
  out: { driver: file, path: @OUT@, format: json, envelope: true }
"""


def data(seed):
    dice, at = random.Random(seed), 0
    for _ in range(ROWS):
        at += dice.choice((0, 1, 3, 10, 10, 10, 20))
        yield {"k": f"k{dice.randrange(40)}", "ts": max(0, at - dice.randrange(300)), "v": dice.randrange(1000) / 10}


def gateway(folder, name, workers):
    path = folder / f"{name}.yaml"
    text = GATEWAY.replace("@IN@", str(folder / "in.jsonl")).replace("@OUT@", str(folder / f"{name}.jsonl")).replace("@WORKERS@", str(workers))
    path.write_text(text.replace("agent: {", f"agent: {{ name: same, state: {folder / name},"))
    return path


class KillFile(unittest.TestCase):
    def run_with_kills(self, workers, seed):
        dice = random.Random(seed)
        with Folder() as folder:
            write_lines(folder / "in.jsonl", data(seed))
            begun = time.monotonic()
            calm = leat("run", gateway(folder, "calm", workers))
            pause_s = 0.02 + 1.2 * (time.monotonic() - begun) / KILLS  # at most; so that the kills fall into the run on any machine
            self.assertEqual(calm.returncode, 0, calm.stderr)
            agent, kills = Agent(gateway(folder, "shaken", workers), folder / "log"), 0
            deadline = time.monotonic() + 600
            while True:
                time.sleep(dice.uniform(0.0, pause_s) if kills < KILLS else 0.05)
                if agent.child.poll() is not None:
                    break
                self.assertLess(time.monotonic(), deadline, agent.text()[-3000:])
                if kills < KILLS:
                    agent.kill()
                    kills += 1
                    agent.start()
            self.assertEqual(agent.child.returncode, 0, agent.text()[-3000:])
            print(f"{kills} kills, workers {workers}", file=sys.stderr)
            self.assertGreaterEqual(kills, KILLS // 2, "too few kills to mean anything")
            one, two = read_lines(folder / "calm.jsonl"), read_lines(folder / "shaken.jsonl")
            for rows in (one, two):
                self.assertEqual([row["_seq"] for row in rows], list(range(1, len(rows) + 1)), "no sequence twice, none left out")
                self.assertEqual(len({row["_id"] for row in rows}), len(rows), "no id twice")
            one, two = self.by_key(one), self.by_key(two)
            self.assertEqual(two.keys(), one.keys())
            for key in one:
                for i, (a, b) in enumerate(zip(one[key], two[key])):
                    self.assertEqual(b, a, f"{key}, result {i + 1} of {len(one[key])}")
                self.assertEqual(len(two[key]), len(one[key]), key)

    def by_key(self, rows):
        """The lines of each rule and key, in order, without their sequence."""
        found = collections.defaultdict(list)
        for row in rows:
            found[row["_rule"], row["k"]].append({name: value for name, value in row.items() if name != "_seq"})
        return found

    def test_one_worker(self):
        self.run_with_kills(1, 11)

    def test_two_workers(self):
        self.run_with_kills(2, 12)


if __name__ == "__main__":
    unittest.main()
