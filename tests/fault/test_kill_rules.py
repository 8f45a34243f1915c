#!/usr/bin/python3
"""One gateway with a rule of every construct, killed with SIGKILL at random instants, or moved by savepoints: its results are those of a calm run.

Rules over one source: the rows of each key, ids included, in their order. Joins of several sources: in any order within a key, since how the sources' rows
come between each other is open. Regular joins: what their changes leave.

LEAT_KILLS, LEAT_KILL_ROWS and LEAT_SEED make it longer and other.
"""

import collections
import json
import os
import pathlib
import random
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from support import Agent, Folder, leat, read_lines, write_lines  # noqa: E402

KILLS = int(os.environ.get("LEAT_KILLS", "60"))
ROWS = int(os.environ.get("LEAT_KILL_ROWS", "12000"))
SEED = int(os.environ.get("LEAT_SEED", "21"))
UNORDERED = {"interval_join", "window_join", "temporal_join", "pairs"}  # rules that read two sources
UNORDERED |= {"route"}  # two outputs
FOLDED = {"regular_join", "coded", "top_of_groups"}
CLOCKED = {"_seq", "handled_at"}
TIMERS = {"rising", "above", "quiet", "bursts"}  # ids of timers count the savepoints before
# Rules whose rows are dealt out by more than k: their order is that within these columns.
FINER = {
    "sets": ("word", "part"), "top_bare": ("word",), "first": ("word", "part"), "first_to_come": ("word", "part"), "last": ("word",), "words": ("word",),
    "window_top": ("window_end",), "top_of_groups": (),
}

SOURCES = """
agent: { name: same, state: @STATE@, workers: @WORKERS@, rule_memory: 128MiB, checkpoint: { interval: @INTERVAL@, retained: 3 } }
sources:
  s:                                # some of its rows are late
    driver: file
    path: @IN@/s.jsonl
    follow: @FOLLOW@
    fields: { k: string, n: int, ts: timestamp_ms, v: double, word: string, tags: array<string> }
    event_time: ts
    processing_time: handled_at
    watermark: { out_of_orderness: 300ms }
  a:                                # none is late: what is late between two sources hangs on which one is ahead
    driver: file
    path: @IN@/s.jsonl
    follow: @FOLLOW@
    fields: { k: string, n: int, ts: timestamp_ms, v: double }
    event_time: ts
    watermark: { out_of_orderness: 3s }
  b:
    driver: file
    path: @IN@/b.jsonl
    follow: @FOLLOW@
    fields: { k: string, n: int, ts: timestamp_ms, code: int }
    event_time: ts
    watermark: { out_of_orderness: 3s }
  limits:
    driver: file
    path: @IN@/limits.jsonl
    follow: @FOLLOW@
    fields: { k: string, ts: timestamp_ms, high: double }
    event_time: ts
    watermark: { out_of_orderness: 3s }
    changelog: upsert
    primary_key: [k]
sinks:
  out: { driver: file, path: @OUT@/out.jsonl, envelope: true, rotate: 1GiB }
  late: { driver: file, path: @OUT@/late.jsonl, envelope: true, rotate: 1GiB }
"""

