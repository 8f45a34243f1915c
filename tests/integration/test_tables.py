#!/usr/bin/python3
"""Reference tables under a running rule: limits in a file, in a database and on retained topics, that change, break and go away."""

import json
import os
import sqlite3
import unittest

from support import Agent, Broker, Folder, Publisher, wait_for, whole_lines

READINGS = """
  readings:
    driver: file
    path: readings.jsonl
    follow: true
    fields: {{ n: int, device: string, reading: double }}
    processing_time: now
"""
RULE = """
rules:
  checked:
    sql: |
      SELECT r.n, l.high, r.reading > l.high AS too_high
      FROM readings AS r LEFT JOIN limits FOR SYSTEM_TIME AS OF r.now AS l ON r.device = l.device
    to: out
sinks:
  out: {{ driver: file, path: out.jsonl }}
"""
FILE = "agent: {{ name: plant, checkpoint: {{ interval: 50ms }} }}\nsources:" + READINGS + """
  limits:
    driver: table
    path: limits.csv
    check: 30ms
    format: csv
    fields: {{ device: string, high: double }}
    primary_key: device
""" + RULE
SQLITE = "agent: {{ name: plant, checkpoint: {{ interval: 50ms }} }}\nsources:" + READINGS + """
  limits:
    driver: sqlite
    path: limits.db
    query: SELECT device, high FROM limits WHERE active
    check: 30ms
    fields: {{ device: string, high: double }}
    primary_key: device
""" + RULE
TOPICS = "agent: {{ name: plant, checkpoint: {{ interval: 50ms }} }}\nsources:" + READINGS + """
  limits:
    driver: mqtt
    url: mqtt://127.0.0.1:{port}
    topic: limits/+
    reconnect_min: 100ms
    reconnect_max: 300ms
    fields: {{ device: {{ string: "topic[1]" }}, high: double }}
    changelog: upsert
    primary_key: device
    wait: 1500ms
""" + RULE


