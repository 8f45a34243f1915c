#!/usr/bin/python3
"""What the agent says when its flow does not move, and a wall clock that jumps: it fires nothing early, holds nothing back, and no row counts twice, over a
restart as well."""

import datetime
import json
import os
import pathlib
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from support import Agent, Folder, whole_lines  # noqa: E402

BUILD = pathlib.Path(os.environ["LEAT_BUILD"])
DAY_MS = 86400000
STUCK = """
agent: { name: plant, state: @HOME@/state, checkpoint: { interval: 100ms }, workers: 2 }
functions: [ { library: @LIBRARY@ } ]
sources: { s: { driver: file, path: @HOME@/in.jsonl, follow: true, format: json, fields: { k: string, seconds: bigint } } }
rules: { all: { sql: "SELECT * FROM stuck(r => TABLE s PARTITION BY k)", to: out } }
sinks: { out: { driver: file, path: @HOME@/out.jsonl } }
"""
WINDOWS = """
agent: { name: plant, state: @HOME@/state, checkpoint: { interval: 50ms } }
sources: { s: { driver: file, path: @HOME@/in.jsonl, follow: true, format: json, fields: { n: bigint }, processing_time: p } }
rules:
  windows:
    sql: |
      SELECT window_end, COUNT(*) AS n, MIN(n) AS first FROM TABLE(TUMBLE(TABLE s, DESCRIPTOR(p), INTERVAL '0.2' SECOND)) GROUP BY window_start, window_end
    to: out
sinks: { out: { driver: file, path: @HOME@/out.jsonl } }
"""


class Watch(unittest.TestCase):
    def agent(self, folder, text, environment=None):
        path = folder / "gateway.yaml"
        path.write_text(text.replace("@HOME@", str(folder)).replace("@LIBRARY@", str(BUILD / "tests/functions/stuck_functions.so")))
        return Agent(path, folder / "log", environment)

    def append(self, folder, *rows):
        with open(folder / "in.jsonl", "a") as lines:
            lines.writelines(json.dumps(row) + "\n" for row in rows)

    def test_a_step_that_does_not_return_is_told(self):
        with Folder() as folder:
            self.append(folder, {"k": "a", "seconds": 0})
            agent = self.agent(folder, STUCK)
            agent.until(lambda: len(whole_lines(folder / "out.jsonl")) == 1, "a row is through")
            self.assertEqual(agent.status()["stalled"], "")
            begun = time.monotonic()
            self.append(folder, {"k": "b", "seconds": 16})
            agent.until(lambda: "the flow does not move" in agent.text(), "it is told", 40)
            waited = time.monotonic() - begun
            self.assertGreater(waited, 9, "not before ten seconds without a step")
            self.assertLess(waited, 16)
            self.assertRegex(agent.text(), r"<3>leat: the flow does not move: barrier \d+ is under way for 1\d s: .*process-1 is within a step")
            found = agent.status()
            self.assertIn("process-1 is within a step", found["stalled"])
            self.assertFalse(found["held"], "nothing is full: the sources are not held back")
            agent.until(lambda: "the flow moves again" in agent.text(), "it goes on", 40)
            agent.until(lambda: agent.status()["stalled"] == "", "status says so")
            agent.until(lambda: len(whole_lines(folder / "out.jsonl")) == 2, "the row is through")
            self.assertEqual(agent.text().count("the flow does not move"), 1, "told once")
            self.assertEqual(agent.stop(), 0)

    def shift(self, folder, ms):
        (folder / "shift").write_text(str(ms))

    def feed(self, folder, numbers, seconds):
        """Rows one after the other over that time."""
        for _ in range(int(seconds / 0.02)):
            self.append(folder, {"n": next(numbers)})
            time.sleep(0.02)

    def jump(self, folder, agent, numbers, shift_ms):
        """No result for what has not passed, and results go on."""
        before = len(whole_lines(folder / "out.jsonl"))
        self.shift(folder, shift_ms)
        self.feed(folder, numbers, 1.5)
        after = len(whole_lines(folder / "out.jsonl"))
        self.assertGreater(after, before, "windows go on to close")
        agent.until(lambda: len(whole_lines(folder / "out.jsonl")) > after, "and do so", 10)

    def check(self, rows, read):
        ends = [row["window_end"] for row in rows]
        self.assertEqual(ends, sorted(set(ends)), "each window closes once, in order")
        self.assertEqual(sum(row["n"] for row in rows), read, "each row counts once")

    def test_the_wall_clock_jumps(self):
        with Folder() as folder:
            numbers = iter(range(10**9))
            environment = {"LD_PRELOAD": str(BUILD / "tests/fault/shift_clock.so"), "LEAT_CLOCK_SHIFT": str(folder / "shift")}
            self.shift(folder, 0)
            self.append(folder, {"n": next(numbers)})
            agent = self.agent(folder, WINDOWS, environment)
            agent.until(lambda: whole_lines(folder / "out.jsonl"), "a window")
            self.jump(folder, agent, numbers, -DAY_MS)  # back
            self.jump(folder, agent, numbers, DAY_MS)  # and two days ahead
            before = whole_lines(folder / "out.jsonl")
            span_ms = self.ms(before[-1]) - self.ms(before[0])
            self.assertLess(span_ms, 120000, "a jump within a run moves no time")
            self.shift(folder, -DAY_MS)
            agent.kill()
            agent.start()  # the clock of a board that has forgotten the time
            self.feed(folder, numbers, 1.0)
            agent.until(lambda: len(whole_lines(folder / "out.jsonl")) > len(before) + 2, "windows after the restart", 20)
            read = next(numbers)
            agent.until(lambda: sum(row["n"] for row in whole_lines(folder / "out.jsonl")) == read, "the last window", 20)
            rows = whole_lines(folder / "out.jsonl")
            self.check(rows, read)
            self.assertLess(self.ms(rows[-1]) - self.ms(rows[0]), 120000, "nor does one over a restart: the last checkpoint's time goes on")
            self.assertEqual(agent.stop(), 0)

    def ms(self, row):
        return time_ms(row["window_end"])


def time_ms(text):
    return int(datetime.datetime.fromisoformat(text.replace("Z", "")).timestamp() * 1000) if isinstance(text, str) else text


if __name__ == "__main__":
    unittest.main()
