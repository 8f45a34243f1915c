#!/usr/bin/python3
"""Stop with a savepoint and begin from it: nothing lost, nothing twice, at another number of workers, with changed rules, with damage, and when it cannot
be written."""

import json
import pathlib
import shutil
import sys
import time
import unittest

from support import Agent, Broker, Collector, Folder, Publisher, free_port, leat, wait_for, whole_lines

GATEWAY = """
agent: {{ name: plant, state: {state}, workers: {workers}, checkpoint: {{ interval: 50ms }} }}
sources:
  s:
    driver: file
    path: in.jsonl
    follow: true
    format: json
    fields: {{ k: string, v: bigint, ts: timestamp_ms }}
    event_time: ts
    watermark: {{ out_of_orderness: 2s }}
rules:
{rules}
sinks:
  minutes: {{ driver: file, path: {out}/minutes.jsonl, envelope: true }}
  totals: {{ driver: file, path: {out}/totals.jsonl, envelope: true }}
"""
MINUTES = """
  minutes:
    sql: SELECT k, window_end, SUM(v) AS total, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE s, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY k, window_start, window_end
    to: minutes
"""
TOTALS = """
  totals: { sql: "SELECT k, SUM(v) AS total FROM s GROUP BY k", unbounded: true, to: totals }
"""
CLOSING = {"k": "end", "v": 0, "ts": 10**9}


def rows(first, last):
    return [{"k": f"k{n * 7 % 23}", "v": n, "ts": n * 500 + (n % 5) * 300} for n in range(first, last)]


def final_totals(lines):
    """The table that the changelog leaves."""
    table = {}
    for line in lines:
        table[line["k"]] = line["total"]
    return table


