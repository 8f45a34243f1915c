#!/usr/bin/python3
"""The commands as a user types them: help, exit codes, errors on stderr."""

import os
import subprocess
import unittest

from support import LEAT, Folder, leat, write_lines

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

    def test_explain_promises_no_more_than_the_sink_keeps(self):
        """An id tells repeats only where it travels: in the payload unless a template makes it, or beside it with MQTT 5."""
        sinks = {
            "five": ("topic: a, envelope: false", "exactly once, repeats are told by their id"),
            "five_template": ("topic: a, payload: \"x{k}\"", "exactly once, repeats are told by their id"),
            "three": ("topic: a, version: 3.1.1", "exactly once, repeats are told by their id"),
            "three_bare": ("topic: a, version: 3.1.1, envelope: false", "at least once"),
            "three_template": ("topic: a, version: 3.1.1, payload: \"x{k}\"", "at least once"),
            "unasked": ("topic: a, qos: 0", "not guaranteed by the sink"),
        }
        with Folder() as folder:
            path = folder / "gateway.yaml"
            path.write_text("sources: { s: { driver: file, path: s.jsonl, fields: { k: string } } }\n"
                            f"rules: {{ r: {{ sql: SELECT k FROM s, to: [{', '.join(sinks)}] }} }}\nsinks:\n"
                            + "".join(f"  {name}: {{ driver: mqtt, url: \"mqtt://127.0.0.1:1\", {settings} }}\n" for name, (settings, _) in sinks.items()))
            text = leat("explain", path).stdout
            for name, (_, promise) in sinks.items():
                self.assertIn(f"    s to {name}: {promise}\n", text)

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

    def test_a_refused_library_is_one_error_with_its_path(self):
        with Folder() as folder:
            path = folder / "gateway.yaml"
            for library, reason in (("missing.so", "no such function library"), ("text.so", "cannot be loaded")):
                (folder / "text.so").write_text("no library")
                (folder / "text.so").chmod(0o644)
                path.write_text(f"functions: [{library}]\n" + GATEWAY.replace("SELECT k, v FROM s", "SELECT * FROM mine(r => TABLE s PARTITION BY k)"))
                done = leat("check", path)
                self.assertEqual(done.returncode, 78)
                self.assertIn(f"{folder / library}", done.stderr)
                self.assertIn(reason, done.stderr)
                self.assertNotIn("unknown table function", done.stderr)
                self.assertIn("has 1 error\n", done.stderr)

    def test_a_writable_library_is_refused_by_its_path(self):
        with Folder() as folder:
            path = folder / "gateway.yaml"
            (folder / "open.so").write_text("")
            (folder / "open.so").chmod(0o666)
            path.write_text("functions: [open.so]\n" + GATEWAY)
            done = leat("check", path)
            self.assertIn(f"{folder / 'open.so'} must not be writable by group or others (mode is 0666)", done.stderr)

    def test_check_warns_of_different_columns_in_one_csv(self):
        with Folder() as folder:
            path = folder / "gateway.yaml"
            write_lines(folder / "in.jsonl", [])
            both = GATEWAY.replace("rules: {", 'rules: { other: { sql: "SELECT k FROM s", to: out }, ')
            for text, warned in ((both.replace("format: json } }\n", "format: csv } }\n"), True), (both, False),
                                 (both.replace("SELECT k FROM s", "SELECT k, v FROM s").replace("format: json } }\n", "format: csv } }\n"), False)):
                path.write_text(text)
                done = leat("check", path)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual("have different columns, and both write to sink 'out'" in done.stderr, warned, done.stderr)

    def test_check_does_not_open_secrets(self):
        with Folder() as folder:
            path = folder / "gateway.yaml"
            secret = folder / "password"
            text = GATEWAY.replace("sinks: {", 'sinks: { up: { driver: mqtt, url: "mqtt://127.0.0.1", topic: t, user: u, password: "file:password" }, ')
            path.write_text(text.replace("to: out", "to: [out, up]"))
            write_lines(folder / "in.jsonl", [])
            done = leat("check", path)
            self.assertEqual(done.returncode, 78, "it can say that it is missing")
            self.assertIn("the secret's file cannot be read", done.stderr)
            os.mkfifo(secret)  # whoever opened it would wait for ever
            for command in ("check", "explain", "status", "stop"):
                done = subprocess.run([str(LEAT), command, str(path)], capture_output=True, text=True, timeout=20)
                self.assertEqual(done.returncode, 69 if command in ("status", "stop") else 0, done.stderr)

    def test_status_without_an_agent(self):
        with Folder() as folder:
            path = folder / "gateway.yaml"
            path.write_text(GATEWAY)
            done = leat("status", path)
            self.assertEqual(done.returncode, 69)
            self.assertIn("no agent is running", done.stderr)


if __name__ == "__main__":
    unittest.main()
