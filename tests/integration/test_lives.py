#!/usr/bin/python3
"""Lives of a state directory: what is taken in anew after it was wiped has ids of its own, what is read again from files has those it had."""

import shutil
import unittest

from support import Agent, Broker, Folder, Publisher, whole_lines, write_lines

GATEWAY = """
agent: {{ name: plant, state: state, checkpoint: {{ interval: 50ms }} }}
sources:
  s: {{ driver: mqtt, url: "mqtt://127.0.0.1:{port}", topic: in, qos: 1, clean: true, reconnect_min: 100ms, format: json, fields: {{ n: int }} }}
  f: {{ driver: file, path: f.jsonl, follow: true, format: json, fields: {{ n: int }} }}
rules:
  all: {{ sql: "SELECT n FROM s", to: out }}
  sums: {{ sql: "SELECT SUM(n) AS total FROM s", unbounded: true, to: out }}
  files: {{ sql: "SELECT n AS line FROM f", to: out }}
  lines: {{ sql: "SELECT COUNT(*) AS lines FROM f", unbounded: true, to: out }}
  both: {{ sql: "SELECT n AS reading FROM s UNION ALL SELECT n FROM f", to: out }}
sinks:
  out: {{ driver: file, path: out.jsonl, changelog: retract, envelope: true }}
"""
LINES, NUMBERS = [7, 8, 9], [1, 2, 3, 4]
RESULTS = 2 * len(NUMBERS) - 1 + len(NUMBERS) + 2 * len(LINES) - 1 + len(LINES) + len(NUMBERS) + len(LINES)


class Lives(unittest.TestCase):
    def run_once(self, folder, numbers=NUMBERS):
        """The rows that this run adds to the file."""
        before = len(whole_lines(folder / "out.jsonl"))
        more = RESULTS if not before else 4 * len(numbers)
        if not (folder / "state").exists():
            more = RESULTS
        agent = Agent(folder / "gateway.yaml", folder / "log")
        agent.until_connected()
        for n in numbers:
            self.publisher.send("in", {"n": n})
        agent.until(lambda: len(whole_lines(folder / "out.jsonl")) >= before + more, "results")
        self.assertEqual(agent.stop(), 0, agent.text()[-2000:])
        return whole_lines(folder / "out.jsonl")[before:]

    def prepare(self, folder):
        broker = Broker(folder, durable=False)
        (folder / "gateway.yaml").write_text(GATEWAY.format(port=broker.port))
        write_lines(folder / "f.jsonl", [{"n": n} for n in LINES])
        self.publisher = Publisher(broker.port)
        self.addCleanup(self.publisher.close)

    def life(self, folder):
        return (folder / "state" / "life").read_text()

    def test_wiped(self):
        with Folder() as folder:
            self.prepare(folder)
            lives = []
            for _ in range(3):
                shutil.rmtree(folder / "state", ignore_errors=True)
                lives.append(self.run_once(folder))
            bare = lambda row: {name: value for name, value in row.items() if name not in ("_id", "_seq")}
            for one, two in zip(lives, lives[1:]):
                self.assertEqual(sorted(map(str, map(bare, one))), sorted(map(str, map(bare, two))), "the same input, the same results")
                ids = [{row["_id"] for row in rows if row["_rule"] in ("all", "sums", "both")} for rows in (one, two)]
                self.assertEqual(len(ids[0]), sum(row["_rule"] in ("all", "sums", "both") for row in one))
                self.assertFalse(ids[0] & ids[1], "what came by the journal")
                files = [{row["_id"]: bare(row) for row in rows if row["_rule"] in ("files", "lines")} for rows in (one, two)]
                self.assertEqual(files[0], files[1], "what is read again from where it lay")

    def test_goes_on(self):
        with Folder() as folder:
            self.prepare(folder)
            rows = self.run_once(folder)
            life = self.life(folder)
            self.assertRegex(life, r"^leat life 1 incarnation=[0-9a-f]{16} previous=0{16} from=0 crc32c=[0-9a-f]{8}\n$")
            self.assertNotIn("incarnation=0000000000000000", life)
            rows += self.run_once(folder)
            self.assertEqual(self.life(folder), life)
            # Beside the checkpoint it is only a copy: gone, or damaged.
            (folder / "state" / "life").unlink()
            rows += self.run_once(folder)
            self.assertEqual(self.life(folder), life)
            for damaged in (life.replace("from=0", "from=1"), life[:40], ""):
                (folder / "state" / "life").write_text(damaged)
                rows += self.run_once(folder, [5])
                self.assertEqual(self.life(folder), life)
            self.assertEqual(len({row["_id"] for row in rows}), len(rows), "no id twice")

    def test_without_checkpoint(self):
        with Folder() as folder:
            self.prepare(folder)
            self.run_once(folder)
            life = self.life(folder)
            for path in (folder / "state").glob("state.mdb*"):
                path.unlink()
            self.run_once(folder, [])
            self.assertEqual(self.life(folder), life, "the journal is that life's")
            for path in [*(folder / "state").glob("state.mdb*"), folder / "state" / "life"]:
                path.unlink()
            self.run_once(folder, [])
            self.assertNotEqual(self.life(folder), life, "nothing knows it any more")


if __name__ == "__main__":
    unittest.main()