class Tables(unittest.TestCase):
    def begin(self, folder, gateway, **names):
        self.folder, self.count = folder, 0
        (folder / "readings.jsonl").write_text("")
        path = folder / "gateway.yaml"
        path.write_text(gateway.format(**names))
        return Agent(path, folder / "log")

    def read(self, device, reading=5.0):
        with open(self.folder / "readings.jsonl", "a") as readings:
            readings.write(json.dumps({"n": self.count, "device": device, "reading": reading}) + "\n")
        self.count += 1
        return self.count - 1

    def results(self):
        return {row["n"]: row.get("high") for row in whole_lines(self.folder / "out.jsonl")}

    def limit(self, agent, device):
        """The limit that a reading of now meets."""
        n = self.read(device)
        agent.until(lambda: n in self.results(), f"reading {n}")
        return self.results()[n]

    def becomes(self, agent, device, high):
        agent.until(lambda: self.limit(agent, device) == high, f"limit {high} of {device}")

    def replace(self, text):
        """As an editor does it: another file under the same name."""
        made = self.folder / "limits.new"
        made.write_text(text)
        os.replace(made, self.folder / "limits.csv")

    def note(self, agent):
        status = wait_for(agent.status, "the status")
        limits = next(source for source in status["sources"] if source["name"] == "limits")
        return limits.get("note", ""), limits.get("connected")

    def finish(self, agent):
        self.assertEqual(agent.stop(), 0, agent.text()[-3000:])
        rows = [row["n"] for row in whole_lines(self.folder / "out.jsonl")]
        self.assertEqual(sorted(rows), list(range(self.count)), "each reading once")

    def test_readings_wait_for_the_file(self):
        with Folder() as folder:
            agent = self.begin(folder, FILE)
            first = [self.read(device) for device in "ab" * 50]
            agent.until(lambda: "cannot be read" in self.note(agent)[0], "the file is missed")
            self.assertEqual(self.results(), {})
            agent.kill()  # what waits is part of the checkpoint
            agent.start()
            self.assertEqual(self.results(), {})
            self.replace("a,10\nb,20\n")
            agent.until(lambda: len(self.results()) == len(first), "what waited")
            self.assertEqual(self.results(), {n: 10 if n % 2 == 0 else 20 for n in first})
            self.assertEqual(self.note(agent), ("", True))
            self.finish(agent)

    def test_limits_change(self):
        with Folder() as folder:
            (folder / "limits.csv").write_text("a,10\nb,20\n")
            agent = self.begin(folder, FILE)
            self.assertEqual((self.limit(agent, "a"), self.limit(agent, "b"), self.limit(agent, "c")), (10, 20, None))
            self.replace("a,11\nc,30\n")
            self.becomes(agent, "a", 11)
            self.assertEqual((self.limit(agent, "b"), self.limit(agent, "c")), (None, 30))
            with open(folder / "limits.csv", "w") as limits:  # in place, in two writes
                limits.write("a,12\n")
                limits.flush()
                limits.write("b,21\n")
            self.becomes(agent, "b", 21)
            self.assertEqual((self.limit(agent, "a"), self.limit(agent, "c")), (12, None))
            self.finish(agent)

    def test_restart_and_kill(self):
        with Folder() as folder:
            (folder / "limits.csv").write_text("a,10\nb,20\n")
            agent = self.begin(folder, FILE)
            self.becomes(agent, "a", 10)
            for round in range(4):
                if round % 2:
                    agent.kill()
                else:
                    self.assertEqual(agent.stop(), 0, agent.text()[-3000:])
                self.read("a")
                self.replace(f"a,{100 + round}\n" if round < 3 else "b,7\n")
                agent.start()
                if round < 3:
                    self.becomes(agent, "a", 100 + round)
                    self.assertEqual(self.limit(agent, "b"), None)
            self.becomes(agent, "b", 7)
            self.assertEqual(self.limit(agent, "a"), None)
            self.finish(agent)

    def test_bad_files_change_nothing(self):
        with Folder() as folder:
            (folder / "limits.csv").write_text("a,10\nb,20\n")
            agent = self.begin(folder, FILE)
            self.becomes(agent, "a", 10)
            self.replace("a,11\nb,many\n")
            agent.until(lambda: "1 row does not fit" in self.note(agent)[0], "the bad row is told")
            self.assertEqual((self.limit(agent, "a"), self.limit(agent, "b")), (10, 20))
            self.replace("")
            agent.until(lambda: "empty" in self.note(agent)[0], "the empty file is told")
            self.assertEqual(self.limit(agent, "b"), 20)
            os.remove(folder / "limits.csv")
            agent.until(lambda: "cannot be read" in self.note(agent)[0], "the missing file is told")
            self.assertEqual(self.limit(agent, "b"), 20)
            agent.kill()
            agent.start()
            self.assertEqual(self.limit(agent, "b"), 20)
            self.replace("a,11\nb,21\n")
            self.becomes(agent, "b", 21)
            self.assertEqual(self.note(agent), ("", True))
            self.finish(agent)

    def test_retained_topics(self):
        with Folder() as folder:
            broker = Broker(folder)
            publisher = Publisher(broker.port)
            publisher.send("limits/a", {"high": 10}, retain=True)
            publisher.send("limits/b", {"high": 20}, retain=True)
            agent = self.begin(folder, TOPICS, port=broker.port)
            self.assertEqual(self.limit(agent, "a"), 10)  # the first reading waited
            publisher.send("limits/a", {"high": 11}, retain=True)
            self.becomes(agent, "a", 11)
            publisher.send("limits/b", b"", retain=True)
            self.becomes(agent, "b", None)
            agent.kill()
            publisher.send("limits/a", {"high": 12}, retain=True)
            publisher.send("limits/c", {"high": 30}, retain=True)
            agent.start()
            self.becomes(agent, "c", 30)
            self.assertEqual((self.limit(agent, "a"), self.limit(agent, "b")), (12, None))
            self.assertEqual(agent.stop(), 0, agent.text()[-3000:])
            publisher.send("limits/a", b"", retain=True)
            agent.start()
            self.becomes(agent, "a", None)
            self.finish(agent)

    def test_database(self):
        with Folder() as folder:
            base = sqlite3.connect(folder / "limits.db", isolation_level=None)
            base.execute("CREATE TABLE limits (device TEXT PRIMARY KEY, high REAL, active INT)")
            base.execute("INSERT INTO limits VALUES ('a', 10, 1), ('b', 20, 1), ('c', 30, 0)")
            agent = self.begin(folder, SQLITE)
            self.assertEqual((self.limit(agent, "a"), self.limit(agent, "b"), self.limit(agent, "c")), (10, 20, None))
            base.execute("UPDATE limits SET active = 1 - active, high = high + 1")
            self.becomes(agent, "c", 31)
            self.assertEqual((self.limit(agent, "a"), self.limit(agent, "b")), (None, None))
            base.execute("BEGIN IMMEDIATE")
            base.execute("DELETE FROM limits")
            self.assertEqual(self.limit(agent, "c"), 31)  # what is not committed is not there
            base.execute("ROLLBACK")
            agent.kill()
            base.execute("UPDATE limits SET active = 1")
            agent.start()
            self.becomes(agent, "a", 11)
            base.execute("ALTER TABLE limits RENAME TO gone")
            agent.until(lambda: "no such table" in self.note(agent)[0], "the missing table is told")
            self.assertEqual((self.limit(agent, "a"), self.limit(agent, "c")), (11, 31))
            base.execute("ALTER TABLE gone RENAME TO limits")
            base.execute("UPDATE limits SET high = 5 WHERE device = 'a'")
            self.becomes(agent, "a", 5)
            self.finish(agent)


if __name__ == "__main__":
    unittest.main()