class Savepoint(unittest.TestCase):
    def gateway(self, folder, name="gateway.yaml", workers=1, rules=MINUTES + TOTALS, out="out", state=".leat", text=GATEWAY):
        path = folder / name
        (folder / out).mkdir(exist_ok=True)
        path.write_text(text.format(state=state, workers=workers, rules=rules, out=out))
        return path

    def append(self, folder, more):
        with open(folder / "in.jsonl", "a") as lines:
            lines.writelines(json.dumps(row) + "\n" for row in more)

    def read_all(self, agent, count):
        agent.until(lambda: (found := agent.status()) and found["sources"][0]["rows_out"] >= count, f"{count} rows read")

    def calm(self, folder, whole):
        home = folder / "calm"
        home.mkdir()
        self.append(home, whole)
        agent = Agent(self.gateway(home), home / "log")
        self.read_all(agent, len(whole))
        self.assertEqual(agent.stop(), 0)
        return {name: whole_lines(home / "out" / f"{name}.jsonl") for name in ("minutes", "totals")}

    def same(self, folder, calm, names=("minutes", "totals")):
        for name in names:
            got = whole_lines(folder / "out" / f"{name}.jsonl")
            self.assertEqual([row["_seq"] for row in got], list(range(1, len(got) + 1)), "sequences go on")
            self.assertEqual(len({row["_id"] for row in got}), len(got), "no id twice")
            plain = lambda lines: sorted(json.dumps({**row, "_seq": 0}, sort_keys=True) for row in lines)
            self.assertEqual(plain(got), plain(calm[name]), name)

    # ---- the same results

    def test_one_worker_to_four_and_back(self):
        with Folder() as folder:
            whole = rows(0, 900) + [CLOSING]
            calm = self.calm(folder, whole)
            parts = [whole[:250], whole[250:600], whole[600:]]
            savepoint, seen = None, 0
            for step, (workers, part) in enumerate(zip((1, 4, 1), parts)):
                self.append(folder, part)
                seen += len(part)
                gateway = self.gateway(folder, workers=workers, state=f"state-{step}")
                agent = Agent(gateway, folder / "log", options=("--from", savepoint) if savepoint else ())
                self.read_all(agent, len(part))
                savepoint = agent.stop_with_savepoint(folder / "saved")
                text = (savepoint / "MANIFEST").read_text()
                self.assertIn('uid="minutes/window_time-1"', text)
                self.assertIn('uid="totals/group_aggregate-1"', text)
                self.assertEqual([path.name for path in sorted(savepoint.iterdir())], ["MANIFEST", "journal", "outbox", "state"])
            self.assertEqual(len(list((folder / "saved").iterdir())), 3, "no temporary left")
            self.same(folder, calm)

    def test_a_file_that_was_copied_is_read_on(self):
        with Folder() as folder:
            whole = rows(0, 400) + [CLOSING]
            calm = self.calm(folder, whole)
            self.append(folder, whole[:250])
            agent = Agent(self.gateway(folder, state="one"), folder / "log")
            self.read_all(agent, 250)
            saved = agent.stop_with_savepoint(folder / "saved")
            shutil.rmtree(folder / "one")
            inode = (folder / "in.jsonl").stat().st_ino
            shutil.copy(folder / "in.jsonl", folder / "copy")  # as on another board
            (folder / "copy").rename(folder / "in.jsonl")
            self.assertNotEqual((folder / "in.jsonl").stat().st_ino, inode)
            agent = Agent(self.gateway(folder, state="two"), folder / "log", options=("--from", saved))
            self.append(folder, whole[250:])
            self.read_all(agent, len(whole) - 250)
            self.assertEqual(agent.stop(), 0)
            self.same(folder, calm)

    def test_plain_stop_sends_no_last_watermark_and_goes_on(self):
        with Folder() as folder:
            whole = rows(0, 200) + [CLOSING]
            calm = self.calm(folder, whole)
            gateway = self.gateway(folder)
            self.append(folder, whole[:100])
            agent = Agent(gateway, folder / "log")
            self.read_all(agent, 100)
            done = leat("stop", gateway)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
            # The directory is free at once: no waiting for the process.
            self.append(folder, whole[100:])
            again = Agent(gateway, folder / "log")
            self.assertEqual(agent.child.wait(60), 0)
            self.read_all(again, len(whole) - 100)
            self.assertEqual(again.stop(), 0)
            self.same(folder, calm)
            self.assertEqual(leat("stop", gateway).returncode, 69)

    def test_undelivered_results_travel(self):
        with Folder() as folder:
            port = free_port()
            text = GATEWAY.replace("agent: {{", "agent: {{ stop_timeout: 300ms,").replace(
                "driver: file, path: {out}/minutes.jsonl, envelope: true",
                f'driver: mqtt, url: "mqtt://127.0.0.1:{port}", topic: up, qos: 1, reconnect_min: 100ms, reconnect_max: 200ms, envelope: true')
            whole = rows(0, 400) + [CLOSING]
            calm = self.calm(folder, whole)
            self.append(folder, whole[:300])
            agent = Agent(self.gateway(folder, text=text, state="one"), folder / "log")
            self.read_all(agent, 300)
            saved = agent.stop_with_savepoint(folder / "saved")
            waiting = sum(1 for row in whole[:300])
            self.assertIn("results that are not delivered travel with the savepoint", agent.text())
            shutil.rmtree(folder / "one")
            self.append(folder, whole[300:])
            broker = Broker(folder)
            moved = self.gateway(folder, text=text.replace(str(port), str(broker.port)), state="two", workers=2)
            collector = Collector(broker.port, "up")
            agent = Agent(moved, folder / "log", options=("--from", saved))
            wait_for(lambda: len(collector.messages) >= len(calm["minutes"]), "results", 60)
            self.assertEqual(agent.stop(), 0)
            got = collector.rows()
            self.assertEqual(sorted(row["_id"] for row in got), sorted(row["_id"] for row in calm["minutes"]))
            self.assertEqual([row["_seq"] for row in got], list(range(1, len(got) + 1)))
            self.assertGreater(waiting, 0)

    def test_what_is_journalled_and_not_processed_travels(self):
        text = """
agent: {{ name: plant, state: {state}, stop_timeout: 20s }}
sources:
  s: {{ driver: mqtt, url: "mqtt://127.0.0.1:%d", topic: in, qos: 2, reconnect_min: 100ms, reconnect_max: 200ms, format: json, fields: {{ n: int }} }}
rules:
  all: {{ sql: "SELECT n FROM s", to: out }}
sinks:
  out: {{ driver: file, path: {out}/all.jsonl, envelope: true }}
"""
        with Folder() as folder:
            broker = Broker(folder, durable=False)
            text = text % broker.port
            agent = Agent(self.gateway(folder, text=text, state="one"), folder / "log")
            agent.until_connected()
            publisher = Publisher(broker.port)
            count = 3000
            for n in range(count):
                publisher.send("in", {"n": n}, wait=False)
            agent.until(lambda: agent.status()["sources"][0]["rows_out"] > 100, "some are through")
            saved = agent.stop_with_savepoint(folder / "saved")
            shutil.rmtree(folder / "one")
            again = Agent(self.gateway(folder, text=text, state="two"), folder / "log", options=("--from", saved))
            again.until_connected()
            again.until(lambda: len(whole_lines(folder / "out" / "all.jsonl")) >= count, "all of them")
            self.assertEqual(again.stop(), 0)
            got = whole_lines(folder / "out" / "all.jsonl")
            self.assertEqual(sorted(row["n"] for row in got), list(range(count)), "none lost, none twice")
            self.assertEqual(len({row["_id"] for row in got}), count)
            publisher.close()

    def test_two_lives_from_one_savepoint(self):
        text = """
agent: {{ name: plant, state: {state}, checkpoint: {{ interval: 50ms }} }}
sources:
  s: {{ driver: mqtt, url: "mqtt://127.0.0.1:%d", topic: in, qos: 1, reconnect_min: 100ms, reconnect_max: 200ms, format: json, fields: {{ n: int }} }}
  f: {{ driver: file, path: f.jsonl, follow: true, format: json, fields: {{ n: int }} }}
rules:
  all: {{ sql: "SELECT n FROM s", to: out }}
  sums: {{ sql: "SELECT SUM(n) AS total FROM s", unbounded: true, to: out }}
  files: {{ sql: "SELECT n AS line FROM f", to: out }}
sinks:
  out: {{ driver: file, path: {out}/all.jsonl, changelog: retract, envelope: true }}
"""
        with Folder() as folder:
            broker = Broker(folder, durable=False)
            publisher = Publisher(broker.port)
            text = text % broker.port

            def live(name, numbers, lines, options=()):
                with open(folder / "f.jsonl", "a") as file:
                    file.writelines(json.dumps({"n": n}) + "\n" for n in lines)
                agent = Agent(self.gateway(folder, text=text, state=name, out=f"out-{name}"), folder / "log", options=options)
                agent.until_connected()
                for n in numbers:
                    publisher.send("in", {"n": n})
                results = folder / f"out-{name}" / "all.jsonl"
                wanted = lambda: [row for row in whole_lines(results) if "n" in row or "line" in row]
                agent.until(lambda: len(wanted()) >= len(numbers) + len(lines), "results")
                return agent, results

            agent, _ = live("one", [1, 2], [10, 20])
            saved = agent.stop_with_savepoint(folder / "saved")
            found = {}
            for name, numbers, lines in (("two", [3, 5], [30, 40]), ("three", [3, 6], [])):
                with open(folder / "f.jsonl") as file:
                    lines_left = len(file.readlines()) - 2 if not lines else 0
                agent, results = live(name, numbers, lines, options=("--from", saved))
                agent.until(lambda: sum("line" in row for row in whole_lines(results)) >= max(len(lines), lines_left), "lines read again")
                agent.until(lambda: any(row.get("total") == 3 + sum(numbers) for row in whole_lines(results)), "sums")
                self.assertEqual(agent.stop(), 0)
                found[name] = whole_lines(results)
            by = lambda name, key: {row["_id"]: row[key] for row in found[name] if key in row}
            self.assertEqual(sorted(by("two", "n").values()), [3, 5])
            self.assertEqual(sorted(by("three", "n").values()), [3, 6])
            self.assertFalse(by("two", "n").keys() & by("three", "n").keys(), "other messages, though one says the same")
            self.assertEqual(by("two", "line"), by("three", "line"), "the same lines, the same ids")
            for one, total in by("two", "total").items():
                self.assertEqual(by("three", "total").get(one, total), total, "one id, one result")
            publisher.close()

    # ---- what does not fit

    def saved(self, folder, rules=MINUTES + TOTALS):
        self.append(folder, rows(0, 100))
        agent = Agent(self.gateway(folder, state="one", rules=rules), folder / "log")
        self.read_all(agent, 100)
        return agent.stop_with_savepoint(folder / "saved")

    def test_state_that_nothing_takes_is_refused_by_name(self):
        with Folder() as folder:
            saved = self.saved(folder)
            without = self.gateway(folder, "without.yaml", rules=MINUTES.replace("SUM(v)", "MAX(v)"), state="two")
            done = leat("run", without, "--from", saved)
            self.assertEqual(done.returncode, 65, done.stderr)
            self.assertIn("rule 'totals' (group_aggregate, uid totals/group_aggregate-1, 23 entries): no rule has this uid", done.stderr)
            self.assertIn("rule 'minutes' (window_time, uid minutes/window_time-1", done.stderr)
            self.assertIn("it computes something else", done.stderr)
            self.assertIn("--allow-non-restored-state", done.stderr)
            agent = Agent(without, folder / "log2", options=("--from", saved, "--allow-non-restored-state"))
            agent.until(agent.status, "it runs")
            self.assertEqual(agent.stop(), 0)
            self.assertIn("left behind", agent.text())
            self.assertIn("rule 'minutes': the savepoint has no state for window_time (uid minutes/window_time-1); it starts empty", agent.text())

    def test_a_new_rule_starts_empty_and_a_renamed_one_keeps_its_state_by_uid(self):
        with Folder() as folder:
            whole = rows(0, 100) + [CLOSING]
            calm = self.calm(folder, whole)
            saved = self.saved(folder, rules=TOTALS)
            renamed = TOTALS.replace("totals: {", "sums: { uid: totals,") + MINUTES
            self.append(folder, [CLOSING])
            agent = Agent(self.gateway(folder, rules=renamed, state="two"), folder / "log2", options=("--from", saved))
            self.read_all(agent, 1)
            self.assertEqual(agent.stop(), 0)
            self.assertEqual(final_totals(whole_lines(folder / "out" / "totals.jsonl")), final_totals(calm["totals"]))
            self.assertIn("rule 'minutes': the savepoint has no state for window_time", agent.text())
            self.assertNotIn("rule 'sums': the savepoint", agent.text())

    def test_a_used_state_directory_is_not_given_up_unasked(self):
        with Folder() as folder:
            whole = rows(0, 100) + rows(100, 150) + [CLOSING]
            calm = self.calm(folder, whole)
            saved = self.saved(folder)
            gateway = self.gateway(folder, state="one")
            refused = leat("run", gateway, "--from", saved)
            self.assertEqual(refused.returncode, 65)
            self.assertIn("already has a checkpoint", refused.stderr)
            self.assertEqual(leat("run", gateway, "--fresh").returncode, 64)
            self.append(folder, whole[100:])
            agent = Agent(gateway, folder / "log", options=("--from", saved, "--fresh"))
            self.read_all(agent, 51)
            self.assertEqual(agent.stop(), 0)
            self.same(folder, calm)

    def test_another_time_zone_is_refused(self):
        with Folder() as folder:
            saved = self.saved(folder)
            text = GATEWAY.replace("agent: {{", "agent: {{ time_zone: Europe/Berlin,")
            done = leat("run", self.gateway(folder, text=text, state="two"), "--from", saved)
            self.assertEqual(done.returncode, 65)
            self.assertIn("agent.time_zone UTC, the file has Europe/Berlin", done.stderr)

    # ---- damage

    def test_a_changed_byte_or_length_is_found_wherever_it_is(self):
        with Folder() as folder:
            saved = self.saved(folder)
            gateway = self.gateway(folder, state="two")
            for path in sorted(saved.iterdir()):
                whole = path.read_bytes()
                places = sorted({0, 1, len(whole) // 3, len(whole) // 2, len(whole) - 2, len(whole) - 1})
                spoiled = [whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1:] for at in places]
                for bad in spoiled + [whole[:-1], whole[: len(whole) // 2], whole + b"\0", b""]:
                    path.write_bytes(bad)
                    done = leat("run", gateway, "--from", saved)
                    self.assertEqual(done.returncode, 65, (path.name, len(bad), done.stderr))
                    self.assertRegex(done.stderr, r"damaged|no savepoint")
                path.unlink()
                self.assertEqual(leat("run", gateway, "--from", saved).returncode, 65)
                path.write_bytes(whole)
            self.assertEqual(leat("run", gateway, "--from", folder / "nowhere").returncode, 65)
            agent = Agent(gateway, folder / "log2", options=("--from", saved))
            agent.until(agent.status, "what was put right is taken")
            self.assertEqual(agent.stop(), 0)

    def test_a_newer_one_is_refused_as_such(self):
        with Folder() as folder:
            saved = self.saved(folder)
            text = (saved / "MANIFEST").read_text()
            (saved / "MANIFEST").write_text(text.replace("version=1\n", "version=2\n", 1))
            done = leat("run", self.gateway(folder, state="two"), "--from", saved)
            self.assertEqual(done.returncode, 65)
            self.assertIn("written by a newer release (savepoint version 2, this one reads up to 1)", done.stderr)

    def test_one_of_a_foreign_machine_is_refused_as_such(self):
        with Folder() as folder:
            saved = self.saved(folder)
            text = (saved / "MANIFEST").read_text()
            own = sys.byteorder
            self.assertIn(f"leat savepoint byte_order={own} version=1\n", text)
            other = {"little": "big", "big": "little"}[own]
            (saved / "MANIFEST").write_text(text.replace(f"byte_order={own}", f"byte_order={other}", 1))
            done = leat("run", self.gateway(folder, state="two"), "--from", saved)
            self.assertEqual(done.returncode, 65)
            self.assertIn(f"was made on a machine of {other}-endian byte order, this one is {own}-endian", done.stderr)

    def test_a_start_that_was_cut_off_is_made_again(self):
        with Folder() as folder:
            whole = rows(0, 150) + [CLOSING]
            calm = self.calm(folder, whole)
            saved = self.saved(folder)
            # What a kill leaves between giving up the old state and the first checkpoint of the new.
            state = folder / "two"
            state.mkdir()
            (state / "from-savepoint").write_text(f"{saved}\n0\n")
            (state / "journal").mkdir()
            self.append(folder, whole[100:])
            agent = Agent(self.gateway(folder, state="two"), folder / "log2")
            self.read_all(agent, 51)
            self.assertEqual(agent.stop(), 0)
            self.assertIn("was cut off and is made again", agent.text())
            self.same(folder, calm)

    # ---- when it cannot be written

    def test_a_place_that_cannot_be_written_stops_nothing(self):
        with Folder() as folder:
            self.append(folder, rows(0, 50))
            gateway = self.gateway(folder)
            agent = Agent(gateway, folder / "log")
            self.read_all(agent, 50)
            (folder / "taken").write_text("a file")
            done = leat("stop", gateway, "--savepoint", folder / "taken")
            self.assertEqual(done.returncode, 74)
            self.assertIn("the agent goes on", done.stderr)
            self.append(folder, rows(50, 80))
            self.read_all(agent, 80)
            self.assertEqual(agent.stop(), 0)

    def test_one_that_fails_at_the_end_goes_on_where_it_was(self):
        with Folder() as folder:
            port = free_port()
            text = GATEWAY.replace("agent: {{", "agent: {{ stop_timeout: 3s,").replace(
                "rules:", "rules:\n  away: {{ sql: \"SELECT k FROM s\", to: away }}").replace(
                "sinks:", f'sinks:\n  away: {{{{ driver: mqtt, url: "mqtt://127.0.0.1:{port}", topic: up, qos: 1 }}}}')
            whole = rows(0, 120) + [CLOSING]
            calm = self.calm(folder, whole)
            self.append(folder, whole[:60])
            gateway = self.gateway(folder, text=text)
            agent = Agent(gateway, folder / "log")
            self.read_all(agent, 60)
            # While the receiver is waited for somebody clears the place away.
            import threading
            def clear():
                fresh = wait_for(lambda: list((folder / "saved").glob("*.new")), "the files")
                time.sleep(0.3)
                shutil.rmtree(fresh[0])
            clearing = threading.Thread(target=clear)
            clearing.start()
            done = leat("stop", gateway, "--savepoint", folder / "saved")
            clearing.join()
            self.assertEqual(done.returncode, 74, done.stderr)
            self.assertTrue(agent.runs())
            self.append(folder, whole[60:])
            agent.until(lambda: (found := agent.status()) and found["sources"][0]["rows_out"] >= len(whole) - 60, "it goes on")
            self.assertEqual(list((folder / "saved").iterdir()), [])
            self.assertEqual(agent.stop(), 0)
            self.assertIn("goes on without a savepoint", agent.text())
            self.same(folder, calm)


if __name__ == "__main__":
    unittest.main()
