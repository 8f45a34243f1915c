#!/usr/bin/python3
"""A bounded run from file to file: results, the end, the next run, a stop in the middle, bad rows, a second agent."""

import json
import unittest

from support import Agent, Folder, leat, read_lines, wait_for, write_lines

GATEWAY = """
agent: {{ checkpoint: {{ interval: 50ms }} }}
sources:
  s:
    driver: file
    path: in.jsonl
    follow: {follow}
    format: json
    fields: {{ k: string, ts: timestamp_ms, v: double }}
    event_time: ts
    watermark: {{ out_of_orderness: 100ms }}
rules:
  sums:
    sql: |
      SELECT k, window_start, COUNT(*) AS n, SUM(v) AS total
      FROM TABLE(TUMBLE(TABLE s, DESCRIPTOR(ts), INTERVAL '1' SECOND))
      GROUP BY k, window_start, window_end
    to: out
  rejected: {{ sql: "SELECT payload, cause FROM s.rejected", to: bad }}
sinks:
  out: {{ driver: file, path: out.jsonl, format: json }}
  bad: {{ driver: file, path: bad.jsonl, format: json }}
"""


def rows(count, keys=7):
    return [{"k": f"k{i % keys}", "ts": i * 10, "v": i * 0.5} for i in range(count)]


def expected(data):
    sums = {}
    for row in data:
        entry = sums.setdefault((row["k"], row["ts"] // 1000 * 1000), [0, 0.0])
        entry[0] += 1
        entry[1] += row["v"]
    return sums


def results(path):
    from datetime import datetime, timezone
    found = {}
    for row in read_lines(path):
        start = row["window_start"].rstrip("Z").replace("T", " ")
        ms = round(datetime.strptime(start, "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=timezone.utc).timestamp() * 1000)
        key = (row["k"], ms)
        assert key not in found, f"{key} twice"
        found[key] = [row["n"], row["total"]]
    return found


# Rules that deal the same rows out by the same key look it up once: their results are those of a rule by itself.
SHARED_KEYS = """
agent: {{ workers: {workers} }}
sources:
  s:
    driver: file
    path: in.jsonl
    format: json
    fields: {{ k: string, ts: timestamp_ms, v: double }}
    event_time: ts
    watermark: {{ out_of_orderness: 100ms }}
rules:
{rules}
sinks:
{sinks}
"""
SHARED_QUERY = ("SELECT k, window_start, COUNT(*) AS n, SUM(v) AS total FROM TABLE(TUMBLE(TABLE {0}, DESCRIPTOR(ts), "
                "INTERVAL '1' SECOND)) GROUP BY k, window_start, window_end")
SHARED_TABLES = ["s", "(SELECT * FROM s WHERE v >= 0)", "(SELECT v, ts, k FROM s)", "(SELECT k, ts, v FROM s WHERE v < 1e9)"]


class FileRun(unittest.TestCase):
    def test_rules_that_share_a_key(self):
        data = rows(5000, keys=300) + [{"ts": 50_000, "v": 1.0}]  # the last one has no key
        for workers in (1, 4):
            with self.subTest(workers=workers), Folder() as folder:
                write_lines(folder / "in.jsonl", data)
                tables = [name if name == "s" else f"{name}" for name in SHARED_TABLES]
                rules = [f'  r{i}: {{ sql: "WITH t AS (SELECT * FROM {table}) {SHARED_QUERY.format("t")}", to: o{i} }}'
                         for i, table in enumerate(tables)]
                sinks = [f"  o{i}: {{ driver: file, path: out{i}.jsonl, format: json }}" for i in range(len(tables))]
                (folder / "g.yaml").write_text(
                    SHARED_KEYS.format(workers=workers, rules="\n".join(rules), sinks="\n".join(sinks)))
                leat("run", "g.yaml", cwd=folder)
                want = {(None if key == "None" else key, ms): value
                        for (key, ms), value in expected([{**row, "k": str(row.get("k"))} for row in data]).items()}
                for i in range(len(tables)):
                    self.assertEqual(results(folder / f"out{i}.jsonl"), want)

    def test_bounded_run_ends_and_the_next_appends(self):
        with Folder() as folder:
            data = rows(5000)
            write_lines(folder / "in.jsonl", data)
            gateway = folder / "gateway.yaml"
            gateway.write_text(GATEWAY.format(follow="false"))
            done = leat("run", gateway)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(results(folder / "out.jsonl"), expected(data))
            once = (folder / "out.jsonl").read_text()
            self.assertEqual(leat("run", gateway).returncode, 0)
            self.assertEqual((folder / "out.jsonl").read_text(), once + once)

    def test_rejected_rows_are_a_stream(self):
        with Folder() as folder:
            (folder / "in.jsonl").write_text('{"k":"a","ts":1,"v":1}\n{"k":"a","ts":2,"v":"x"}\nnot json\n{"k":"a","ts":3,"v":2}\n')
            gateway = folder / "gateway.yaml"
            gateway.write_text(GATEWAY.format(follow="false"))
            done = leat("run", gateway)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(results(folder / "out.jsonl"), {("a", 0): [2, 3.0]})
            self.assertEqual(sorted(row["cause"] for row in read_lines(folder / "bad.jsonl")), ["misfit", "undecodable"])

    def test_follow_stop_and_go_on(self):
        with Folder() as folder:
            data = rows(3000)
            write_lines(folder / "in.jsonl", data[:1500])
            gateway = folder / "gateway.yaml"
            gateway.write_text(GATEWAY.format(follow="true"))
            agent = Agent(gateway, folder / "log")
            out = folder / "out.jsonl"
            wait_for(lambda: out.exists() and len(read_lines(out)) >= 14 * 7, "the first windows")
            self.assertEqual(agent.stop(), 0, agent.text())
            with open(folder / "in.jsonl", "a") as more:
                more.writelines(json.dumps(row) + "\n" for row in data[1500:] + [{"k": "end", "ts": 10**7, "v": 0}])
            agent.start()
            wait_for(lambda: len(results(out)) >= len(expected(data)), "the other windows")
            self.assertEqual(agent.stop(), 0, agent.text())
            self.assertEqual(results(out), expected(data))

    def test_status_and_a_second_agent(self):
        with Folder() as folder:
            write_lines(folder / "in.jsonl", rows(2000))
            gateway = folder / "gateway.yaml"
            gateway.write_text(GATEWAY.format(follow="true"))
            agent = Agent(gateway, folder / "log")
            status = wait_for(lambda: (found := agent.status()) and found["sources"][0].get("rows_in", 0) >= 2000 and found, "status")
            self.assertEqual([rule["name"] for rule in status["rules"]], ["sums", "rejected"])
            self.assertIn("checkpoint", status)
            text = leat("status", gateway)
            self.assertEqual(text.returncode, 0)
            self.assertIn("sums", text.stdout)
            second = leat("run", gateway)
            self.assertEqual(second.returncode, 69, second.stderr)
            self.assertIn("another agent", second.stderr)
            self.assertEqual(agent.stop(), 0, agent.text())


if __name__ == "__main__":
    unittest.main()
