#!/usr/bin/python3
"""What the service manager hears, through a real datagram socket that stands for systemd, and what is told of flash against what was really written."""

import os
import re
import shutil
import signal
import socket
import time
import unittest

from support import LEAT, Agent, Folder, end, leat, start, wait_for, write_lines

GATEWAY = """
agent: {{ name: plant, flash_budget: {budget}, checkpoint: {{ interval: 50ms }}, journal: {{ sync: 100ms }} }}
sources:
  polled: {{ driver: sensor, device: thermal/board, root: {root}/sys, every: 20ms }}
  s: {{ driver: file, path: in.jsonl, follow: true, format: json, fields: {{ k: string, v: bigint }} }}
rules:
  totals: {{ sql: "SELECT k, SUM(v) AS total FROM s GROUP BY k", unbounded: true, to: out }}
sinks:
  out: {{ driver: file, path: out.jsonl }}
"""
PLAIN = """
agent: { name: plant, checkpoint: { interval: 50ms } }
sources:
  s: { driver: file, path: in.jsonl, follow: true, format: json, fields: { k: string, v: bigint } }
rules:
  totals: { sql: "SELECT k, SUM(v) AS total FROM s GROUP BY k", unbounded: true, to: out }
sinks:
  out: { driver: file, path: out.jsonl }
"""


class Manager:
    """systemd's end of NOTIFY_SOCKET: what came, with the time it came at."""

    def __init__(self, name):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(name)
        self.socket.setblocking(False)
        self.heard = []

    def listen(self):
        while self.socket:
            try:
                self.heard.append((time.monotonic(), self.socket.recv(4096).decode()))
            except BlockingIOError:
                break
        return [text for _, text in self.heard]

    def close(self):
        self.socket.close()
        self.socket = None

    def count(self, text):
        return self.listen().count(text)


class Service(unittest.TestCase):
    def agent(self, folder, manager, **environment):
        gateway = folder / "gateway.yaml"
        gateway.write_text(PLAIN)
        write_lines(folder / "in.jsonl", [{"k": "a", "v": 1}])
        return Agent(gateway, folder / "log", {"NOTIFY_SOCKET": manager, **environment})

    def test_ready_watchdog_stopping(self):
        for abstract in (False, True):
            with Folder() as folder:
                name = f"\0leat-{os.getpid()}" if abstract else str(folder / "notify")
                manager = Manager(name)
                agent = self.agent(folder, name.replace("\0", "@"), WATCHDOG_USEC="400000")
                wait_for(lambda: manager.count("READY=1"), "READY=1")
                self.assertEqual(manager.heard[0][1], "READY=1", "first of all")
                # No input comes any more: it lives all the same.
                wait_for(lambda: manager.count("WATCHDOG=1") >= 8, "WATCHDOG=1 keeps coming", 30)
                beats = [at for at, text in manager.heard if text == "WATCHDOG=1"]
                self.assertGreater(beats[-1] - beats[0], 7 * 0.15, "at half the interval, not in a burst")
                self.assertEqual(agent.stop(), 0)
                heard = manager.listen()
                self.assertIn("STOPPING=1", heard[-3:], "at its end; a beat may follow while the last checkpoint is made")
                self.assertEqual((heard.count("READY=1"), heard.count("STOPPING=1")), (1, 1))
                self.assertEqual(set(heard), {"READY=1", "WATCHDOG=1", "STOPPING=1"})
                manager.close()

    def test_a_stopped_process_is_silent(self):
        with Folder() as folder:
            manager = Manager(str(folder / "notify"))
            agent = self.agent(folder, str(folder / "notify"), WATCHDOG_USEC="300000")
            wait_for(lambda: manager.count("WATCHDOG=1") >= 2, "beats")
            agent.child.send_signal(signal.SIGSTOP)
            time.sleep(0.2)
            before = manager.count("WATCHDOG=1")
            time.sleep(1)
            self.assertEqual(manager.count("WATCHDOG=1"), before)
            agent.child.send_signal(signal.SIGCONT)
            wait_for(lambda: manager.count("WATCHDOG=1") > before, "goes on")
            self.assertEqual(agent.stop(), 0)
            manager.close()

    def test_stop_by_command_is_told_too(self):
        with Folder() as folder:
            manager = Manager(str(folder / "notify"))
            agent = self.agent(folder, str(folder / "notify"))
            wait_for(lambda: manager.count("READY=1"), "READY=1")
            self.assertEqual(leat("stop", agent.gateway).returncode, 0)
            self.assertEqual(manager.listen(), ["READY=1", "STOPPING=1"], "no watchdog was asked for")
            manager.close()

    def test_a_watchdog_of_somebody_else_or_too_short(self):
        with Folder() as folder:
            manager = Manager(str(folder / "notify"))
            agent = self.agent(folder, str(folder / "notify"), WATCHDOG_USEC="300000", WATCHDOG_PID="1")
            wait_for(lambda: manager.count("READY=1"), "READY=1")
            time.sleep(0.7)
            self.assertEqual(manager.listen(), ["READY=1"])
            self.assertEqual(agent.stop(), 0)
            agent = self.agent(folder, str(folder / "notify"), WATCHDOG_USEC="60000")
            agent.until(lambda: "WatchdogSec= is too short" in agent.text(), "a warning")
            self.assertEqual(agent.stop(), 0)
            self.assertEqual(manager.count("WATCHDOG=1"), 0)
            manager.close()


