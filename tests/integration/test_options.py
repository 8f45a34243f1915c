#!/usr/bin/python3
"""OPTIONS behind a source: a variant with a watermark and a position of its own, shared by rules with equal options, through a restart."""

import unittest

from support import Agent, Folder, leat, whole_lines, write_lines

GATEWAY = """
agent: { name: plant, checkpoint: { interval: 50ms } }
sources:
  readings:
    driver: file
    path: a.jsonl
    follow: true
    fields: { ts: timestamp_ltz, n: int }
    event_time: ts
    watermark: { out_of_orderness: 1h }
rules:
  slow:
    sql: |
      SELECT window_end, SUM(n) AS total
      FROM TABLE(TUMBLE(TABLE readings, DESCRIPTOR(ts), INTERVAL '10' SECOND))
      GROUP BY window_start, window_end
    to: slow
  fast:
    sql: |
      WITH quick AS (SELECT * FROM readings /*+ OPTIONS('watermark.out_of_orderness'='0s', 'path'='b.jsonl') */)
      SELECT window_end, SUM(n) AS total
      FROM TABLE(TUMBLE(TABLE quick, DESCRIPTOR(ts), INTERVAL '10' SECOND))
      GROUP BY window_start, window_end
    to: fast
  copy:
    sql: SELECT n FROM readings /*+ OPTIONS('path'='b.jsonl', 'watermark.out_of_orderness'='0s') */
    to: copy
sinks:
  slow: { driver: file, path: slow.jsonl }
  fast: { driver: file, path: fast.jsonl }
  copy: { driver: file, path: copy.jsonl }
"""


def rows(numbers):
    return [{"ts": f"2026-03-01T10:00:{n:02d}Z", "n": n} for n in numbers]


class Options(unittest.TestCase):
    def run_until(self, folder, copied):
        agent = Agent(folder / "gateway.yaml", folder / "log")
        status = agent.until(lambda: len(whole_lines(folder / "copy.jsonl")) >= copied and agent.status(), "rows of the variant")
        self.assertEqual(agent.stop(), 0, agent.text())
        return {source["name"]: source for source in status["sources"]}

    def test_variant(self):
        with Folder() as folder:
            (folder / "gateway.yaml").write_text(GATEWAY)
            write_lines(folder / "a.jsonl", rows(range(30)))
            write_lines(folder / "b.jsonl", rows(range(0, 26, 5)))
            sources = self.run_until(folder, 6)
            self.assertEqual(sorted(sources), ["readings", "readings@fast"], "equal options are one variant")
            self.assertEqual(sources["readings@fast"]["rows_out"], 6)
            write_lines(folder / "b.jsonl", rows(range(0, 36, 5)))
            self.run_until(folder, 8)
            self.assertEqual([row["n"] for row in whole_lines(folder / "copy.jsonl")], list(range(0, 36, 5)), "it goes on where it stood")
            self.assertEqual([row["total"] for row in whole_lines(folder / "fast.jsonl")], [5, 25, 45], "its own watermark")
            self.assertEqual(whole_lines(folder / "slow.jsonl"), [], "the source's own waits for an hour")

    def test_explain(self):
        with Folder() as folder:
            (folder / "gateway.yaml").write_text(GATEWAY)
            text = leat("explain", folder / "gateway.yaml").stdout
            self.assertIn("source readings@fast: file, json\n", text)
            self.assertIn("  options    watermark.out_of_orderness=0s, path=b.jsonl, of source readings\n", text)


if __name__ == "__main__":
    unittest.main()
