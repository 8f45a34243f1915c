#!/usr/bin/python3
"""Rules between brokers: wildcards and parts of topics, a receiver that is away, a broker that restarts, bad payloads, retained messages."""

import unittest

from support import Agent, Broker, Collector, Folder, Publisher, free_port, wait_for, whole_lines

GATEWAY = """
agent: {{ name: plant, checkpoint: {{ interval: 50ms }} }}
sources:
  s:
    driver: mqtt
    url: mqtt://127.0.0.1:{port}
    topic: [plant/+/readings/#, other/x]
    qos: {qos}
    retained: {retained}
    reconnect_min: 100ms
    reconnect_max: 500ms
    format: json
    fields: {{ line: {{ string: "topic[1]" }}, n: int, v: double }}
rules:
  all: {{ sql: "SELECT line, topic, n, v FROM s", to: [cloud, file] }}
  high: {{ sql: "SELECT line, n, v FROM s WHERE v > 90", to: cloud }}
  bad: {{ sql: "SELECT payload, reason, cause FROM s.rejected", to: bad }}
sinks:
  cloud: {{ driver: mqtt, url: "mqtt://127.0.0.1:{cloud}", topic: "up/{{rule}}/{{line}}", qos: 1, commit: now, reconnect_min: 100ms, reconnect_max: 500ms, envelope: true }}
  file: {{ driver: file, path: out.jsonl }}
  bad: {{ driver: file, path: bad.jsonl }}
"""


