#!/usr/bin/python3
"""A polled device: readings, a server that is away at start, one that goes away and comes back, dead units and bad quality."""

import json
import pathlib
import subprocess
import sys
import unittest

from support import Agent, Folder, end, free_port, wait_for, whole_lines

SERVER = pathlib.Path(__file__).resolve().parents[1] / "support" / "modbus_server.py"
GATEWAY = """
agent: {{ checkpoint: {{ interval: 50ms }} }}
sources:
  s:
    driver: modbus
    url: tcp://127.0.0.1:{port}
    unit: [1, 2]
    poll: 50ms
    timeout: 200ms
    fields:
      low: {{ holding: 7 }}
      wide: {{ input: 300, type: uint32 }}
      half: {{ holding: 20, type: int16, scale: 0.5 }}
      odd: {{ coil: 3 }}
rules:
  all: {{ sql: "SELECT unit, quality, low, wide, half, odd FROM s", to: out }}
sinks:
  out: {{ driver: file, path: out.jsonl, sync: false }}
"""


class Server:
    def __init__(self, port):
        self.child = subprocess.Popen([sys.executable, str(SERVER), "tcp", str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert int(self.child.stdout.readline()) == port

    def tell(self, **command):
        self.child.stdin.write(json.dumps(command) + "\n")
        self.child.stdin.flush()
        self.child.stdout.readline()

    def stop(self):
        end(self.child)
        self.child.stdin.close()
        self.child.stdout.close()


class Modbus(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(Folder())
        self.port = free_port()
        self.out = self.folder / "out.jsonl"

    def agent(self):
        gateway = self.folder / "gateway.yaml"
        gateway.write_text(GATEWAY.format(port=self.port))
        return Agent(gateway, self.folder / "log")

    def server(self):
        server = Server(self.port)
        self.addCleanup(server.stop)
        return server

    def rows(self, unit, good=True):
        return [row for row in whole_lines(self.out) if row["unit"] == unit and (row["quality"] == "good") == good]

    def ledger(self, agent):
        return {(row["source"], row["cause"]): row["count"] for row in agent.status()["ledger"]}

    def test_readings(self):
        server = self.server()
        agent = self.agent()
        wait_for(lambda: len(self.rows(1)) >= 5 and len(self.rows(2)) >= 5, "readings of both units")
        for unit in (1, 2):
            row = self.rows(unit)[0]
            self.assertEqual([row[name] for name in ("low", "wide", "half", "odd")], [7, 300 << 16 | 301, 10.0, True])
        server.tell(unit=1, set="holding", address=7, values=[4711])
        server.tell(unit=1, set="holding", address=20, values=[65535])
        wait_for(lambda: self.rows(1)[-1]["low"] == 4711 and self.rows(1)[-1]["half"] == -0.5, "the changed registers")
        self.assertEqual(self.rows(2)[-1]["low"], 7)
        self.assertEqual(agent.stop(), 0, agent.text())

    def test_away_at_start(self):
        agent = self.agent()
        wait_for(lambda: "source 's': not connected" in agent.text(), "it says so")
        self.assertTrue(agent.runs())
        self.server()
        wait_for(lambda: self.rows(1), "readings")
        self.assertIn("source 's': connected", agent.text())
        self.assertEqual(agent.stop(), 0, agent.text())

    def test_server_restarts(self):
        server = self.server()
        agent = self.agent()
        wait_for(lambda: self.rows(1), "readings")
        server.stop()
        wait_for(lambda: not agent.status()["sources"][0]["connected"], "the loss is noticed")
        server = self.server()
        before = len(self.rows(1))
        wait_for(lambda: len(self.rows(1)) > before + 3, "readings again")
        lost = wait_for(lambda: self.ledger(agent), "the ledger")
        self.assertTrue(all(source == "s" and count > 0 for (source, _), count in lost.items()), lost)
        print("ledger:", lost, {row["quality"] for row in whole_lines(self.out)})
        agent.kill()
        agent.start()
        wait_for(lambda: agent.status() is not None, "the agent after a kill")
        for cause, count in lost.items():
            self.assertGreaterEqual(self.ledger(agent).get(cause, 0), count, "the ledger is durable")
        self.assertEqual(agent.stop(), 0, agent.text())

    def test_a_dead_unit_holds_up_no_other_and_says_bad(self):
        server = self.server()
        agent = self.agent()
        wait_for(lambda: self.rows(1) and self.rows(2), "readings")
        server.tell(unit=2, dead=True)
        bad = wait_for(lambda: self.rows(2, good=False), "a row of bad quality")
        print("quality:", bad[0])
        self.assertEqual([bad[0][name] for name in ("low", "wide", "half", "odd")], [None] * 4)
        before = len(self.rows(1))
        wait_for(lambda: len(self.rows(1)) > before + 3, "the other unit goes on")
        server.tell(unit=2, dead=False)
        back = len(self.rows(2))
        wait_for(lambda: len(self.rows(2)) > back, "readings again")
        self.assertEqual(agent.stop(), 0, agent.text())

    def test_a_register_that_is_not_there(self):
        server = self.server()
        server.tell(unit=1, illegal=[300, 301])
        agent = self.agent()
        row = wait_for(lambda: (found := [row for row in whole_lines(self.out) if row["unit"] == 1]) and found[0], "a row")
        print("illegal:", row)
        self.assertIsNone(row["wide"])
        self.assertNotEqual(row["quality"], "good")
        wait_for(lambda: self.rows(2), "the other unit")
        self.assertEqual(agent.stop(), 0, agent.text())


if __name__ == "__main__":
    unittest.main()
