#!/usr/bin/python3
"""SIGKILL of the agent at random instants between two QoS 2 brokers' ends: nothing lost, nothing doubled after dedup by id.

A publisher sends messages with exactly-once delivery; windows, sessions and a rise detection go to a file and to a broker. What must come out
is computed here from what was published. A result has one id through all kills, and none that a result of another state directory has.
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
from support import Agent, Broker, Collector, Folder, Publisher, to_ms, wait_for, whole_lines  # noqa: E402

KILLS = int(os.environ.get("LEAT_KILLS", "60"))
MESSAGES = int(os.environ.get("LEAT_MESSAGES", "3000"))
WINDOW_MS, GAP_MS, RISE_MS, SLACK_MS, DEVICES = 5000, 3050, 1000, 1000, 8
DISORDER_MS = 700
ATTEMPTS = 4

GATEWAY = """
agent:
  name: same
  state: @STATE@
  checkpoint: { interval: 100ms, retained: 3 }
  workers: 2
sources:
  s:
    driver: mqtt
    url: mqtt://127.0.0.1:@PORT@
    client_id: @NAME@
    topic: in/+/+
    qos: 2
    format: json
    fields: { line: { string: "topic[1]" }, device: { string: "topic[2]" }, ts: timestamp_ms, v: int }
    event_time: ts
    watermark: { out_of_orderness: 1s }
rules:
  windows:
    sql: |
      SELECT line, window_end, COUNT(*) AS n, SUM(v) AS total
      FROM TABLE(TUMBLE(TABLE s, DESCRIPTOR(ts), INTERVAL '5' SECOND))
      GROUP BY line, window_start, window_end
    to: [file, cloud]
  sessions: { detect: session, from: s, key: device, column: v, gap: 3050ms, to: [file, cloud] }
  rises: { detect: rising, from: s, key: device, column: v, for: 1s, to: [file, cloud] }
sinks:
  file: { driver: file, path: @OUT@, format: json, envelope: true }
  cloud: { driver: mqtt, url: "mqtt://127.0.0.1:@PORT@", topic: "out/@NAME@/{rule}", qos: 1, format: json, envelope: true, commit: now }