class Mqtt(unittest.TestCase):
    def agent(self, folder, port, cloud, qos=2, retained="deliver"):
        gateway = folder / "gateway.yaml"
        gateway.write_text(GATEWAY.format(port=port, cloud=cloud, qos=qos, retained=retained))
        return Agent(gateway, folder / "log")

    def connected(self, agent, what="sources"):
        return wait_for(lambda: (found := agent.status()) and found[what][0].get("connected") and found, f"{what} connected")

    def finish(self, agent):
        self.assertEqual(agent.stop(), 0, agent.text()[-3000:])

    def test_wildcards_and_topic_parts(self):
        with Folder() as folder:
            broker = Broker(folder)
            agent = self.agent(folder, broker.port, broker.port)
            self.connected(agent)
            collector, publisher = Collector(broker.port, "up/#"), Publisher(broker.port)
            publisher.send("plant/a/readings", {"n": 1, "v": 10})
            publisher.send("plant/b/readings/deep/er", {"n": 2, "v": 91})
            publisher.send("plant/c/other", {"n": 3, "v": 92})
            publisher.send("other/x", {"n": 4, "v": 93})
            publisher.send("plant/d/e/readings", {"n": 5, "v": 94})
            publisher.send("plant/ä ö/readings", {"n": 6, "v": 1})
            wait_for(lambda: len(collector.messages) >= 6, "results")
            rows = collector.rows()
            self.assertEqual([(topic, row["n"]) for (topic, _), row in zip(collector.messages, rows) if row["_rule"] == "all"],
                             [("up/all/a", 1), ("up/all/b", 2), ("up/all/x", 4), ("up/all/ä ö", 6)])
            self.assertEqual([row["topic"] for row in rows if row["_rule"] == "all"],
                             ["plant/a/readings", "plant/b/readings/deep/er", "other/x", "plant/ä ö/readings"])
            self.assertEqual([row["n"] for row in rows if row["_rule"] == "high"], [2, 4])
            self.finish(agent)

    def test_receiver_away_at_start_and_in_the_middle(self):
        with Folder() as folder:
            broker, cloud = Broker(folder), Broker(folder, "cloud")
            cloud.stop()
            agent = self.agent(folder, broker.port, cloud.port)
            self.connected(agent)
            publisher = Publisher(broker.port)
            for n in range(50):
                publisher.send("plant/a/readings", {"n": n, "v": 0})
            waiting = wait_for(lambda: (found := agent.status()) and found["sinks"][0]["backlog"] == 50 and found, "the backlog")
            self.assertFalse(waiting["sinks"][0].get("connected"))
            wait_for(lambda: len(whole_lines(folder / "out.jsonl")) == 50, "the other sink is not held up")
            cloud.start()
            collector = Collector(cloud.port, "up/#")
            wait_for(lambda: len(collector.messages) >= 50 or agent.status()["sinks"][0]["backlog"] == 0, "what waited", 60)
            cloud.stop()
            for n in range(50, 100):
                publisher.send("plant/a/readings", {"n": n, "v": 0})
            wait_for(lambda: agent.status()["sinks"][0]["backlog"] == 50, "the second backlog")
            cloud.start()
            wait_for(lambda: agent.status()["sinks"][0]["backlog"] == 0, "the second delivery", 60)
            # The collector came after the first delivery had begun: what it has is in order and complete behind its first one.
            wait_for(lambda: collector.rows() and collector.rows()[-1]["n"] == 99, "the last one at the collector")
            seen = list(dict.fromkeys(row["n"] for row in collector.rows()))
            self.assertEqual(seen, list(range(seen[0], 100)))
            self.assertEqual(agent.status()["ledger"], [])
            self.finish(agent)

    def test_idle_sink_connects_again_by_itself(self):
        with Folder() as folder:
            broker, cloud = Broker(folder), Broker(folder, "cloud")
            agent = self.agent(folder, broker.port, cloud.port)
            self.connected(agent, "sinks")
            cloud.stop()
            wait_for(lambda: not agent.status()["sinks"][0]["connected"], "the loss is noticed")
            cloud.start()
            self.connected(agent, "sinks")
            self.finish(agent)

    def test_source_broker_restarts(self):
        with Folder() as folder:
            broker, cloud = Broker(folder), Broker(folder, "cloud")
            collector = Collector(cloud.port, "up/all/#")
            agent = self.agent(folder, broker.port, cloud.port)
            self.connected(agent)
            publisher = Publisher(broker.port)
            for n in range(300):
                publisher.send("plant/a/readings", {"n": n, "v": 0}, wait=False)
                if n in (100, 200):
                    broker.stop()
                    wait_for(lambda: not agent.status()["sources"][0]["connected"], "the loss is noticed")
                    broker.start()
            publisher.send("plant/a/readings", {"n": 300, "v": 0})
            wait_for(lambda: {row["n"] for row in collector.rows()} >= set(range(301)), "all of them")
            ids = {row["_id"] for row in collector.rows()}
            self.assertEqual(len(ids), 301, "exactly once after dedup by id")
            self.assertEqual(len(whole_lines(folder / "out.jsonl")), 301)
            self.finish(agent)

    def test_source_broker_away_at_start(self):
        with Folder() as folder:
            broker, cloud = Broker(folder), Broker(folder, "cloud")
            broker.stop()
            agent = self.agent(folder, broker.port, cloud.port)
            wait_for(lambda: "source 's': not connected" in agent.text(), "it says so")
            broker.start()
            self.connected(agent)
            Publisher(broker.port).send("plant/a/readings", {"n": 1, "v": 0})
            wait_for(lambda: whole_lines(folder / "out.jsonl"), "the result")
            self.finish(agent)

    def test_nobody_listens_at_all(self):
        with Folder() as folder:
            agent = self.agent(folder, free_port(), free_port())
            wait_for(lambda: "source 's': not connected" in agent.text(), "it says so")
            self.finish(agent)

    def test_bad_payloads(self):
        with Folder() as folder:
            broker = Broker(folder)
            agent = self.agent(folder, broker.port, broker.port)
            self.connected(agent)
            publisher = Publisher(broker.port)
            bad = [b"", b"no json", b"{", b"\xff\xfe\x00", b"[1,2]", b'{"n":"x","v":1}', b"[" * 5000, b'{"n":1,"v":1}}', b'{"n":99999999999,"v":1}']
            for payload in bad:
                publisher.send("plant/a/readings", payload)
            publisher.send("plant/a/readings", b'{"n":1,"v":' + b" " * 200000 + b"2}")
            publisher.send("plant/a/readings", {"n": 2, "v": None})
            wait_for(lambda: any(row["n"] == 2 for row in whole_lines(folder / "out.jsonl")), "the good one behind the bad ones")
            good = whole_lines(folder / "out.jsonl")
            rejected = wait_for(lambda: len(found := whole_lines(folder / "bad.jsonl")) + len(whole_lines(folder / "out.jsonl")) >= len(bad) + 2 and found,
                                "the rejected ones")
            print([(row["n"], row["v"]) for row in good], [(row["cause"], row["reason"]) for row in rejected])
            self.assertIn((1, 2.0), [(row["n"], row["v"]) for row in good])
            self.assertGreaterEqual(len(rejected), 6)
            dropped = agent.status()["sources"][0]["dropped"]
            self.assertEqual(sum(dropped.values()), len(rejected), dropped)
            self.finish(agent)

    def test_payload_beyond_the_limit(self):
        with Folder() as folder:
            broker = Broker(folder)
            agent = self.agent(folder, broker.port, broker.port)
            self.connected(agent)
            publisher = Publisher(broker.port)
            publisher.send("plant/a/readings", b'{"n":1,"v":' + b" " * 300000 + b"2}")
            publisher.send("plant/a/readings", {"n": 2, "v": 0})
            wait_for(lambda: [row["n"] for row in whole_lines(folder / "out.jsonl")] == [2], "the good one")
            ledger = wait_for(lambda: agent.status()["ledger"], "the ledger")
            self.assertEqual([(row["source"], row["cause"], row["count"]) for row in ledger], [("s", "too-large", 1)])
            self.finish(agent)

    def test_retained(self):
        for choice, wanted in (("deliver", [1, 2]), ("ignore", [2])):
            with Folder() as folder:
                broker = Broker(folder)
                publisher = Publisher(broker.port)
                publisher.send("plant/a/readings", {"n": 1, "v": 0}, retain=True)
                agent = self.agent(folder, broker.port, broker.port, retained=choice)
                self.connected(agent)
                publisher.send("plant/a/readings", {"n": 2, "v": 0})
                wait_for(lambda: any(row["n"] == 2 for row in whole_lines(folder / "out.jsonl")), "the live one")
                self.assertEqual([row["n"] for row in whole_lines(folder / "out.jsonl")], wanted)
                self.finish(agent)

    def test_qos_0_and_1(self):
        for qos in (0, 1):
            with Folder() as folder:
                broker = Broker(folder)
                agent = self.agent(folder, broker.port, broker.port, qos=qos)
                self.connected(agent)
                publisher = Publisher(broker.port)
                for n in range(200):
                    publisher.send("plant/a/readings", {"n": n, "v": 0}, qos=qos, wait=False)
                wait_for(lambda: len(whole_lines(folder / "out.jsonl")) >= 200, "results")
                self.assertEqual([row["n"] for row in whole_lines(folder / "out.jsonl")], list(range(200)))
                self.finish(agent)


if __name__ == "__main__":
    unittest.main()
