#!/usr/bin/python3
"""Rows that are dropped stand in the loss ledger by cause: durable, and counted once however often the agent is killed."""

import os
import pathlib
import random
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from support import Agent, Folder  # noqa: E402

ROWS, KILLS = 300000, int(os.environ.get("LEAT_KILLS", "12"))
GATEWAY = """
agent: { state: @HOME@/state, checkpoint: { interval: 20ms, retained: 3 }, workers: @WORKERS@ }
sources:
  s: { driver: file, path: @HOME@/in.jsonl, follow: true, format: json, fields: { k: string, ts: timestamp_ms, v: int }, event_time: ts, watermark: { out_of_orderness: 0ms } }
rules:
  seconds:
    sql: |
      SELECT k, window_end, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE s, DESCRIPTOR(ts), INTERVAL '1' SECOND)) GROUP BY k, window_start, window_end
    to: out
sinks: { out: { driver: file, path: @HOME@/out.jsonl } }
"""


def write(path, seed):
    """Returns the drops that have to be counted: (source's undecodable, source's misfits, rule's late rows)."""
    dice, late, bad, misfit, at = random.Random(seed), 0, 0, 0, 0
    with open(path, "w") as file:
        for i in range(ROWS):
            kind = dice.randrange(100)
            if kind == 0:
                file.write("{ no json\n")
                bad += 1
            elif kind == 1:
                file.write('{"k":"a","ts":%d,"v":"text"}\n' % at)
                misfit += 1
            elif kind < 5 and at > 10000:
                file.write('{"k":"k%d","ts":%d,"v":1}\n' % (i % 7, at - 5000))
                late += 1
            else:
                at += 10
                file.write('{"k":"k%d","ts":%d,"v":1}\n' % (i % 7, at))
        file.write('{"k":"end","ts":%d,"v":1}\n' % (at + 60000))
    return bad, misfit, late


class LossLedger(unittest.TestCase):
    def counts(self, status):
        return {(row["source"], row["cause"]): row["count"] for row in status["ledger"]}

    def run_with_kills(self, workers):
        folder = self.enterContext(Folder())
        bad, misfit, late = write(folder / "in.jsonl", workers)
        gateway = folder / "gateway.yaml"
        gateway.write_text(GATEWAY.replace("@HOME@", str(folder)).replace("@WORKERS@", str(workers)))
        dice = random.Random(workers)
        agent = Agent(gateway, folder / "log")
        for _ in range(KILLS):
            time.sleep(dice.uniform(0.01, 0.12))
            agent.kill()
            agent.start()
        self.assertGreater(bad + misfit, 1000)
        self.assertGreater(late, 1000)
        want = {("s", "undecodable"): bad, ("s", "misfit"): misfit, ("seconds", "late"): late}
        agent.until(lambda: (found := agent.status()) and sum(self.counts(found).values()) >= sum(want.values()), "all drops", 60)
        agent.until(lambda: (found := agent.status()) and found["sinks"][0]["backlog"] == 0, "everything delivered")
        self.assertEqual(self.counts(agent.status()), want)
        before = agent.status()["rules"][0]["dropped"]
        agent.kill()
        agent.start()
        agent.until(lambda: agent.status(), "a start")
        time.sleep(0.3)
        self.assertEqual(self.counts(agent.status()), want, "kept, and not counted again")
        self.assertEqual(agent.stop(), 0, agent.text()[-2000:])
        return f"{workers} workers, {KILLS} kills: {want}; since the last start {before}"

    def test_kills(self):
        for workers in (1, 3):
            print(self.run_with_kills(workers), file=sys.stderr)


if __name__ == "__main__":
    unittest.main()
