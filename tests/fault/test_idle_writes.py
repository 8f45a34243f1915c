#!/usr/bin/python3
"""An agent without arrivals writes nothing to its disk: no checkpoint because a clock went on, no sync, no file.

Counted, not timed: every call that writes, syncs or resizes, and what the agent itself accounts for.
"""

import pathlib
import re
import shutil
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from support import Agent, Folder, whole_lines  # noqa: E402

IDLE_S = 5
GATEWAY = """
agent: { state: @HOME@/state, checkpoint: { interval: 50ms, retained: 3 }, workers: @WORKERS@ }
sources:
  clock: { driver: file, path: @HOME@/clock.jsonl, follow: true, format: json, fields: { k: string, v: double } }
  event: { driver: file, path: @HOME@/event.jsonl, follow: true, format: json, fields: { k: string, ts: timestamp_ms, v: double }, event_time: ts, watermark: { out_of_orderness: 100ms, interval: 50ms, idle: 1s } }
rules:
  both:
    sql: |
      SELECT k, window_end, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE clock, DESCRIPTOR(ts), INTERVAL '0.1' SECOND)) GROUP BY k, window_start, window_end
    to: out
  rises: { detect: rising, from: event, key: k, column: v, for: 100ms, to: out }
  bad: { sql: "SELECT reason FROM event.rejected", to: out }
sinks: { out: { driver: file, path: @HOME@/out.jsonl } }
"""
CALLS = "write,writev,pwrite64,pwritev,pwritev2,fsync,fdatasync,msync,fallocate,ftruncate,rename,renameat,renameat2,unlink,unlinkat,sync_file_range"


class IdleWrites(unittest.TestCase):
    def idle(self, workers):
        folder = self.enterContext(Folder())
        gateway = folder / "gateway.yaml"
        text = GATEWAY.replace("@HOME@", str(folder)).replace("@WORKERS@", str(workers))
        (folder / "clock.jsonl").write_text("")
        (folder / "event.jsonl").write_text("")
        gateway.write_text(text)
        agent = Agent(gateway, folder / "log")
        agent.until(lambda: agent.status(), "a start")
        with open(folder / "clock.jsonl", "a") as clock, open(folder / "event.jsonl", "a") as event:
            clock.write('{"k":"a","v":1}\n{"k":"b","v":2}\n')
            event.write("".join('{"k":"a","ts":%d,"v":%d}\n' % (i * 10, i) for i in range(100)) + "no json\n")
        agent.until(lambda: len(whole_lines(folder / "out.jsonl")) >= 4, "results")
        # Settled: everything acknowledged, cursors kept (every 10 s), sources idle.
        settled = lambda: (found := agent.status()) and found["sinks"][0]["backlog"] == 0 and found  # noqa: E731
        agent.until(settled, "everything delivered")
        time.sleep(11)
        before = agent.status()
        trace = folder / "trace"
        strace = subprocess.Popen(["strace", "-f", "-y", "-qq", "-e", f"trace={CALLS}", "-p", str(agent.child.pid), "-o", trace],
                                  stderr=subprocess.DEVNULL)
        time.sleep(IDLE_S)
        strace.terminate()
        strace.wait()
        after = agent.status()
        rounds = after["checkpoint"]["unchanged"] - before["checkpoint"]["unchanged"]
        self.assertGreater(rounds, 20, "rounds went on meanwhile")
        self.assertEqual(after["checkpoint"]["count"], before["checkpoint"]["count"], "no checkpoint")
        self.assertEqual(after["flash"]["checkpoint_bytes"], before["flash"]["checkpoint_bytes"])
        self.assertEqual(after["flash"]["outbox_bytes"], before["flash"]["outbox_bytes"])
        calls = [line for line in trace.read_text().splitlines() if re.search(rf"<{re.escape(str(folder))}/", line)]
        self.assertEqual(calls, [], "calls that reach a file")
        # The marks that no checkpoint kept come with the next one: a restart goes on with the same results.
        with open(folder / "clock.jsonl", "a") as clock:
            clock.write('{"k":"a","v":1}\n')
        count = len(whole_lines(folder / "out.jsonl"))
        agent.until(lambda: len(whole_lines(folder / "out.jsonl")) > count, "a result after the rest")
        agent.kill()
        agent.start()
        agent.until(lambda: agent.status(), "a start")
        with open(folder / "clock.jsonl", "a") as clock:
            clock.write('{"k":"b","v":1}\n')
        agent.until(lambda: len(whole_lines(folder / "out.jsonl")) > count + 1, "a result after the restart")
        self.assertEqual(agent.stop(), 0, agent.text())
        return rounds

    @unittest.skipUnless(shutil.which("strace"), "strace is not installed")
    def test_idle(self):
        for workers in (1, 3):
            rounds = self.idle(workers)
            print(f"{workers} workers: {IDLE_S} s, {rounds} rounds, 0 checkpoints, 0 bytes", file=sys.stderr)


if __name__ == "__main__":
    unittest.main()
