#!/usr/bin/python3
"""Power cuts of the agent's disk between two ends of a real broker, which lives on: nothing that was published is missing at the receiver, and nothing is
there twice once known ids are dropped.

A message goes by the journal, through rules, checkpoints and outboxes to a persistent subscriber, by QoS 1 and QoS 2 at both ends. Again and again the
process is killed, and its files are made what a disk may have left of them (test_power_cut.py): what was not synced is lost, kept or torn, in any order. What
the broker has been told is not taken back; so whatever is acknowledged has to be on the disk before.

At QoS 1 a broker may deliver a message twice, and nothing in it tells: those results are compared by what they say.
"""

import collections
import os
import pathlib
import random
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import test_power_cut as power  # noqa: E402
from support import Agent, Broker, Collector, Folder, Publisher, to_ms  # noqa: E402

CUTS = int(os.environ.get("LEAT_MQTT_CUTS", "20"))
ATTEMPTS = 4
PAUSE_S, STEP_MS, WINDOW_MS = 0.008, 20, 500
END_MS = 10**9

GATEWAY = """
agent: { name: same, state: @HOME@/state, checkpoint: { interval: 60ms, retained: 3 }, workers: @WORKERS@ }
sources:
  once: { driver: mqtt, url: "mqtt://127.0.0.1:@PORT@", client_id: once-@NAME@, topic: in/once, qos: 2, reconnect_min: 50ms, reconnect_max: 200ms, format: json,
          fields: { n: int, ts: timestamp_ms }, event_time: ts, watermark: { out_of_orderness: 1s } }
  least: { driver: mqtt, url: "mqtt://127.0.0.1:@PORT@", client_id: least-@NAME@, topic: in/least, qos: 1, reconnect_min: 50ms, reconnect_max: 200ms, format: json,
           fields: { n: int, ts: timestamp_ms } }
rules:
  windows:
    sql: |
      SELECT window_end, COUNT(*) AS readings, SUM(n) AS total
      FROM TABLE(TUMBLE(TABLE once, DESCRIPTOR(ts), INTERVAL '0.5' SECOND)) GROUP BY window_start, window_end
    to: [one, two]
  every: { sql: "SELECT n FROM once", to: [one, two] }
  repeated: { sql: "SELECT n FROM least", to: [one, two] }
sinks:
  one: { driver: mqtt, url: "mqtt://127.0.0.1:@PORT@", client_id: one-@NAME@, topic: "out/@NAME@/one", qos: 1, format: json, envelope: true, reconnect_min: 50ms }
  two: { driver: mqtt, url: "mqtt://127.0.0.1:@PORT@", client_id: two-@NAME@, topic: "out/@NAME@/two", qos: 2, format: json, envelope: true, reconnect_min: 50ms }
"""


class Stream:
    """Messages until told to end, the last of which lets every window close."""

    def __init__(self, port, name):
        self.publisher, self.count, self.ending = Publisher(port, f"publisher-{name}"), 0, threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def send(self, n, at, wait=False):
        self.publisher.send("in/once", {"n": n, "ts": at}, wait=wait)
        self.publisher.send("in/least", {"n": n, "ts": at}, qos=1, wait=wait)

    def run(self):
        while not self.ending.is_set():
            self.send(self.count, self.count * STEP_MS)
            self.count += 1
            time.sleep(PAUSE_S)
        self.send(-1, END_MS, wait=True)

    def end(self):
        self.ending.set()
        self.thread.join()
        self.publisher.close()
        return self.count