RULES = """
rules:
  tumble:
    sql: |
      SELECT k, window_end, COUNT(*) AS n, AVG(v) AS mean, COUNT(DISTINCT v) AS different, ARRAY_AGG(n) AS seen, LISTAGG(word) AS words
      FROM TABLE(TUMBLE(TABLE s, DESCRIPTOR(ts), INTERVAL '1' SECOND)) GROUP BY k, window_start, window_end
    to: out
    late_to: late
  hop:
    sql: |
      SELECT k, window_end, MAX(v) AS peak, PERCENTILE(v, 0.5) AS median
      FROM TABLE(HOP(TABLE s, DESCRIPTOR(ts), INTERVAL '1' SECOND, INTERVAL '4' SECOND)) GROUP BY k, window_start, window_end
    to: out
  cumulate:
    sql: |
      SELECT k, window_end, SUM(v) AS total, COUNT(DISTINCT word) AS words
      FROM TABLE(CUMULATE(TABLE s, DESCRIPTOR(ts), INTERVAL '1' SECOND, INTERVAL '5' SECOND)) GROUP BY k, window_start, window_end
    to: out
  sets:
    sql: |
      SELECT COALESCE(k, 'all') AS k, word, GROUPING(k, word) AS part, window_end, SUM(v) AS total
      FROM TABLE(TUMBLE(TABLE s, DESCRIPTOR(ts), INTERVAL '2' SECOND)) GROUP BY window_start, window_end, GROUPING SETS ((k, word), (k), ())
    to: out
  counted_emits:
    sql: |
      SELECT k, window_end, COUNT(*) AS n, SUM(v) AS total
      FROM TABLE(TUMBLE(TABLE s, DESCRIPTOR(ts), INTERVAL '5' SECOND)) GROUP BY k, window_start, window_end
    emit_count: 7
    emit: discarding
    evict: { count: 5 }
    to: out
  session:
    sql: |
      SELECT k, window_start, window_end, COUNT(*) AS n, COLLECT(v) AS seen
      FROM TABLE(SESSION(TABLE s PARTITION BY k, DESCRIPTOR(ts), INTERVAL '0.9' SECOND)) GROUP BY k, window_start, window_end
    to: out
  early:
    sql: |
      SELECT k, window_end, COUNT(*) AS n, SUM(v) AS total
      FROM TABLE(TUMBLE(TABLE s, DESCRIPTOR(ts), INTERVAL '5' SECOND)) GROUP BY k, window_start, window_end
    emit_every: 1s
    allowed_lateness: 1s
    to: out
  window_join:
    sql: |
      SELECT l.k AS k, l.n AS n, r.n AS two, l.window_end AS until
      FROM (SELECT * FROM TABLE(TUMBLE(TABLE a, DESCRIPTOR(ts), INTERVAL '1' SECOND))) l
      FULL JOIN (SELECT * FROM TABLE(TUMBLE(TABLE b, DESCRIPTOR(ts), INTERVAL '1' SECOND))) r
      ON l.k = r.k AND l.window_start = r.window_start AND l.window_end = r.window_end AND l.v > r.code
    to: out
  interval_join:
    sql: |
      SELECT COALESCE(l.k, r.k) AS k, l.n AS n, r.n AS two, l.v AS v, r.code AS code
      FROM a l FULL JOIN b r ON l.k = r.k AND l.ts BETWEEN r.ts - INTERVAL '1' SECOND AND r.ts + INTERVAL '2' SECOND AND l.v > r.code
    to: out
  temporal_join:
    sql: |
      SELECT l.k AS k, l.n AS n, l.v AS v, r.high AS high
      FROM a AS l LEFT JOIN limits FOR SYSTEM_TIME AS OF l.ts AS r ON l.k = r.k
    unbounded: true
    to: out
  regular_join:
    sql: SELECT l.k AS k, l.n AS n, l.v AS v, r.n AS two, r.code AS code FROM a l JOIN b r ON l.k = r.k AND l.n = r.n
    state_ttl: 1d
    to: out
  coded:
    sql: SELECT l.k AS k, l.n AS n, l.v AS v, r.code AS code FROM a l LEFT JOIN b r ON l.k = r.k AND l.n = r.n
    unbounded: true
    to: out
  pairs:
    join:
      left: a
      right: b
      by: k
      lower: -500ms
      upper: 1s
      upper_exclusive: true
      select: { k: '`left`.k', n: '`left`.n', two: '`right`.n' }
    to: out
  over_rows:
    sql: |
      SELECT k, n, SUM(v) OVER w AS total, COUNT(*) OVER w AS rows_seen, LAST_VALUE(word) OVER w AS word
      FROM s WINDOW w AS (PARTITION BY k ORDER BY ts ROWS BETWEEN 5 PRECEDING AND CURRENT ROW)
    unbounded: true
    to: out
  over_range:
    sql: |
      SELECT k, n, AVG(v) OVER w AS mean, MIN(v) OVER w AS least
      FROM s WINDOW w AS (PARTITION BY k ORDER BY ts RANGE BETWEEN INTERVAL '2' SECOND PRECEDING AND CURRENT ROW)
    to: out
  over_all:
    sql: |
      SELECT k, n, LAG(v, 2) OVER w AS earlier, MAX(v) OVER w AS peak FROM s WINDOW w AS (PARTITION BY k ORDER BY ts)
    unbounded: true
    to: out
  numbered: { sql: "SELECT k, n, ROW_NUMBER() OVER (PARTITION BY k ORDER BY ts) AS place FROM s", unbounded: true, to: out }
  top:
    sql: |
      SELECT k, n, v, place
      FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY v DESC, n) AS place FROM s) WHERE place <= 3
    unbounded: true
    to: out
  top_bare:
    sql: SELECT k, word, n, v FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k, word ORDER BY v) AS place FROM s) WHERE place <= 2
    state_ttl: 1d
    to: out
  top_of_groups:
    sql: |
      SELECT k, word, total, place
      FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY total DESC, word) AS place
            FROM (SELECT k, word, SUM(n) AS total FROM s GROUP BY k, word))
      WHERE place <= 2
    unbounded: true
    to: out
  first:
    sql: SELECT k, word, n / 40 AS part, n FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k, word, n / 40 ORDER BY ts) AS place FROM s) WHERE place = 1
    unbounded: true
    to: out
  first_to_come:
    sql: SELECT k, word, n / 40 AS part, n FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k, word, n / 40 ORDER BY handled_at) AS place FROM s) WHERE place = 1
    unbounded: true
    to: out
  last:
    sql: SELECT k, word, n FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k, word ORDER BY ts DESC) AS place FROM s) WHERE place = 1
    unbounded: true
    to: out
  window_top:
    sql: |
      SELECT k, n, v, window_end
      FROM TABLE(TUMBLE(TABLE s, DESCRIPTOR(ts), INTERVAL '2' SECOND))
      QUALIFY ROW_NUMBER() OVER (PARTITION BY window_start, window_end, k ORDER BY v DESC, n) <= 2
    to: out
  sorted: { sql: "SELECT k, n, ts FROM s ORDER BY ts", to: out }
  match:
    sql: |
      SELECT * FROM s MATCH_RECOGNIZE (
        PARTITION BY k ORDER BY ts
        MEASURES FIRST(U.n) AS since, LAST(U.n) AS until, COUNT(U.n) AS steps, D.n AS down
        ONE ROW PER MATCH AFTER MATCH SKIP PAST LAST ROW
        PATTERN (U{2,} D) WITHIN INTERVAL '4' SECOND
        DEFINE U AS LAST(U.v, 1) IS NULL OR U.v > LAST(U.v, 1), D AS D.v < LAST(U.v)) 
    to: out
  cep:
    pattern:
      from: s
      by: k
      stages:
        - low: v < 20
        - high: { contiguity: followed_by, where: v > 70, times: { from: 1, to: 3 } }
        - end: { contiguity: followed_by_any, where: word = 'd' }
      within: 2s
      after_match: skip_past_last_event
      measures: { k: low.k, since: low.n, highs: COUNT(high.n), at: n }
      timeout: { k: low.k, since: low.n, at: TIMEOUT_ROWTIME() }
    to: out
    outputs: { timeout: out }
    late_to: late
  counted:
    window:
      from: s
      by: k
      sliding: 4s
      slide: 2s
      trigger: { count: 5, end: true }
      evict: { count: 4 }
      allowed_lateness: 700ms
      select: { k: k, start: window_start, readings: COUNT(*), total: SUM(v), seen: ARRAY_AGG(n) }
    late_to: late
    to: out
  fives: { window: { from: s, by: k, count_window: { size: 5, slide: 3 }, select: { k: k, total: SUM(v), seen: ARRAY_AGG(n) } }, to: out }
  plateau:
    window:
      from: s
      by: k
      global: true
      trigger: { count: 3 }
      evict: { delta: ABS(v - last_v), threshold: 30 }
      select: { k: k, level: AVG(v), readings: COUNT(*) }
    to: out
  own_gap:
    window:
      from: s
      by: k
      session_gap: CAST(v * 10 AS BIGINT) + 1
      trigger: { count: 4, end: true, purging: true }
      select: { k: k, start: window_start, readings: COUNT(*) }
    to: out
  put_right:
    window: { from: s, by: k, tumbling: 1s, allowed_lateness: 2s, updates: true, select: { k: k, start: window_start, total: SUM(v), n: COUNT(*) } }
    to: out
  route:
    split: { from: s, to: { hot: v > 90, cold: v < 10 }, otherwise: rest }
    outputs: { hot: out, cold: out }
  rest_seconds:
    sql: |
      SELECT k, window_end, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE route.rest, DESCRIPTOR(ts), INTERVAL '1' SECOND))
      GROUP BY k, window_start, window_end
    to: out
  totals: { sql: "SELECT k, COUNT(*) AS n, SUM(n) AS total, MAX(v) AS peak, COUNT(DISTINCT word) AS words FROM s GROUP BY k", unbounded: true, to: out }
  words: { sql: "SELECT DISTINCT k, word FROM s", unbounded: true, to: out }
  limit_now: { sql: "SELECT k, COUNT(*) AS n, MAX(high) AS high FROM limits GROUP BY k", unbounded: true, to: out }
  items: { sql: "SELECT k, tag, n FROM s CROSS JOIN UNNEST(tags) AS t (tag)", to: out }
  rising: { detect: rising, from: s, key: k, column: v, for: 200ms, to: out }
  above: { detect: above, from: s, key: k, column: v, limit: 60, for: 150ms, hysteresis: 5, to: out }
  quiet: { detect: silent, from: s, key: k, for: 800ms, clock: event, to: out }
  bursts: { detect: session, from: s, key: k, column: v, gap: 400ms, to: out }
"""


