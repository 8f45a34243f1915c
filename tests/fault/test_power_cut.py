#!/usr/bin/python3
"""Power cuts of the whole agent: every write, sync and renaming of a real run is recorded, and at hundreds of places the files are rebuilt as a disk may have
them after a cut there. The agent goes on from each: the output is that of a run without a cut, ids included, nothing lost and nothing twice.

What a disk may do to what was not synced: lose it, keep it, keep some of its sectors, and all that in any order, each file and each write by itself. Names
(made, renamed, removed) go in their order, as a file system's journal has them: the last ones that were not synced with their directory may be missing.
Some of the runs that go on are recorded and cut again.
"""

import json
import os
import pathlib
import random
import shutil
import struct
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from support import LEAT, Folder, leat, read_lines, start, write_lines  # noqa: E402

CUTS = int(os.environ.get("LEAT_CUTS", "60"))  # for each number of workers
ROWS = 50000
SECTOR = 512
SHIM = pathlib.Path(os.environ["LEAT_BUILD"]) / "tests/fault/record_writes.so"
WRITE, TRUNCATE, SYNC, CREATE, RENAME, UNLINK, MAKE_DIRECTORY, REMOVE_DIRECTORY, EXTEND = range(1, 10)

GATEWAY = """
agent: { name: same, state: @HOME@/state, checkpoint: { interval: 10ms, retained: 3 }, workers: @WORKERS@ }
sources:
  s: { driver: file, path: @IN@, format: json, fields: { k: string, ts: timestamp_ms, v: double }, event_time: ts, watermark: { out_of_orderness: 300ms } }
rules:
  windows:
    sql: |
      SELECT k, window_end, COUNT(*) AS n, COUNT(DISTINCT v) AS different
      FROM TABLE(HOP(TABLE s, DESCRIPTOR(ts), INTERVAL '1' SECOND, INTERVAL '2' SECOND)) GROUP BY k, window_start, window_end
    to: out
  rising: { detect: rising, from: s, key: k, column: v, for: 200ms, to: out }
  high: { sql: "SELECT k, ts, v FROM s WHERE v > 95", to: out }
sinks:
  out: { driver: file, path: @HOME@/out.jsonl, format: json, envelope: true }
"""


def data(seed):
    dice, at = random.Random(seed), 0
    for _ in range(ROWS):
        at += dice.choice((0, 1, 3, 10, 10, 10, 20))
        yield {"k": f"k{dice.randrange(12)}", "ts": max(0, at - dice.randrange(300)), "v": dice.randrange(1000) / 10}


def events(path):
    """(kind, durable, path, inode, offset, bytes or size or path to)"""
    recorded, at, found = path.read_bytes(), 0, []
    while at + 30 <= len(recorded):
        kind, flags, path_size, inode, offset, size = struct.unpack_from("=BBIQQQ", recorded, at)
        at += 30
        name = recorded[at:at + path_size].decode()
        at += path_size
        payload = b""
        if kind in (WRITE, RENAME):
            payload = recorded[at:at + size]
            at += size
        if at > len(recorded):
            break  # killed within it
        found.append((kind, flags & 1, name, inode, offset, payload))
    return found


class File:
    def __init__(self, inode, content=b""):
        self.inode, self.synced, self.pending = inode, bytearray(content), []

    def apply(self, content, kind, offset, payload):
        if kind == WRITE:
            if len(content) < offset + len(payload):
                content.extend(bytes(offset + len(payload) - len(content)))
            content[offset:offset + len(payload)] = payload
        elif kind == EXTEND or offset > len(content):
            content.extend(bytes(max(0, offset - len(content))))
        else:
            del content[offset:]

    def sync(self):
        for each in self.pending:
            self.apply(self.synced, *each)
        self.pending = []

    def torn(self, dice, payload, offset):
        """The sectors of a write that got through, as writes."""
        first = SECTOR - offset % SECTOR
        cuts = [0, *range(first, len(payload), SECTOR), len(payload)]
        return [(WRITE, offset + a, payload[a:b]) for a, b in zip(cuts, cuts[1:]) if dice.random() < 0.5]

    def after_cut(self, dice):
        content, how = bytearray(self.synced), dice.random()
        kept = []
        for kind, offset, payload in self.pending:
            if how < 0.25 or (how > 0.5 and dice.random() < 0.5):
                continue  # all lost; each lost or kept
            torn = kind == WRITE and how > 0.75 and dice.random() < 0.5
            kept += self.torn(dice, payload, offset) if torn else [(kind, offset, payload)]
        for each in kept:
            self.apply(content, *each)
        return content


