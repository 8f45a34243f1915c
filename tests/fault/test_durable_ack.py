#!/usr/bin/python3
"""A message that is acknowledged is on the disk: with one message under way at a time there is a sync of the journal for each, however they are gathered."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from support import Agent, Broker, Folder, Publisher  # noqa: E402

COUNT = 40
GATEWAY = """
agent: { state: @HOME@/state, checkpoint: { interval: 1h }, journal: { sync: 1h }, stop_timeout: 2s }
sources: { s: { driver: mqtt, url: "mqtt://127.0.0.1:@PORT@", topic: in, qos: @QOS@, reconnect_min: 100ms, fields: { n: int } } }
rules: { all: { sql: "SELECT n FROM s", to: out } }
sinks: { out: { driver: file, path: @HOME@/out.jsonl } }
"""


class DurableAck(unittest.TestCase):
    def syncs(self, qos):
        folder = self.enterContext(Folder())
        broker = Broker(folder, durable=False)
        gateway = folder / "gateway.yaml"
        gateway.write_text(GATEWAY.replace("@HOME@", str(folder)).replace("@PORT@", str(broker.port)).replace("@QOS@", str(qos)))
        agent = Agent(gateway, folder / "log")
        agent.until_connected()
        publisher = Publisher(broker.port)
        before = agent.status()["journal"]["syncs"]
        for n in range(COUNT):
            publisher.send("in", {"n": n})
            agent.until(lambda: agent.status()["sources"][0]["rows_in"] > n, "it arrives")
        done = agent.status()["journal"]
        agent.until(lambda: agent.status()["journal"]["syncs"] >= before + COUNT, f"{COUNT} syncs, not {done['syncs'] - before}", 5)
        publisher.close()
        agent.stop()
        return done["syncs"] - before

    def test_one_at_a_time(self):
        for qos in (1, 2):
            print(f"QoS {qos}: {COUNT} messages, {self.syncs(qos)} syncs", file=sys.stderr)


if __name__ == "__main__":
    unittest.main()
