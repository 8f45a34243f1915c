#!/usr/bin/python3
"""A small disk under the state directory that fills up: intake is held, the agent says so, nothing is lost, and room brings everything back by itself."""

import os
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from support import Agent, Broker, Collector, Folder, Publisher, wait_for, whole_lines, write_lines  # noqa: E402

GATEWAY = """
agent: {{ state: {state}, checkpoint: {{ interval: 100ms, retained: 3 }}, stop_timeout: 5s }}
sources:
  s: {source}
rules:
  all: {{ sql: "SELECT n, pad FROM s", to: [up{more}] }}
sinks:
  up: {{ driver: mqtt, url: "mqtt://127.0.0.1:{port}", topic: up, qos: 1, envelope: true, reconnect_min: 100ms, reconnect_max: 500ms }}
  out: {{ driver: file, path: {out}, envelope: true }}
"""
PAD = "x" * 6000


class DiskFull(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(Folder())
        self.state = self.folder / "state"
        self.state.mkdir()
        if os.geteuid() != 0:
            self.skipTest("only root may mount a small disk")
        self.mount("48m")
        self.broker = Broker(self.folder, durable=False)

    def mount(self, size):
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "leat-test", self.state], capture_output=True, text=True)
        if done.returncode != 0:
            self.skipTest(f"mount is refused: {done.stderr.strip()}")
        self.addCleanup(subprocess.run, ["umount", "-l", self.state], check=False)

    def agent(self, source, port, more=""):
        gateway = self.folder / "gateway.yaml"
        gateway.write_text(GATEWAY.format(state=self.state, source=source, port=port, more=more, out=self.folder / "out.jsonl"))
        return Agent(gateway, self.folder / "log")

    def numbers(self, collector):
        return list(dict.fromkeys(row["n"] for row in collector.rows()))

    def held(self, agent):
        """Full, and nothing moves any more."""
        agent.until(lambda: "intake is held back" in agent.text(), "it says that the disk is full")
        agent.until(lambda: (found := agent.status()) and any(sink["full"] for sink in found["sinks"]), "status says so too")

    def test_file_to_a_broker_that_is_away(self):
        count = 10000
        write_lines(self.folder / "in.jsonl", ({"n": n, "pad": PAD} for n in range(count)))
        self.broker.stop()
        agent = self.agent(f"{{ driver: file, path: {self.folder}/in.jsonl, format: json, fields: {{ n: int, pad: string }} }}", self.broker.port)
        self.held(agent)
        agent.kill()  # a full disk is no hindrance to starting
        agent.start()
        self.held(agent)
        self.broker.start()
        collector = Collector(self.broker.port, "up")
        code = agent.child.wait(100)
        self.assertEqual(code, 0, agent.text()[-3000:])
        wait_for(lambda: (seen := self.numbers(collector)) and seen[-1] == count - 1, "the collector has what the broker took")
        found = self.numbers(collector)
        # What was delivered before the collector subscribed is not seen: complete from its first one on.
        self.assertEqual(found, list(range(found[0], count)))
        self.assertLess(found[0], 5000)
        ids = {row["_id"]: row["n"] for row in collector.rows()}
        self.assertEqual(len(ids), len(found), "one id a result")
        collector.close()
        print(f"file: {count} results of {len(PAD)} bytes through a disk of 48 MiB, seen from {found[0]} on, {len(collector.messages) - len(found)} sent again",
              file=sys.stderr)

    def test_broker_to_a_broker_that_is_away(self):
        """The outbox fills, then the journal; the source disconnects, and the broker keeps the rest."""
        count = 9000
        away = Broker(self.folder, "away", durable=False)
        collector = Collector(away.port, "up")
        away.stop()
        source = f'{{ driver: mqtt, url: "mqtt://127.0.0.1:{self.broker.port}", topic: in, qos: 2, reconnect_min: 100ms, reconnect_max: 500ms, fields: {{ n: int, pad: string }} }}'
        agent = self.agent(source, away.port, ", out")
        agent.until_connected()
        publisher = Publisher(self.broker.port)
        for n in range(count):
            publisher.send("in", {"n": n, "pad": PAD}, wait=n % 500 == 499)
        self.held(agent)
        agent.until(lambda: agent.status()["sources"][0]["held"], "the source is held")
        away.start()
        agent.until(lambda: len(self.numbers(collector)) >= count, "everything, by itself", 90)
        self.assertEqual(self.numbers(collector), list(range(count)))
        agent.until(lambda: len(whole_lines(self.folder / "out.jsonl")) >= count, "the file too")
        self.assertEqual([row["n"] for row in whole_lines(self.folder / "out.jsonl")], list(range(count)))
        self.assertEqual(agent.status()["ledger"], [])
        self.assertEqual(agent.stop(), 0, agent.text()[-2000:])
        collector.close()
        print(f"mqtt: {count} messages, 0 lost, {len(collector.messages) - count} sent again", file=sys.stderr)

    def fill(self):
        """Takes every byte that is left; returns the file."""
        foreign = self.state / "foreign"
        with open(foreign, "wb", buffering=0) as file:
            for size in (1 << 20, 65536, 4096):
                try:
                    while file.write(bytes(size)) == size:
                        pass
                except OSError:
                    pass
        return foreign

    def others_fill_it(self, before, during, after):
        """Somebody else takes the whole disk, while messages come and go, and gives it back."""
        collector = Collector(self.broker.port, "up")
        source = f'{{ driver: mqtt, url: "mqtt://127.0.0.1:{self.broker.port}", topic: in, qos: 2, reconnect_min: 100ms, reconnect_max: 500ms, fields: {{ n: int, pad: string }} }}'
        agent = self.agent(source, self.broker.port, ", out")
        agent.until_connected()
        publisher = Publisher(self.broker.port)
        count = 0

        def publish(more):
            nonlocal count
            for _ in range(more):
                publisher.send("in", {"n": count, "pad": PAD}, wait=count % 200 == 199)
                count += 1

        publish(before)
        agent.until(lambda: len(self.numbers(collector)) >= before * 4 // 5, "the first results")
        foreign = self.fill()
        publish(during)
        agent.until(lambda: "intake is held back" in agent.text() or "no room for a checkpoint" in agent.text(), "it says that the disk is full")
        agent.until(lambda: (found := agent.status()) and (found["held"] or found["checkpoint"]["disk_full"] or found["journal"]["full"]), "status says so too")
        self.assertTrue(agent.runs(), agent.text())
        foreign.unlink()
        publish(after)
        try:
            agent.until(lambda: len(self.numbers(collector)) >= count, "everything, by itself", 90)
        except AssertionError as hung:
            found = agent.status() or {}
            raise AssertionError(f"{hung}\n{len(self.numbers(collector))} of {count}; held {found.get('held')}, stalled '{found.get('stalled')}'\n{found}") from None
        self.assertEqual(self.numbers(collector), list(range(count)))
        agent.until(lambda: len(whole_lines(self.folder / "out.jsonl")) >= count, "the file too")
        self.assertEqual([row["n"] for row in whole_lines(self.folder / "out.jsonl")], list(range(count)))
        self.assertEqual(agent.status()["ledger"], [])
        self.assertFalse(agent.status()["held"])
        self.assertEqual(agent.stop(), 0, agent.text()[-2000:])
        self.assertNotIn("<3>", agent.text())
        said = [line for line in agent.text().splitlines() if "<4>" in line]
        collector.close()
        return f"{count} messages, 0 lost; {len(said)} warnings"

    def test_somebody_else_fills_the_disk(self):
        print(f"foreign file on 48 MiB: {self.others_fill_it(500, 9000, 500)}", file=sys.stderr)

    def test_somebody_else_fills_a_smaller_disk(self):
        self.mount("24m")
        print(f"foreign file on 24 MiB: {self.others_fill_it(300, 5000, 300)}", file=sys.stderr)


if __name__ == "__main__":
    unittest.main()
