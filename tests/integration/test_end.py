#!/usr/bin/python3
"""How a run ends and the next begins: exit codes, what systemd is told, the socket, figures while it runs, log lines."""

import json
import os
import re
import socket
import stat
import time
import unittest

from support import Agent, Broker, Collector, Folder, LEAT, free_port, leat, start, wait_for, whole_lines, write_lines

GATEWAY = """
agent: {{ name: same, checkpoint: {{ interval: {interval}, retained: {retained} }}, workers: {workers}, stop_timeout: {stop}, flash_budget: 1GiB }}
sources:
  s: {{ driver: file, path: in.jsonl, follow: {follow}, format: json, fields: {{ k: string, ts: timestamp_ms, v: int }}, event_time: ts, watermark: {{ out_of_orderness: 100ms }} }}
rules:
  sums:
    sql: |
      SELECT k, window_end, COUNT(*) AS n, SUM(v) AS total
      FROM TABLE(TUMBLE(TABLE s, DESCRIPTOR(ts), INTERVAL '1' SECOND)) GROUP BY k, window_start, window_end
    to: out
  rises: {{ detect: rising, from: s, key: k, column: v, for: 50ms, to: out }}
sinks:
  out: {sink}
"""
FILE = "{ driver: file, path: out.jsonl, envelope: true }"


def rows(count, first=0):
    return [{"k": f"k{i % 11}", "ts": i * 10, "v": i * 7 % 101} for i in range(first, first + count)]


def append(path, more):
    with open(path, "a") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in more)


def write(folder, name="gateway.yaml", sink=FILE, follow="false", workers=1, interval="50ms", retained=3, stop="3s"):
    path = folder / name
    path.write_text(GATEWAY.format(sink=sink, follow=follow, workers=workers, interval=interval, retained=retained, stop=stop))
    return path


def bare(found):
    return sorted(json.dumps({name: value for name, value in row.items() if name != "_seq"}, sort_keys=True) for row in found)


