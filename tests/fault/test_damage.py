#!/usr/bin/python3
"""Random damage to a state directory: the agent always starts, says what it found, and never crashes."""

import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from support import LEAT, Agent, Broker, Folder, Publisher, free_port, whole_lines, write_lines  # noqa: E402

TIMES = int(os.environ.get("LEAT_DAMAGES", "60"))
ROWS = 4000

BOUNDED = """
agent: { state: @STATE@, checkpoint: { interval: 10ms, retained: 3 }, workers: 2, stop_timeout: 2s }
sources:
  s: { driver: file, path: @HOME@/in.jsonl, follow: @FOLLOW@, format: json, fields: { k: string, ts: timestamp_ms, v: double }, event_time: ts, watermark: { out_of_orderness: 100ms } }
rules:
  windows:
    sql: |
      SELECT k, window_end, COUNT(*) AS n, SUM(v) AS total
      FROM TABLE(TUMBLE(TABLE s, DESCRIPTOR(ts), INTERVAL '1' SECOND)) GROUP BY k, window_start, window_end
    to: out
  rises: { detect: rising, from: s, key: k, column: v, for: 100ms, to: out }
sinks: { out: { driver: file, path: @HOME@/out.jsonl, envelope: true } }
"""

LIVE = """
agent: { state: @STATE@, checkpoint: { interval: 10ms, retained: 3 }, stop_timeout: 1s }
sources: { s: { driver: mqtt, url: "mqtt://127.0.0.1:@PORT@", topic: in, qos: 2, reconnect_min: 100ms, reconnect_max: 500ms, fields: { n: int } } }
rules: { counts: { sql: "SELECT n, COUNT(*) AS c FROM s GROUP BY n", unbounded: true, to: out }, all: { sql: "SELECT n FROM s", to: up } }
sinks:
  out: { driver: file, path: @HOME@/out.jsonl }
  up: { driver: mqtt, url: "mqtt://127.0.0.1:@DEAD@", topic: up }
"""


def victims(state):
    return [path for path in sorted(state.rglob("*")) if path.is_file() and path.name not in ("lock", "leat.sock")]


def damage(dice, state):
    """One to three blows; returns what they were."""
    done = []
    for _ in range(dice.randint(1, 3)):
        files = [path for path in victims(state) if path.stat().st_size > 0] or victims(state)
        if not files:
            break
        path, how = dice.choice(files), dice.choice(("flip", "flip", "zero", "cut", "grow", "delete", "noise", "other"))
        size = path.stat().st_size
        at = dice.randrange(size) if size else 0
        if how == "delete":
            path.unlink()
        elif how == "cut":
            os.truncate(path, at)
        elif how == "grow":
            os.truncate(path, size + dice.randrange(1, 100000))
        elif how == "other":
            shutil.copy(dice.choice(files), state / "copy")
            (state / "copy").rename(path)
        else:
            count = {"flip": 1, "zero": 512, "noise": dice.randrange(1, 5000)}[how]
            with open(path, "r+b") as file:
                file.seek(at)
                old = file.read(count)
                file.seek(at)
                file.write(bytes(b ^ (1 << dice.randrange(8)) for b in old) if how == "flip" else
                           bytes(len(old)) if how == "zero" else dice.randbytes(len(old)))
        done.append(f"{how} {path.relative_to(state)}@{at}")
    return ", ".join(done)


def by_id(path):
    """Results without their sequence, which goes on from where the damage left it."""
    return {row["_id"]: {name: value for name, value in row.items() if name != "_seq"} for row in whole_lines(path)}


def restored(text):
    """The checkpoint that a run began with; 0: none."""
    found = re.search(r"restored checkpoint (\d+)", text)
    return int(found.group(1)) if found else 0