def windows(count):
    found = collections.defaultdict(list)
    for n in range(count):
        found[n * STEP_MS // WINDOW_MS * WINDOW_MS + WINDOW_MS].append(n)
    return {end: (len(numbers), sum(numbers)) for end, numbers in found.items()}


class PowerCutMqtt(unittest.TestCase):
    def cut(self, agent, folder, home, log, dice):
        """The end of a run, and its disk after it."""
        agent.kill()
        recorded = power.events(log)
        log.unlink()
        for event in recorded:
            self.disk.take(event)
        (folder / "pool").mkdir(exist_ok=True)
        self.disk.rebuild(dice, home, folder / "pool")
        self.disk = power.Disk(home)
        return len(recorded)

    def run_once(self, folder, broker, name, workers, seed):
        dice, home, gateway = random.Random(seed), folder / name, folder / f"{name}.yaml"
        home.mkdir()
        text = GATEWAY.replace("@HOME@", str(home)).replace("@PORT@", str(broker.port)).replace("@NAME@", name)
        gateway.write_text(text.replace("@WORKERS@", str(workers)))
        log = folder / f"events-{name}"
        recording = {"LD_PRELOAD": str(power.SHIM), "LEAT_RECORD": str(log), "LEAT_RECORD_ROOT": str(home)}
        collector = Collector(broker.port, f"out/{name}/+", f"collector-{name}")
        self.disk, events = power.Disk(home), 0
        agent = Agent(gateway, folder / f"{name}.log", recording)
        agent.until_connected("sources", 0)
        agent.until_connected("sources", 1)
        stream = Stream(broker.port, name)
        for _ in range(CUTS):
            if dice.random() < 0.8:
                agent.until_connected("sources", dice.randrange(2))
            time.sleep(dice.uniform(0, 0.4))
            events += self.cut(agent, folder, home, log, dice)
            agent.start()
        count = stream.end()
        wanted = 2 * (2 * count + 2 + len(windows(count)))
        try:
            agent.until(lambda: len({(sink, row["_rule"], row.get("n", row.get("window_end"))) for sink, row in self.rows(collector)}) >= wanted, "all", 30)
        except AssertionError:
            pass  # compared below, which says more
        ledger = agent.status()["ledger"]
        self.assertEqual(agent.stop(), 0, agent.text()[-3000:])
        collector.close()
        restored = agent.text().count("restored checkpoint")
        return count, self.rows(collector), ledger, f"{CUTS} cuts of {events} events, {restored} restored a checkpoint", restored

    def rows(self, collector):
        with collector.lock:
            topics = [topic for topic, _ in collector.messages]
        return [(topic.rsplit("/", 1)[1], row) for topic, row in zip(topics, collector.rows())]

    def check(self, count, rows):
        for sink in ("one", "two"):
            by_id = {}
            for of, row in rows:
                if of != sink:
                    continue
                first = by_id.setdefault(row["_id"], row)
                self.assertEqual({**first, "_seq": 0}, {**row, "_seq": 0}, "one id, two results")
            got = collections.defaultdict(list)
            for row in by_id.values():
                got[row["_rule"]].append(row)
            every = collections.Counter(row["n"] for row in got["every"])
            self.assertEqual([n for n in range(count) if not every[n]], [], f"{sink}: lost")
            self.assertEqual([n for n, times in every.items() if times > 1], [], f"{sink}: twice")
            self.assertEqual(set(every), {-1, *range(count)}, sink)
            self.assertEqual({row["n"] for row in got["repeated"]}, {-1, *range(count)}, f"{sink}, QoS 1")
            ends = collections.Counter(to_ms(row["window_end"]) for row in got["windows"])
            self.assertEqual([end for end, times in ends.items() if times > 1], [], f"{sink}: windows twice")
            found = {to_ms(row["window_end"]): (row["readings"], row["total"]) for row in got["windows"] if to_ms(row["window_end"]) < END_MS}
            self.assertEqual(found, windows(count), sink)

    def run_cuts(self, workers, seed):
        with Folder() as folder:
            broker = Broker(folder, durable=False, more="log_type all\n")
            for attempt in range(ATTEMPTS):
                name = f"cut{attempt}"
                count, rows, ledger, what, restored = self.run_once(folder, broker, name, workers, seed + attempt)
                if any(broker.broke_exactly_once(f"{role}-{name}") for role in ("once", "two", "collector")):
                    print(f"{what}: the broker sent again what it had released", file=sys.stderr)
                    continue
                self.check(count, rows)
                # A hole among what no checkpoint covers may be a message that was acknowledged, for all that the journal knows: it says so. It was none.
                self.assertEqual([each for each in ledger if (each["source"], each["cause"]) != ("journal", "damage")], [], "nothing was lost")
                self.assertGreater(restored, CUTS // 2, "too few runs had a checkpoint to go on from")
                known = len({(sink, row["_id"]) for sink, row in rows})
                print(f"workers {workers}: {what}; {count} messages, {known} results, {len(rows) - known} sent again", file=sys.stderr)
                return
            self.skipTest("the broker never keeps to the protocol today")

    def test_one_worker(self):
        self.run_cuts(1, 31)

    def test_two_workers(self):
        self.run_cuts(2, 41)


if __name__ == "__main__":
    unittest.main()
