#!/usr/bin/python3
"""More results in one checkpoint interval than the outbox may hold: the barrier that lets them leave comes through all the same."""

import os
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from support import Agent, Folder, free_port  # noqa: E402

RULES, ROWS, KEYS, FOR_MS = 200, 60000, 3000, 10000


def results_of_one_rule():
    """`rising` over values that only rise: an alert whenever the time is over, and the next reading starts it anew."""
    last, due, count = {}, {}, 0
    for i in range(ROWS):
        key, value = i % KEYS, i // KEYS
        for name in [name for name, at in due.items() if at <= i - 1] if i % KEYS == 0 else [key] if due.get(key, ROWS) <= i - 1 else []:
            del due[name]
            count += 1
        if key in last and value > last[key]:
            due.setdefault(key, i + FOR_MS)
        last[key] = value
    return count + len(due)  # the end of the input fires the rest


class Backpressure(unittest.TestCase):
    def gateway(self, folder, sink, outbox):
        with open(folder / "in.jsonl", "w") as file:
            for i in range(ROWS):
                file.write(f'{{"k":"k{i % KEYS}","ts":{i},"v":{i // KEYS}}}\n')
        path = folder / "gateway.yaml"
        rules = "".join(f"  r{i}: {{ detect: rising, from: s, key: k, column: v, for: {FOR_MS}ms, to: out }}\n" for i in range(RULES))
        path.write_text(f"agent: {{ state: {folder}/state, rule_memory: 64MiB, checkpoint: {{ interval: 200ms }}, outbox: {{ max: {outbox} }}, stop_timeout: 2s, workers: {os.environ.get('LEAT_WORKERS', '2')} }}\n"
                        f"sources:\n  s: {{ driver: file, path: {folder}/in.jsonl, format: json, fields: {{ k: string, ts: timestamp_ms, v: double }}, event_time: ts }}\n"
                        f"rules:\n{rules}sinks: {{ out: {sink} }}\n")
        return path

    def lines(self, folder):
        return sum(part.read_bytes().count(b"\n") for part in folder.glob("out.jsonl*"))

    def test_small_outbox(self):
        with Folder() as folder:
            agent = Agent(self.gateway(folder, f"{{ driver: file, path: {folder}/out.jsonl, rotate: 4GiB }}", "16MiB"), folder / "log")
            try:
                code = agent.child.wait(120)
            except Exception:
                found = agent.status()
                self.fail(f"it does not end: held {found and found.get('held')}, stalled {found and found.get('stalled')}\n{agent.text()[-2000:]}")
            self.assertEqual(code, 0, agent.text()[-2000:])
            self.assertEqual(self.lines(folder), RULES * results_of_one_rule())
            self.assertNotIn("<3>", agent.text())
            print(f"{self.lines(folder)} results through an outbox of 16 MiB", file=sys.stderr)

    def test_receiver_is_away(self):
        """What is committed fills the outbox: everything waits, is told, and the bound holds but for what one interval made."""
        with Folder() as folder:
            sink = f'{{ driver: mqtt, url: "mqtt://127.0.0.1:{free_port()}", topic: up }}'
            agent = Agent(self.gateway(folder, sink, "16MiB"), folder / "log")
            agent.until(lambda: "the outbox has reached its bound" in agent.text(), "it says so", 60)
            agent.until(lambda: (found := agent.status()) and found["held"] and found["sinks"][0]["full"], "status says so")
            self.assertTrue(agent.runs())
            agent.stop()


if __name__ == "__main__":
    unittest.main()