class Disk:
    """The files below a folder as a disk has them, and what it was told and need not have done."""

    def __init__(self, root):
        self.files, self.names, self.unsynced = {}, {str(root): None}, []  # names: path to File, None: a directory
        for path in sorted(root.rglob("*")):
            inode = path.stat().st_ino
            self.names[str(path)] = None if path.is_dir() else File(inode, path.read_bytes())
            self.files[inode] = str(path) if path.is_dir() else self.names[str(path)]
        self.files[root.stat().st_ino] = str(root)

    @staticmethod
    def rename(names, kind, path, target, file):
        if kind in (UNLINK, REMOVE_DIRECTORY):
            names.pop(path, None)
        elif kind == RENAME:
            if path in names:
                names[target] = names.pop(path)
        else:
            names[path] = file

    def take(self, event):
        kind, durable, path, inode, offset, payload = event
        if kind in (CREATE, MAKE_DIRECTORY):
            made = File(inode) if kind == CREATE else None
            self.files[inode] = made if kind == CREATE else path
            self.unsynced.append((kind, path, None, made))
        elif kind in (RENAME, UNLINK, REMOVE_DIRECTORY):
            self.unsynced.append((kind, path, payload.decode() if kind == RENAME else None, None))
        elif kind == SYNC:
            self.sync(self.files.get(inode))
        elif isinstance(file := self.files.get(inode), File):
            file.pending.append((kind, offset, payload))
            if durable:
                # Alone, before those that wait.
                file.pending.pop()
                file.apply(file.synced, kind, offset, payload)

    def sync(self, what):
        if isinstance(what, File):
            what.sync()
        elif isinstance(what, str):
            touched = [i for i, (_, path, target, _) in enumerate(self.unsynced) if what in (os.path.dirname(path), os.path.dirname(target or ""))]
            for each in self.unsynced[:touched[-1] + 1 if touched else 0]:
                self.rename(self.names, *each)
            del self.unsynced[:touched[-1] + 1 if touched else 0]

    def rebuild(self, dice, home, pool):
        """Makes `home` what may be left of it. Files keep their inodes, which the pool holds: a sink knows its file by it."""
        shutil.rmtree(home)
        names = dict(self.names)
        for each in self.unsynced[:dice.choice((0, len(self.unsynced), dice.randint(0, len(self.unsynced))))]:
            self.rename(names, *each)
        for path in sorted(names):
            target, file = pathlib.Path(path), names[path]
            if file is None:
                target.mkdir(parents=True, exist_ok=True)
            elif target.parent.is_dir():  # a name in a directory that is not there is lost with it
                kept = pool / str(file.inode)
                if kept.exists():
                    os.link(kept, target)
                target.write_bytes(file.after_cut(dice))


