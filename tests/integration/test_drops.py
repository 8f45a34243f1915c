#!/usr/bin/python3
"""What is dropped is told: at the end of a bounded run in a line for each source and rule, in the status while one runs."""

import time
import unittest

from support import Agent, Broker, Folder, Publisher, leat, write_lines

GATEWAY = """
agent: {{ name: plant, checkpoint: {{ interval: 50ms }} }}
sources:
  s:
    driver: file
    path: in.jsonl
    follow: {follow}
    format: json
    fields: {{ k: string, v: bigint, ts: timestamp_ms }}
    event_time: ts
    watermark: {{ out_of_orderness: 0s, future: 1h }}
rules:
  m:
    sql: SELECT k, window_end, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE s, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY k, window_start, window_end
    to: out
  fine: {{ sql: "SELECT k FROM s", to: out }}
sinks:
  out: {{ driver: file, path: out.jsonl }}
"""


class Drops(unittest.TestCase):
    def rows(self):
        far = int(time.time() * 1000) + 10**8
        return [{"k": "a", "v": 1, "ts": 0}, {"k": "a", "v": "many", "ts": 1000}, {"k": "a", "v": 1, "ts": 60000}, {"k": "a", "v": 1, "ts": 5000},
                {"k": "a", "v": 1, "ts": 6000}, {"k": "a", "v": 1}, {"k": "a", "v": 1, "ts": far}, {"k": "a", "v": 1, "ts": 70000}]

    def test_bounded_run_tells_at_its_end(self):
        with Folder() as folder:
            path = folder / "gateway.yaml"
            path.write_text(GATEWAY.format(follow="false"))
            write_lines(folder / "in.jsonl", self.rows())
            with open(folder / "in.jsonl", "a") as lines:
                lines.write("{ no json\n")
            done = leat("run", path)
            self.assertEqual(done.returncode, 0, done.stderr)
            lines = [line for line in done.stderr.splitlines() if "dropped" in line or "future" in line]
            self.assertEqual(lines, ["<6>leat: source 's': 3 rows dropped: null-time 1, undecodable 1, misfit 1",
                                     "<6>leat: source 's': 1 rows from the future: the watermark did not follow them",
                                     "<6>leat: rule 'm': 2 rows dropped: late 2"])

    def test_nothing_is_said_of_nothing(self):
        with Folder() as folder:
            path = folder / "gateway.yaml"
            path.write_text(GATEWAY.format(follow="false"))
            write_lines(folder / "in.jsonl", [{"k": "a", "v": 1, "ts": 0}])
            self.assertNotIn("dropped", leat("run", path).stderr)

    def test_status_while_it_runs(self):
        with Folder() as folder:
            path = folder / "gateway.yaml"
            path.write_text(GATEWAY.format(follow="true"))
            write_lines(folder / "in.jsonl", self.rows())
            agent = Agent(path, folder / "log")
            found = agent.until(lambda: (now := agent.status()) and now["rules"][0]["dropped"] and now, "late rows")
            self.assertEqual(found["sources"][0]["dropped"], {"null-time": 1, "misfit": 1})
            self.assertEqual(found["sources"][0]["future_rows"], 1)
            self.assertEqual(found["rules"][0]["dropped"], {"late": 2})
            self.assertEqual(found["rules"][1]["dropped"], {})
            self.assertIn("1 rows from the future", leat("status", path).stdout)
            self.assertEqual(agent.stop(), 0)

    def test_empty_messages_are_counted(self):
        with Folder() as folder:
            broker = Broker(folder, durable=False)
            path = folder / "gateway.yaml"
            path.write_text(f"""
sources:
  s: {{ driver: mqtt, url: "mqtt://127.0.0.1:{broker.port}", topic: in, qos: 2, format: json, fields: {{ n: int }} }}
rules:
  all: {{ sql: SELECT n FROM s, to: out }}
sinks:
  out: {{ driver: file, path: out.jsonl }}
""")
            agent = Agent(path, folder / "log")
            agent.until_connected()
            publisher = Publisher(broker.port)
            for qos in (0, 1, 2):
                publisher.send("in", b"", qos=qos)
                publisher.send("in", {"n": qos}, qos=qos)
            found = agent.until(lambda: (now := agent.status()) and now["sources"][0]["rows_out"] == 3 and now, "the others")
            self.assertEqual(found["sources"][0]["counters"]["empty"], 3)
            self.assertEqual(agent.stop(), 0)
            publisher.close()


if __name__ == "__main__":
    unittest.main()