"""


def plan(seed):
    """(topic, payload) in the order of publishing; times are disordered by less than the watermark allows and never equal for a device."""
    dice, made = random.Random(seed), []
    level = [100] * DEVICES
    trend = [1] * DEVICES
    asleep = [0] * DEVICES
    for i in range(MESSAGES):
        device = dice.randrange(DEVICES)
        at = i * 50
        if at < asleep[device]:
            device = min(range(DEVICES), key=lambda d: asleep[d])
        if dice.random() < 0.01:
            asleep[device] = at + 6000
        if dice.random() < 0.15:
            trend[device] = -trend[device]
        level[device] += trend[device] * dice.randrange(0, 5)
        made.append((at + dice.randrange(DISORDER_MS), at, device, level[device]))
    rows = [{"device": f"d{device}", "line": f"l{device % 3}", "ts": at, "v": v} for _, at, device, v in sorted(made)]
    return rows + [{"device": "end", "line": "end", "ts": 10**9, "v": 0}]


def expected(rows):
    rows = [row for row in rows if row["device"] != "end"]
    want = collections.Counter()
    windows = collections.defaultdict(list)
    devices = collections.defaultdict(list)
    for row in rows:
        windows[row["line"], row["ts"] // WINDOW_MS * WINDOW_MS + WINDOW_MS].append(row["v"])
        devices[row["device"]].append((row["ts"], row["v"]))
    for (line, end), values in windows.items():
        want["windows", line, end, len(values), sum(values)] += 1
    for device, readings in devices.items():
        readings.sort()
        current = []
        for reading in readings + [(1 << 60, 0)]:
            if current and reading[0] - current[-1][0] > GAP_MS:
                values = [v for _, v in current]
                want["sessions", device, current[0][0], current[-1][0], len(values), min(values), max(values)] += 1
                current = []
            current.append(reading)
    want.update(rises(rows))
    return want


def rises(rows):
    """Rows as they come, timers when the watermark has passed them."""
    last, due, most = {}, {}, -(1 << 60)
    for row in rows + [{"device": "", "ts": 1 << 60, "v": 0}]:
        device, v = row["device"], row["v"]
        step = v - last.get(device, v)
        last[device] = v
        if step < 0:
            due.pop(device, None)
        elif step > 0:
            due.setdefault(device, row["ts"] + RISE_MS)
        most = max(most, row["ts"])
        for name in [name for name, at in due.items() if at <= most - SLACK_MS - 1]:
            yield "rises", name, due.pop(name)


def bare(row):
    rule = row["_rule"]
    if rule == "windows":
        return rule, row["line"], to_ms(row["window_end"]), row["n"], row["total"]
    if rule == "sessions":
        return (rule, row["device"], to_ms(row["session_start"]), to_ms(row["session_end"]), row["row_count"], row["min_value"],
                row["max_value"])
    return rule, row["device"], to_ms(row["alert_at"])


class KillMqtt(unittest.TestCase):
    def run_once(self, folder, broker, name, rows, kills, seed):
        """Publishes the rows to an agent that is killed now and then; returns the rows of the file and those of the broker."""
        out, gateway = folder / f"{name}.jsonl", folder / f"{name}.yaml"
        text = GATEWAY.replace("@PORT@", str(broker.port)).replace("@NAME@", name).replace("@OUT@", str(out))
        gateway.write_text(text.replace("@STATE@", str(folder / name)))
        collector = Collector(broker.port, f"out/{name}/#", f"collector-{name}")
        agent = Agent(gateway, folder / f"{name}.log")
        wait_for(lambda: (found := agent.status()) and found["sources"][0].get("connected"), "the agent's subscription")
        dice, killed, done = random.Random(seed), 0, threading.Event()

        def publish():
            publisher = Publisher(broker.port, f"publisher-{name}")
            for row in rows[:-1]:
                publisher.send(f"in/{row['line']}/{row['device']}", {"ts": row["ts"], "v": row["v"]}, wait=False)
                if kills:
                    time.sleep(0.005)  # so that all kills fall into the stream
            publisher.send(f"in/{rows[-1]['line']}/{rows[-1]['device']}", {"ts": rows[-1]["ts"], "v": 0})
            publisher.close()
            done.set()

        thread = threading.Thread(target=publish)
        thread.start()
        while killed < kills:
            time.sleep(dice.uniform(0.0, 0.5))
            agent.kill()
            killed += 1
            agent.start()
        thread.join()
        want = expected(rows)
        count = sum(want.values())
        complete = lambda found: len({row["_id"] for row in found if bare(row)[1] != "end"}) >= count  # noqa: E731
        try:
            wait_for(lambda: complete(whole_lines(out)) and complete(collector.rows()), "all results", 60)
        except AssertionError:
            pass  # compared below, which says more
        self.assertTrue(agent.runs(), agent.text()[-3000:])
        ledger = agent.status()["ledger"]
        self.assertEqual(agent.stop(), 0, agent.text()[-3000:])
        if not broker.broke_exactly_once(name):
            self.assertEqual(ledger, [], "nothing was lost, so nothing stands in the ledger")
        collector.close()
        return whole_lines(out), collector.rows()

    def compare(self, what, found, want):
        got = collections.Counter(bare(row) for row in found if bare(row)[1] != "end")
        lost, more = want - got, got - want
        if lost or more:
            self.fail(f"{what}: lost {sum(lost.values())}: {list(lost)[:5]}; too many {sum(more.values())}: {list(more)[:5]}")

    def test_kills(self):
        seed = int(os.environ.get("LEAT_SEED", "5"))
        rows = plan(seed)
        want = expected(rows)
        with Folder() as folder:
            broker = Broker(folder, more="log_type all\n")
            calm, calm_cloud = self.run_once(folder, broker, "calm", rows, 0, seed)
            self.compare("calm, file", calm, want)
            self.compare("calm, broker", calm_cloud, want)
            for attempt in range(ATTEMPTS):
                name = f"shaken-{attempt}"
                shaken, cloud = self.run_once(folder, broker, name, rows, KILLS, seed + attempt)
                if not broker.broke_exactly_once(name):
                    break
                print(f"{name}: the broker sent again what it had released", file=sys.stderr)
            else:
                self.skipTest("the broker never keeps to the protocol today")
            self.compare("file", shaken, want)
            by_id = {}
            for row in cloud:
                first = by_id.setdefault(row["_id"], row)
                self.assertEqual(first, row, "one id, two results")
            self.compare("broker, deduplicated", by_id.values(), want)
            self.assertEqual(len({row["_id"] for row in shaken}), len(shaken), "ids are unique")
            # The same result has the same id in both sinks, and none of another life of messages.
            ids = {bare(row): row["_id"] for row in shaken}
            self.assertEqual(ids, {bare(row): row["_id"] for row in by_id.values()})
            self.assertEqual({row["_id"] for row in calm} & set(ids.values()), set(), "ids of another life")
            print(f"{KILLS} kills, {len(rows)} messages: {len(shaken)} results, 0 lost, 0 doubled; {len(cloud) - len(by_id)} sent again",
                  file=sys.stderr)
            broker.stop()


if __name__ == "__main__":
    unittest.main()
