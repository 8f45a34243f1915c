#!/usr/bin/python3
"""The commands as a user types them: help, exit codes, errors on stderr."""

import unittest

from support import Folder, leat, write_lines

GATEWAY = """
sources: { s: { driver: file, path: in.jsonl, format: json, fields: { k: string, ts: timestamp_ms, v: double }, event_time: ts, watermark: { out_of_orderness: 0s } } }
rules: { high: { sql: "SELECT k, v FROM s WHERE v > 1", to: out } }
sinks: { out: { driver: file, path: out.jsonl, format: json } }
"""


class Commands(unittest.TestCase):
    def test_help(self):
        done = leat("--help")
        self.assertEqual(done.returncode, 0)
        for command in ("run", "check", "explain", "status", "version"):
            self.assertIn(command, done.stdout)
            help_text = leat(command, "--help")
            self.assertEqual(help_text.returncode, 0)
            self.assertIn("usage: leat " + command, help_text.stdout)

    def test_unknown_command_and_missing_file(self):
        done = leat("chek", "x.yaml")
        self.assertEqual(done.returncode, 64)
        self.assertIn("did you mean 'check'?", done.stderr)
        self.assertEqual(leat("check").returncode, 64)
        self.assertEqual(leat("check", "/nowhere/gateway.yaml").returncode, 66)
        self.assertEqual(leat().returncode, 64)

    def test_version(self):
        self.assertRegex(leat("version").stdout, r"^leat \d+\.\d+\.\d+")

    def test_check_reports_all_errors_at_once(self):
        with Folder() as folder:
            path = folder / "gateway.yaml"
            path.write_text(GATEWAY.replace("SELECT k, v FROM s", "SELECT kk, v FROM s").replace("driver: file, path: out", "driver: fil, path: out"))
            done = leat("check", path)
            self.assertEqual(done.returncode, 78)
            self.assertIn("unknown column 'kk'", done.stderr)
            self.assertIn("'fil'", done.stderr)
            self.assertIn("did you mean 'file'?", done.stderr)
            self.assertIn("^", done.stderr)
            self.assertEqual(done.stdout, "")

    def test_check_and_explain_of_a_good_file(self):
        with Folder() as folder:
            path = folder / "gateway.yaml"
            path.write_text(GATEWAY)
            write_lines(folder / "in.jsonl", [])
            self.assertEqual(leat("check", path).returncode, 0)
            text = leat("explain", path)
            self.assertEqual(text.returncode, 0)
            for word in ("high", "filter", "s", "out"):
                self.assertIn(word, text.stdout)
            self.assertIn("digraph", leat("explain", path, "--dot").stdout)
            self.assertFalse((folder / ".leat").exists(), "check and explain leave nothing behind")

    def test_status_without_an_agent(self):
        with Folder() as folder:
            path = folder / "gateway.yaml"
            path.write_text(GATEWAY)
            done = leat("status", path)
            self.assertEqual(done.returncode, 69)
            self.assertIn("no agent is running", done.stderr)


if __name__ == "__main__":
    unittest.main()
