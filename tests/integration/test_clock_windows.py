#!/usr/bin/python3
"""Windows over processing time close by the clock: a bounded run says for how many keys they were open when the input ended."""

import re
import unittest

from support import Folder, leat, whole_lines, write_lines

GATEWAY = """
agent: { name: plant }
sources:
  s: { driver: file, path: in.jsonl, fields: { k: string, v: bigint }, processing_time: p }
rules:
  by_key:
    sql: SELECT k, window_end, SUM(v) AS total FROM TABLE(TUMBLE(TABLE s, DESCRIPTOR(p), INTERVAL '1' DAY)) GROUP BY k, window_start, window_end
    to: out
  of_all:
    sql: SELECT window_end, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE s, DESCRIPTOR(p), INTERVAL '1' DAY)) GROUP BY window_start, window_end
    to: out
sinks: { out: { driver: file, path: out.jsonl } }
"""


class ClockWindows(unittest.TestCase):
    def run_over(self, folder, rows):
        (folder / "gateway.yaml").write_text(GATEWAY)
        write_lines(folder / "in.jsonl", rows)
        result = leat("run", folder / "gateway.yaml")
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        return re.findall(r"rule '(\w+)': the input ended while windows of the clock were open for (\d+) keys?: no result", result.stdout + result.stderr)

    def test_open(self):
        with Folder() as folder:
            said = self.run_over(folder, [{"k": k, "v": 1} for k in "abca"])
            self.assertEqual(whole_lines(folder / "out.jsonl"), [])
            self.assertEqual(said, [("by_key", "3"), ("of_all", "1")])

    def test_none(self):
        with Folder() as folder:
            self.assertEqual(self.run_over(folder, []), [], "nothing was open")


if __name__ == "__main__":
    unittest.main()
