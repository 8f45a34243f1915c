#!/usr/bin/python3
"""Publishes disordered readings of 20 devices to the plant's broker and keeps a record of every one.

usage: publisher.py PORT RECORD SECONDS SEED

Devices are active in bursts with pauses longer than the sessions' gap. A reading is published up to 500 ms after its event time, QoS 2. The last
message lies a minute ahead and moves event time past everything.
"""

import json
import random
import sys
import time

import paho.mqtt.client as mqtt

DEVICES, LINES, DISORDER_S = 20, 4, 0.5


def plan(seconds, seed):
    """(publish offset, device, event offset, value), sorted by the time of publishing."""
    dice, events = random.Random(seed), []
    for device in range(DEVICES):
        at = dice.uniform(0, 4)
        while at < seconds:
            level = dice.uniform(20, 30)
            for _ in range(dice.randint(6, 12)):
                if at >= seconds:
                    break
                events.append((at + dice.uniform(0, DISORDER_S), device, at, round(level + dice.uniform(-2, 2), 3)))
                at += dice.uniform(0.2, 0.5)
            at += dice.uniform(4.0, 6.0)
    return sorted(events)


def main():
    port, path, seconds, seed = int(sys.argv[1]), sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
    client = mqtt.Client("publisher", clean_session=True)
    client.connect("127.0.0.1", port)
    client.loop_start()
    base = time.time()
    with open(path, "w") as record:

        def publish(line, device, event_ms, value):
            payload = {"device": device, "ts": event_ms, "reading": value}
            done = client.publish(f"plant/{line}/{device}", json.dumps(payload), qos=2)
            done.wait_for_publish(30)
            record.write(json.dumps({"line": line, **payload}) + "\n")
            record.flush()

        for publish_at, device, event_at, value in plan(seconds, seed):
            delay = base + publish_at - time.time()
            if delay > 0:
                time.sleep(delay)
            publish(f"line{device % LINES}", f"d{device:02}", int((base + event_at) * 1000), value)
        publish("flush", "flush", int((base + seconds + 60) * 1000), 0.0)
    client.loop_stop()
    client.disconnect()


if __name__ == "__main__":
    main()