class Damage(unittest.TestCase):
    def gateway(self, folder, text, **names):
        path = folder / "gateway.yaml"
        text = text.replace("@HOME@", str(folder)).replace("@STATE@", str(folder / "state"))
        for name, value in names.items():
            text = text.replace(f"@{name}@", str(value))
        path.write_text(text)
        return path

    def test_bounded_run(self):
        """Cut off in the middle, damaged, started again: it must end by itself, with every row accounted for or the loss told."""
        dice = random.Random(int(os.environ.get("LEAT_SEED", "3")))
        quiet, told, again, losses = 0, 0, 0, 0
        with Folder() as folder:
            write_lines(folder / "in.jsonl", ({"k": f"k{i % 9}", "ts": i * 7, "v": dice.randrange(100)} for i in range(ROWS)))
            follow = self.gateway(folder, BOUNDED, FOLLOW="true")
            agent = Agent(follow, folder / "first.log")
            agent.until(lambda: len(whole_lines(folder / "out.jsonl")) > 200, "results")
            agent.kill()
            shutil.copytree(folder / "state", folder / "master", ignore=shutil.ignore_patterns("*.sock"))
            shutil.copy(folder / "out.jsonl", folder / "out.master")
            gateway = self.gateway(folder, BOUNDED, FOLLOW="false")
            done = subprocess.run([LEAT, "run", gateway], timeout=60, capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            newest = restored(done.stderr)
            self.assertGreater(newest, 0, done.stderr)
            want = by_id(folder / "out.jsonl")
            for i in range(TIMES):
                shutil.rmtree(folder / "state")
                shutil.copytree(folder / "master", folder / "state")
                shutil.copy(folder / "out.master", folder / "out.jsonl")
                what = damage(dice, folder / "state")
                done = subprocess.run([LEAT, "run", gateway], capture_output=True, text=True, timeout=60)
                self.assertEqual(done.returncode, 0, f"{i}: {what}\n{done.stderr[-2000:]}")
                if "state.mdb" in what:
                    self.assertTrue(restored(done.stderr) > 0 or "starts empty" in done.stderr or "delete state.mdb" in what, f"{i}: {what}: silently empty\n{done.stderr}")
                else:
                    self.assertEqual(restored(done.stderr), newest, f"{i}: {what}: the checkpoint was not damaged")
                found = by_id(folder / "out.jsonl")
                lost = len(want.keys() - found.keys())
                self.assertEqual(found, {id_: want.get(id_) for id_ in found}, f"{i}: {what}: a result that there is not")
                doubled = len(whole_lines(folder / "out.jsonl")) - len(found)
                warned = "<4>" in done.stderr
                told += warned
                quiet += not warned
                again += doubled > 0
                losses += lost > 0
                self.assertTrue(warned or lost + doubled == 0, f"{i}: {what}: {lost} lost, {doubled} doubled and nothing said\n{done.stderr}")
        print(f"bounded: {TIMES} damages, {told} told, {quiet} harmless, {again} with resends, {losses} with losses that were told, 0 wrong, 0 failed starts", file=sys.stderr)

    def test_one_byte_of_the_checkpoint_file(self):
        """State of many checkpoints: a wrong byte costs what came after an older one, seldom more, and never in silence; no result is wrong or missing."""
        dice = random.Random(int(os.environ.get("LEAT_SEED", "5")))
        kept, older, empty = 0, 0, 0
        with Folder() as folder:
            (folder / "in.jsonl").touch()
            follow = self.gateway(folder, BOUNDED, FOLLOW="true")
            agent = Agent(follow, folder / "first.log")
            for part in range(60):  # each changes every key, so that there is something to compact
                with open(folder / "in.jsonl", "a") as file:
                    for i in range(part * 199, part * 199 + 199):
                        file.write(f'{{"k":"k{i % 199}","ts":{i * 7},"v":{dice.randrange(100)}}}\n')
                agent.until(lambda: (folder / "out.jsonl").exists() and (folder / "out.jsonl").read_bytes().count(b"\n") > part * 199, "results of a part")
            agent.kill()
            shutil.copytree(folder / "state", folder / "master", ignore=shutil.ignore_patterns("*.sock"))
            shutil.copy(folder / "out.jsonl", folder / "out.master")
            gateway = self.gateway(folder, BOUNDED, FOLLOW="false")
            done = subprocess.run([LEAT, "run", gateway], timeout=60, capture_output=True, text=True)
            newest, want = restored(done.stderr), by_id(folder / "out.jsonl")
            self.assertGreater(newest, 0, done.stderr)
            for i in range(TIMES // 4):
                shutil.rmtree(folder / "state")
                shutil.copytree(folder / "master", folder / "state")
                shutil.copy(folder / "out.master", folder / "out.jsonl")
                with open(folder / "state" / "state.mdb", "r+b") as file:
                    at = dice.randrange(8192, os.fstat(file.fileno()).st_size)  # behind the two pages that LMDB begins with
                    file.seek(at)
                    byte = file.read(1)[0]
                    file.seek(at)
                    file.write(bytes([byte ^ 1 << dice.randrange(8)]))
                done = subprocess.run([LEAT, "run", gateway], capture_output=True, text=True, timeout=60)
                self.assertEqual(done.returncode, 0, f"{i}: byte {at}: {done.stderr[-2000:]}")
                self.assertEqual(by_id(folder / "out.jsonl"), want, f"{i}: byte {at}: {done.stderr[-2000:]}")
                id_ = restored(done.stderr)
                kept, older, empty = kept + (id_ == newest), older + (0 < id_ < newest), empty + (id_ == 0)
                self.assertTrue(id_ == newest or "<4>" in done.stderr, done.stderr)
                self.assertTrue(id_ > 0 or "starts empty" in done.stderr, done.stderr)
        print(f"one byte: {kept} without loss, {older} went on from an older checkpoint, {empty} began empty and said so", file=sys.stderr)
        self.assertLessEqual(empty, TIMES // 20)

    def test_live(self):
        """A running gateway: what is not damaged goes on, and new messages come through."""
        dice = random.Random(int(os.environ.get("LEAT_SEED", "4")))
        told = 0
        with Folder() as folder:
            broker = Broker(folder)
            gateway = self.gateway(folder, LIVE, PORT=broker.port, DEAD=free_port())
            agent = Agent(gateway, folder / "log")
            agent.until_connected()
            publisher = Publisher(broker.port)
            for n in range(1000):
                publisher.send("in", {"n": n}, wait=n % 100 == 99)
            agent.until(lambda: len(whole_lines(folder / "out.jsonl")) >= 1000, "results")
            agent.kill()
            shutil.copytree(folder / "state", folder / "master", ignore=shutil.ignore_patterns("*.sock"))
            for i in range(TIMES // 3):
                shutil.rmtree(folder / "state")
                shutil.copytree(folder / "master", folder / "state")
                what = damage(dice, folder / "state")
                agent.log = folder / f"log-{i}"
                agent.start()
                try:
                    agent.until(lambda: agent.status() is not None, "a start", 30)
                    agent.until_connected()
                    publisher.send("in", {"n": 10000 + i})
                    agent.until(lambda: f'"n":{10000 + i},' in (folder / "out.jsonl").read_text(), "a new result", 30)
                except AssertionError as wrong:
                    self.fail(f"{i}: {what}: {wrong}")
                told += "<4>leat: sink 'up': not connected" in agent.text() and agent.text().count("<4>") > 1
                self.assertEqual(agent.stop(), 0, f"{i}: {what}: {agent.text()[-2000:]}")
            publisher.close()
        print(f"live: {TIMES // 3} damages, {told} told, 0 failed starts", file=sys.stderr)


if __name__ == "__main__":
    unittest.main()