class PowerCut(unittest.TestCase):
    def prepare(self, folder, workers, seed):
        write_lines(folder / "in.jsonl", data(seed))
        self.folder, self.home, self.gateway = folder, folder / "home", folder / "gateway.yaml"
        self.home.mkdir()
        text = GATEWAY.replace("@HOME@", str(self.home)).replace("@IN@", str(folder / "in.jsonl"))
        self.gateway.write_text(text.replace("@WORKERS@", str(workers)))

    def record(self, name):
        """The disk before the run, its events, and where the inodes are kept."""
        disk, log, pool = Disk(self.home), self.folder / f"events-{name}", self.folder / f"pool-{name}"
        child = start([LEAT, "run", self.gateway], self.folder / "log",
                      {"LD_PRELOAD": str(SHIM), "LEAT_RECORD": str(log), "LEAT_RECORD_ROOT": str(self.home)})
        self.assertEqual(child.wait(120), 0, (self.folder / "log").read_text()[-3000:])
        pool.mkdir()
        for path in self.home.rglob("*"):
            if path.is_file():
                os.link(path, pool / str(path.stat().st_ino))
        recorded = events(log)
        # Behind its last commit the run has finished, and the next one begins anew.
        last = max(i for i, event in enumerate(recorded) if event[0] == WRITE and event[1])
        return disk, recorded[:last], pool

    def results(self, what=""):
        rows = read_lines(self.home / "out.jsonl")
        holes = [(i, row["_seq"]) for i, row in enumerate(rows) if row["_seq"] != i + 1]
        if holes:
            self.fail(f"{what}\nsequences twice or left out, of {len(rows)}: {holes[:3]}")
        return sorted(json.dumps({name: value for name, value in row.items() if name != "_seq"}, sort_keys=True) for row in rows)

    def same(self, got, wanted, what):
        if got != wanted:  # the difference, and not what unittest makes of thousands of lines
            lost, more = sorted(set(wanted) - set(got)), sorted(set(got) - set(wanted))
            self.fail(f"{what}\n{len(wanted)} results, found {len(got)}; lost {len(lost)}: {lost[:3]}; more {len(more)}: {more[:3]}")

    def go_on(self, wanted, what):
        done = leat("run", self.gateway)
        what = f"{what}\n{done.stderr[-2000:]}"
        self.assertEqual(done.returncode, 0, what)
        self.same(self.results(what), wanted, what)
        return done.stderr

    def play(self, recording, dice, count, wanted, what):
        """Cuts at `count` places, in their order: the disk only goes on. Returns what was said, and leaves what the last cut left."""
        disk, recorded, pool = recording
        said, at = [], 0
        for place in sorted(self.place(recorded, dice) for _ in range(count)):
            for event in recorded[at:place]:
                disk.take(event)
            at = place
            disk.rebuild(dice, self.home, pool)
            said.append(self.go_on(wanted, f"{what}, cut behind event {place} of {len(recorded)}"))
        disk.rebuild(dice, self.home, pool)
        return said

    def place(self, recorded, dice):
        """Anywhere, or around what matters: syncs, names, commits."""
        what = dice.choice(((), (SYNC, RENAME, UNLINK, CREATE), (WRITE,)))
        places = [i for i, event in enumerate(recorded) if not what or (event[0] in what and (event[0] != WRITE or event[1]))]
        return min(len(recorded), dice.choice(places) + dice.choice((0, 1, 2)))

    def run_cuts(self, workers, seed):
        dice = random.Random(seed)
        with Folder() as folder:
            self.prepare(folder, workers, seed)
            recording = self.record("first")
            wanted = self.results()
            self.assertGreater(len(wanted), 300)
            self.assertEqual(len({json.loads(line)["_id"] for line in wanted}), len(wanted), "no id twice")
            said = self.play(recording, dice, CUTS * 2 // 3, wanted, f"seed {seed}")
            restored = sum("restored checkpoint" in text for text in said)
            print(f"workers {workers}: {len(recording[1])} events, {len(said)} cuts, {restored} of them restored a checkpoint", file=sys.stderr)
            self.assertGreater(restored, len(said) // 3, "too few cuts between checkpoints to mean anything")
            for again in range(3):
                self.play(self.record(f"first-{again}"), dice, 2, wanted, f"seed {seed}, the run again")
                self.play(self.record(f"second-{again}"), dice, CUTS // 9, wanted, f"seed {seed}, second cut {again}")

    def test_one_worker(self):
        self.run_cuts(1, 21)

    def test_two_workers(self):
        self.run_cuts(2, 22)


if __name__ == "__main__":
    unittest.main()