class End(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(Folder())
        self.out = self.folder / "out.jsonl"

    def reference(self, data):
        """What a single bounded run makes of the rows."""
        home = self.folder / "reference"
        home.mkdir()
        write_lines(home / "in.jsonl", data)
        done = leat("run", write(home))
        self.assertEqual(done.returncode, 0, done.stderr)
        return whole_lines(home / "out.jsonl")

    def test_unreachable_receiver_then_the_next_run(self):
        port = free_port()
        write_lines(self.folder / "in.jsonl", rows(2000))
        sink = '{ driver: mqtt, url: "mqtt://127.0.0.1:%d", topic: "up/{rule}", qos: 1, envelope: true }'
        gateway, begun = write(self.folder, sink=sink % port), time.monotonic()
        done = leat("run", gateway)
        took = time.monotonic() - begun
        self.assertEqual(done.returncode, 75, done.stderr)
        self.assertIn("results wait in the outbox", done.stderr)
        self.assertLess(took, 30, "stop_timeout is 3 s")
        broker = Broker(self.folder)
        collector = Collector(broker.port, "up/#")
        gateway = write(self.folder, sink=sink % broker.port)
        done = leat("run", gateway)
        self.assertEqual(done.returncode, 0, done.stderr)
        want = self.reference(rows(2000))
        wait_for(lambda: len({row["_id"] for row in collector.rows()}) >= len(want), "what waited")
        self.assertEqual(bare(collector.rows()), bare(want))
        self.assertEqual([row["_seq"] for row in collector.rows()], list(range(1, len(want) + 1)))
        collector.close()
        print(f"exit 75 after {took:.1f} s with a stop_timeout of 3 s")

    def test_stop_in_the_middle_goes_on_exactly(self):
        data = rows(30000)
        write_lines(self.folder / "in.jsonl", data[:10000])
        agent = Agent(write(self.folder, follow="true"), self.folder / "log")
        agent.until(lambda: len(whole_lines(self.out)) > 100, "results")
        append(self.folder / "in.jsonl", data[10000:])
        self.assertEqual(agent.stop(), 0, agent.text())
        self.assertIn("stopped", agent.text())
        before = len(whole_lines(self.out))
        done = leat("run", write(self.folder))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stderr, "restored checkpoint [1-9]")
        want = self.reference(data)
        self.assertEqual(bare(whole_lines(self.out)), bare(want))
        print(f"{before} results before the stop, {len(want)} in all")

    def test_a_finished_run_begins_anew(self):
        write_lines(self.folder / "in.jsonl", rows(3000))
        gateway = write(self.folder)
        for _ in range(3):
            done = leat("run", gateway)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertNotIn("restored checkpoint", done.stderr)
        found, want = whole_lines(self.out), self.reference(rows(3000))
        self.assertEqual(bare(found), bare(want * 3))

    def test_workers_give_the_same_results(self):
        data = rows(20000)
        write_lines(self.folder / "in.jsonl", data)
        done = leat("run", write(self.folder, workers=4))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(bare(whole_lines(self.out)), bare(self.reference(data)))

    def test_commit_none_leaves_without_a_checkpoint(self):
        write_lines(self.folder / "in.jsonl", rows(3000))
        sink = "{ driver: file, path: out.jsonl, commit: %s }"
        agent = Agent(write(self.folder, sink=sink % "none", follow="true", interval="1h"), self.folder / "log")
        agent.until(lambda: len(whole_lines(self.out)) > 100, "results")
        self.assertEqual(agent.status()["checkpoint"]["count"], 0)
        self.assertEqual(agent.stop(), 0, agent.text())

    def test_commit_now_does_not_wait_for_the_interval(self):
        write_lines(self.folder / "in.jsonl", rows(3000))
        agent = Agent(write(self.folder, sink="{ driver: file, path: out.jsonl, commit: now }", follow="true", interval="1h"), self.folder / "log")
        agent.until(lambda: len(whole_lines(self.out)) > 100, "results")
        self.assertGreater(agent.status()["checkpoint"]["count"], 0)
        self.assertEqual(agent.stop(), 0, agent.text())

    def test_results_wait_for_their_checkpoint(self):
        write_lines(self.folder / "in.jsonl", [])
        agent = Agent(write(self.folder, follow="true", interval="1h"), self.folder / "log")
        agent.until(lambda: (found := agent.status()) and found["checkpoint"]["count"] == 1, "the checkpoint that knows where the file began")
        append(self.folder / "in.jsonl", rows(3000))
        agent.until(lambda: agent.status()["sinks"][0]["results"] > 100, "results in the outbox")
        self.assertEqual(whole_lines(self.out), [])
        self.assertEqual(agent.stop(), 0, agent.text())
        self.assertGreater(len(whole_lines(self.out)), 100)

    def test_socket_and_its_mode(self):
        write_lines(self.folder / "in.jsonl", rows(10))
        agent = Agent(write(self.folder, follow="true"), self.folder / "log")
        agent.until(lambda: agent.status() is not None, "status")
        path = self.folder / ".leat" / "leat.sock"
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o660)
        for nonsense in (b"\n", b"no json\n", b'{"command":"explode"}\n', b"{" * 100000 + b"\n", b"\x00" * 70000, b'{"command":"status"'):
            with socket.socket(socket.AF_UNIX) as one:
                one.connect(str(path))
                try:
                    one.sendall(nonsense)
                except OSError:
                    pass  # cut off in the middle: its right
        many = [socket.socket(socket.AF_UNIX) for _ in range(50)]
        for one in many:
            one.settimeout(5)
            try:
                one.connect(str(path))
            except OSError:
                pass
        self.assertTrue(agent.runs(), agent.text())
        for one in many:
            one.close()
        agent.until(lambda: agent.status() is not None, "status after nonsense")
        self.assertEqual(agent.stop(), 0, agent.text())

    def test_systemd_is_told(self):
        write_lines(self.folder / "in.jsonl", rows(10))
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as hears:
            hears.bind(str(self.folder / "notify"))
            hears.settimeout(60)
            agent = Agent(write(self.folder, follow="true"), self.folder / "log",
                          {"NOTIFY_SOCKET": str(self.folder / "notify"), "WATCHDOG_USEC": "400000"})
            self.assertEqual(hears.recv(4096), b"READY=1")
            told = [hears.recv(4096) for _ in range(5)]
            self.assertEqual(set(told), {b"WATCHDOG=1"})
            agent.child.terminate()
            while told[-1] == b"WATCHDOG=1":
                told.append(hears.recv(4096))
            self.assertEqual(told[-1], b"STOPPING=1")
            self.assertEqual(agent.child.wait(60), 0)

    def test_figures_while_it_runs(self):
        broker = Broker(self.folder)
        write_lines(self.folder / "in.jsonl", rows(5000))
        gateway = write(self.folder, follow="true")
        text = gateway.read_text().replace("sources:\n", 'sources:\n  m: { driver: mqtt, url: "mqtt://127.0.0.1:%d", topic: x, fields: { n: int } }\n' % broker.port)
        gateway.write_text(text.replace("rules:\n", 'rules:\n  pass: { sql: "SELECT n FROM m", to: out }\n'))
        agent = Agent(gateway, self.folder / "log")
        found = agent.until(lambda: (found := agent.status()) and found["sources"][1]["rows_in"] >= 5000 and found["sinks"][0]["results"] > 0
                            and found["sinks"][0]["backlog"] == 0 and found, "figures")
        print(json.dumps(found))
        self.assertEqual([one["name"] for one in found["sources"]], ["m", "s"])
        self.assertEqual({one["name"] for one in found["rules"]}, {"pass", "sums", "rises"})
        sink, checkpoint, flash = found["sinks"][0], found["checkpoint"], found["flash"]
        self.assertEqual(sink["results"], sink["acknowledged_sequence"])
        self.assertEqual(sink["results"], sum(rule["rows_out"] for rule in found["rules"]))
        self.assertEqual(sink["results"], len(whole_lines(self.out)))
        self.assertGreater(checkpoint["count"], 0)
        self.assertFalse(checkpoint["disk_full"])
        self.assertGreater(checkpoint["commit_us"], 0)
        self.assertGreaterEqual(flash["outbox_bytes"], self.out.stat().st_size)
        self.assertGreaterEqual(flash["checkpoint_bytes"], 4096 * checkpoint["count"])
        self.assertLess(flash["checkpoint_bytes"], 1 << 20 << checkpoint["count"].bit_length())
        self.assertGreater(found["rules"][1]["state_keys"] + found["rules"][2]["state_keys"], 0)
        self.assertGreater(found["memory_bytes"], 0)
        self.assertEqual(found["ledger"], [])
        self.assertIn("journal", found)
        self.assertEqual(leat("status", gateway).returncode, 0)
        self.assertEqual(agent.stop(), 0, agent.text())

    def test_retained_is_checked_and_runs_with_few_and_many(self):
        write_lines(self.folder / "in.jsonl", rows(20000))
        for retained in (1, 16):
            done = leat("run", write(self.folder, retained=retained, interval="10ms"))
            self.assertEqual(done.returncode, 0, done.stderr)
        for retained in (0, 101):
            self.assertEqual(leat("check", write(self.folder, retained=retained)).returncode, 78)

    def test_a_gateway_file_that_changes_between_runs(self):
        """The rule that stayed goes on exactly, beside one that was changed. (That the changed one starts empty is not told by the agent yet.)"""
        write_lines(self.folder / "in.jsonl", rows(1000))
        agent = Agent(write(self.folder, follow="true"), self.folder / "log")
        agent.until(lambda: len(whole_lines(self.out)) > 50, "results")
        self.assertEqual(agent.stop(), 0, agent.text())
        append(self.folder / "in.jsonl", rows(1000, 1000))
        gateway = write(self.folder)
        text = gateway.read_text()
        gateway.write_text(text.replace("for: 50ms", "for: 70ms"))
        done = leat("run", gateway)
        self.assertEqual(done.returncode, 0, done.stderr)
        sums = [row for row in whole_lines(self.out) if row["_rule"] == "sums"]
        self.assertEqual(bare(sums), bare(row for row in self.reference(rows(2000)) if row["_rule"] == "sums"))

    def test_more_results_between_two_checkpoints_than_the_outbox_holds(self):
        """They ask for a checkpoint themselves: it could not come through a full outbox."""
        gateway = self.folder / "gateway.yaml"
        gateway.write_text("agent: { checkpoint: { interval: 1h }, outbox: { max: 16MiB } }\n"
                           "sources: { s: { driver: generate, rows: 300000, rate: 1000000, fields: { k: string, v: double } } }\n"
                           f"rules: {{ all: {{ sql: \"SELECT k, v, '{'a' * 100}' AS pad FROM s\", to: out }} }}\n"
                           "sinks: { out: { driver: file, path: out.jsonl } }\n")
        done = leat("run", gateway)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(whole_lines(self.out)), 300000)

    def test_log_lines_have_their_level(self):
        write_lines(self.folder / "in.jsonl", rows(100))
        done = leat("run", write(self.folder))
        for line in done.stderr.splitlines():
            self.assertRegex(line, re.compile(r"^<[3467]>leat: \S"))
        self.assertEqual(done.stdout, "")

    def test_a_stop_before_it_has_begun(self):
        write_lines(self.folder / "in.jsonl", rows(100))
        gateway = write(self.folder, follow="true")
        for ms in range(0, 40, 2):
            child = start([LEAT, "run", gateway], self.folder / "log")
            time.sleep(ms / 1000)
            child.terminate()
            code = child.wait(60)
            self.assertIn(code, (0, -15), (self.folder / "log").read_text()[-1000:])
        self.assertTrue(os.path.exists(self.folder))

    def test_idle_agent_sleeps(self):
        """Nothing arrives: nobody polls. Wakeups of all threads are counted for ten seconds."""
        broker = Broker(self.folder)
        gateway = write(self.folder, follow="true", interval="1s")
        write_lines(self.folder / "in.jsonl", rows(10))
        text = gateway.read_text().replace("sources:\n", 'sources:\n  m: { driver: mqtt, url: "mqtt://127.0.0.1:%d", topic: x, fields: { n: int, at: timestamp_ms }, event_time: at }\n' % broker.port)
        gateway.write_text(text.replace("rules:\n", 'rules:\n  pass: { sql: "SELECT n FROM m", to: out }\n'))
        agent = Agent(gateway, self.folder / "log")
        agent.until_connected()
        agent.until(lambda: agent.status()["checkpoint"]["unchanged"] >= 2, "quiet")

        def figures():
            switches, names = 0, {}
            for task in os.listdir(f"/proc/{agent.child.pid}/task"):
                with open(f"/proc/{agent.child.pid}/task/{task}/status") as lines:
                    text = lines.read()
                names[re.search(r"Name:\t(.*)", text)[1] + "-" + task] = count = int(re.search(r"\nvoluntary_ctxt_switches:\t(\d+)", text)[1])
                switches += count
            with open(f"/proc/{agent.child.pid}/stat") as line:
                fields = line.read().rsplit(")", 1)[1].split()
            return switches, (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), names

        first, begun = figures(), time.monotonic()
        time.sleep(10)
        last, seconds = figures(), time.monotonic() - begun
        wakeups, cpu = (last[0] - first[0]) / seconds, (last[1] - first[1]) / seconds * 100
        print(f"idle: {wakeups:.1f} wakeups/s, {cpu:.2f} % of a core",
              {name: round((last[2][name] - first[2].get(name, 0)) / seconds, 1) for name in last[2]})
        self.assertLess(wakeups, 60)
        self.assertLess(cpu, 5)
        self.assertEqual(agent.stop(), 0, agent.text())


if __name__ == "__main__":
    unittest.main()