def instants(dice, count, late):
    """Event times of one source: mostly 300 ms of disorder at most, now and then much more."""
    at = 0
    for _ in range(count):
        at += dice.choice((0, 1, 3, 10, 10, 10, 20))
        yield max(0, at - (dice.randrange(2500) if dice.random() < late else dice.randrange(250)))


def write_sources(folder, seed, count, late=0.03):
    dice = random.Random(seed)
    write_lines(folder / "s.jsonl", [
        {"k": f"k{dice.randrange(20)}" if dice.random() < 0.99 else None, "n": n, "ts": at, "v": dice.randrange(1000) / 10 if dice.random() < 0.98 else None,
         "word": dice.choice("abcde"), "tags": [dice.choice("xyz") for _ in range(dice.randrange(3))]} for n, at in enumerate(instants(dice, count, late))])
    write_lines(folder / "b.jsonl", [{"k": f"k{dice.randrange(20)}", "n": dice.randrange(count), "ts": at, "code": dice.randrange(150)}
                                     for at in instants(dice, count // 2, late)])
    write_lines(folder / "limits.jsonl", [{"op": dice.choice(("+I", "+U", "+U", "-D")), "k": f"k{dice.randrange(20)}", "ts": at, "high": dice.randrange(90)}
                                          for at in instants(dice, count // 4, late)])


class KillRules(unittest.TestCase):
    maxDiff = 2000

    def gateway(self, folder, name, workers, interval="60ms", state=None, follow="false"):
        (folder / name).mkdir(exist_ok=True)
        path, text = folder / f"{name}.yaml", SOURCES + RULES
        for key, value in {"IN": folder, "OUT": folder / name, "STATE": state or folder / name / "state", "WORKERS": workers, "INTERVAL": interval,
                           "FOLLOW": follow}.items():
            text = text.replace(f"@{key}@", str(value))
        path.write_text(text)
        return path

    def calm(self, folder):
        begun = time.monotonic()
        done = leat("run", self.gateway(folder, "calm", 1))
        self.assertEqual(done.returncode, 0, done.stderr[-3000:])
        return time.monotonic() - begun

    # ---- comparing

    def by_key(self, rows):
        found = collections.defaultdict(list)
        for row in rows:
            kind = tuple(sorted(row.keys() - {"op"}))  # outputs of one rule come in any order between each other
            fine = tuple(row.get(name) for name in FINER.get(row["_rule"], ()))
            found[row["_rule"], kind if row["_rule"] == "cep" else None, row.get("k"), fine].append({name: value for name, value in row.items() if name not in CLOCKED})
        return found

    def left(self, rows):
        """What changes leave, without ids."""
        table = collections.Counter()
        for row in rows:
            plain = json.dumps({name: value for name, value in row.items() if name not in ("_id", "op", "_time", "_output")}, sort_keys=True)
            table[plain] += -1 if row.get("op") in ("-U", "-D") else 1
        return +table, -table

    def same(self, folder, name, without_id=()):
        wrong = []
        for file in ("out.jsonl", "late.jsonl"):
            one, two = read_lines(folder / "calm" / file), read_lines(folder / name / file)
            for rows in (one, two):
                self.assertEqual([row["_seq"] for row in rows], list(range(1, len(rows) + 1)), "no sequence twice, none left out")
                self.assertEqual(len({row["_id"] for row in rows}), len(rows), "no id twice")
            for row in one + two:
                if row["_rule"] in without_id:
                    row["_id"] = None
            one, two = self.by_key(one), self.by_key(two)
            for key in sorted(set(one) | set(two), key=str):
                difference = self.difference(key[0], one.get(key, []), two.get(key, []))
                if difference:
                    wrong.append(f"{file} {key}: {difference}")
        rules = sorted({line.split("'")[1] for line in wrong})
        if wrong and os.environ.get("LEAT_KEEP"):
            import shutil
            shutil.copytree(folder, pathlib.Path(os.environ["LEAT_KEEP"]) / f"{name}-{time.time_ns()}", ignore=shutil.ignore_patterns("*.mdb"))
        self.assertFalse(wrong, f"\nrules {rules}\n" + "\n".join(wrong[:12]))

    def difference(self, rule, one, two):
        if rule in FOLDED:
            (left, below), (got, got_below) = self.left(one), self.left(two)
            return None if left == got and below == got_below else f"{sum((left - got).values())} lost, {sum((got - left).values())} too many"
        if rule in UNORDERED:
            one, two = (sorted(rows, key=lambda row: row["_id"]) for rows in (one, two))
        for i, (a, b) in enumerate(zip(one, two)):
            if a != b:
                return f"result {i + 1} of {len(one)}/{len(two)}: {b} instead of {a}"
        return None if len(one) == len(two) else f"{len(two)} results instead of {len(one)}"

    def test_every_rule_gives_something(self):
        with Folder() as folder:
            write_sources(folder, SEED, 3000)
            self.calm(folder)
            rows = read_lines(folder / "calm" / "out.jsonl")
            count = collections.Counter(row["_rule"] for row in rows)
            names = [line.strip().split(":")[0] for line in RULES.splitlines() if line.startswith("  ") and not line.startswith("   ")]
            for name in names:
                self.assertGreater(count[name], 20, (name, count))
            self.assertGreater(len(read_lines(folder / "calm" / "late.jsonl")), 20)

    # ---- kills

    def run_with_kills(self, workers, seed, kills_wanted=KILLS, rows=ROWS, interval="60ms"):
        dice = random.Random(seed)
        with Folder() as folder:
            write_sources(folder, seed, rows)
            pause_s = 0.03 + 1.2 * self.calm(folder) / kills_wanted
            agent, kills = Agent(self.gateway(folder, "shaken", workers, interval), folder / "log"), 0
            deadline = time.monotonic() + 900
            while True:
                time.sleep(dice.uniform(0.0, pause_s) if kills < kills_wanted else 0.05)
                if agent.child.poll() is not None:
                    break
                self.assertLess(time.monotonic(), deadline, agent.text()[-3000:])
                if kills < kills_wanted:
                    agent.kill()
                    kills += 1
                    agent.start()
            self.assertEqual(agent.child.returncode, 0, agent.text()[-3000:])
            print(f"{kills} kills, workers {workers}", file=sys.stderr)
            self.same(folder, "shaken")
            self.assertGreaterEqual(kills, kills_wanted * 3 // 4, "too few kills to mean anything")

    def test_one_worker(self):
        self.run_with_kills(1, SEED)

    def test_four_workers(self):
        self.run_with_kills(4, SEED + 1)

    # ---- savepoints

    def test_moved_by_savepoints(self):
        dice = random.Random(SEED + 2)
        workers, names = (1, 4, 2, 3, 1, 4), ("s.jsonl", "b.jsonl", "limits.jsonl")
        with Folder() as folder:
            write_sources(folder, SEED + 2, ROWS // 2, late=0)  # watermarks begin anew behind a savepoint, so what is late may differ
            self.calm(folder)
            whole = {name: (folder / name).read_text().splitlines(keepends=True) for name in names}
            for name in names:
                (folder / name).write_text("")
            saved = None
            for step, count in enumerate(workers):
                last = step == len(workers) - 1
                for name, lines in whole.items():
                    with open(folder / name, "a") as file:
                        file.writelines(lines[step * len(lines) // len(workers):(step + 1) * len(lines) // len(workers)])
                gateway = self.gateway(folder, "moved", count, state=folder / f"state-{step}", follow=str(not last).lower())
                agent = Agent(gateway, folder / "log", options=("--from", saved) if saved else ())
                if not last:
                    agent.until(lambda: (found := agent.status()) and found["sources"][0]["rows_out"] > 0, "rows flow")
                    time.sleep(dice.uniform(0, 0.3))  # in the middle of the piece, or behind it
                    saved = agent.stop_with_savepoint(folder / "saved")
            self.assertEqual(agent.child.wait(120), 0, agent.text()[-3000:])
            self.same(folder, "moved", without_id=TIMERS)


if __name__ == "__main__":
    unittest.main()