class Pages:
    """Of a system call trace: 4 KiB pages of a file that were written between two syncs of it."""

    CALL = re.compile(r"^\d+ +(pwrite64|pwritev|writev|write|fdatasync|fsync)\((\d+)<([^>]*)>(.*)\) += (\d+)")

    @staticmethod
    def whole(lines):
        """A call during which another thread's began stands in two lines; it counts where it returned."""
        begun = {}
        for line in lines:
            thread, _, text = line.partition(" ")
            if text.endswith(" <unfinished ...>"):
                begun[thread] = line.removesuffix(" <unfinished ...>")
            elif resumed := re.match(r" *<\.\.\. \w+ resumed>(.*)", text):
                yield begun.pop(thread, "") + resumed[1]
            else:
                yield line

    def __init__(self, trace, home):
        self.written, pending = {}, {}
        for line in self.whole(trace.read_text(errors="replace").splitlines()):
            match = self.CALL.match(line)
            if not match or not match[3].startswith(str(home / ".leat")):
                continue
            call, path, rest, result = match[1], match[3][len(str(home / ".leat")) + 1:], match[4], int(match[5])
            kind = path.split("/")[0]
            pages = pending.setdefault(path, set())
            if call in ("pwrite64", "pwritev"):
                offset = int(rest.rsplit(",", 1)[1])
                pages.update(range(offset // 4096, (offset + result - 1) // 4096 + 1))
            elif call in ("write", "writev"):
                pages.update((kind, len(pages), n) for n in range((result + 4095) // 4096))
            else:
                self.add(kind, pending, path)
        for path in list(pending):
            self.add(path.split("/")[0], pending, path)

    def add(self, kind, pending, path):
        self.written[kind] = self.written.get(kind, 0) + 4096 * len(pending.pop(path, ()))


@unittest.skipUnless(shutil.which("strace"), "needs strace")
class Flash(unittest.TestCase):
    def measure(self, budget):
        """Status just before the end, and what strace saw."""
        with Folder() as folder:
            home = folder.resolve()
            gateway = home / "gateway.yaml"
            zone = home / "sys/class/thermal/thermal_zone0"
            zone.mkdir(parents=True)
            (zone / "type").write_text("board\n")
            (zone / "temp").write_text("41000\n")
            gateway.write_text(GATEWAY.format(budget=budget, root=home))
            self.assertEqual(leat("check", gateway).returncode, 0, leat("check", gateway).stderr)
            write_lines(home / "in.jsonl", [{"k": f"k{n % 50}", "v": n} for n in range(500)])
            child = start(["strace", "-f", "-y", "-qq", "-s", "0", "-e", "trace=pwrite64,pwritev,writev,write,fdatasync,fsync", "-o", home / "trace",
                           LEAT, "run", gateway], home / "log")
            ask = lambda: (done := leat("status", gateway, "--json")).returncode == 0 and __import__("json").loads(done.stdout)
            found = wait_for(lambda: (now := ask()) and now["checkpoint"]["count"] >= 10 and now["sinks"][0]["acknowledged_sequence"] >= 500 and now, "work", 40)
            pages = Pages(home / "trace", home)
            self.assertEqual(leat("stop", gateway).returncode, 0)
            end(child)
            return found["flash"], pages.written

    def test_figures_are_what_was_written(self):
        flash, written = self.measure("1TiB")
        self.assertFalse(flash["over_budget"])
        for told, seen in ((flash["journal_bytes"], written.get("journal", 0)), (flash["outbox_bytes"], written.get("outbox-out", 0)),
                           (flash["checkpoint_bytes"], written.get("state.mdb", 0))):
            # The trace goes on between the status and the look at it, and has the creation of the files, which no figure counts.
            self.assertGreater(told, 0)
            self.assertLessEqual(told, seen * 1.1 + 8192, (flash, written))
            self.assertGreaterEqual(told, seen * 0.6 - 65536, (flash, written))

    def test_a_budget_that_is_passed_is_told(self):
        flash, _ = self.measure("1MiB")
        self.assertEqual(flash["budget_bytes_per_day"], 1 << 20)
        self.assertTrue(flash["over_budget"])


if __name__ == "__main__":
    unittest.main()
