#!/usr/bin/python3
"""A rule that was changed, removed or renamed between two runs: what it remembered is never given to something else, and its loss is told once."""

import unittest

from support import Agent, Folder, leat, whole_lines, write_lines

GATEWAY = """
agent: {{ name: plant, checkpoint: {{ interval: 50ms }} }}
sources:
  s: {{ driver: file, path: in.jsonl, follow: true, format: json, fields: {{ k: string, v: bigint }} }}
rules:
{rules}
sinks:
  out: {{ driver: file, path: out.jsonl }}
"""
TOTALS = '  totals: {{ {uid}sql: "SELECT k, {sum}(v) AS total FROM s GROUP BY k", unbounded: true, to: out }}\n'
COPY = '  copy: { sql: "SELECT k, v FROM s WHERE v > 1000", to: out }\n'


class ChangedRules(unittest.TestCase):
    def run_once(self, folder, rules, rows):
        """Runs until all rows are in; returns what was said, and the status before the end."""
        gateway = folder / "gateway.yaml"
        gateway.write_text(GATEWAY.format(rules=rules))
        write_lines(folder / "in.jsonl", rows)
        log = folder / "log"
        log.unlink(missing_ok=True)
        agent = Agent(gateway, log)
        status = agent.until(lambda: (found := agent.status()) and found["sources"][0]["rows_out"] >= len(rows) - self.seen and found, "rows")
        self.seen = len(rows)
        self.assertEqual(agent.stop(), 0, agent.text())
        return agent.text(), status

    def setUp(self):
        self.seen = 0

    def ledger(self, status):
        return {(row["source"], row["cause"]): row["count"] for row in status["ledger"]}

    def totals(self, folder):
        return {row["k"]: row["total"] for row in whole_lines(folder / "out.jsonl") if "total" in row}

    FIRST = [{"k": f"k{n % 5}", "v": 1} for n in range(20)]
    MORE = FIRST + [{"k": "k0", "v": 10}]

    def test_changed(self):
        with Folder() as folder:
            self.run_once(folder, TOTALS.format(uid="", sum="SUM") + COPY, self.FIRST)
            changed = TOTALS.format(uid="", sum="MAX") + COPY
            text, status = self.run_once(folder, changed, self.MORE)
            self.assertEqual(text.count("<4>"), 1, text)
            self.assertIn("<4>leat: rule 'totals' does not compute what it did: the 5 entries that its group_aggregate "
                          "(uid totals/group_aggregate-1) kept do not fit and are dropped; it starts empty", text)
            self.assertIn("--savepoint", text)
            self.assertEqual(self.ledger(status)[("totals", "state-dropped")], 5)
            self.assertEqual(self.totals(folder)["k0"], 10, "the new rule began with nothing")
            text, status = self.run_once(folder, changed, self.MORE)
            self.assertNotIn("<4>", text, "told once")
            self.assertEqual(self.ledger(status)[("totals", "state-dropped")], 5, "and counted once")

    def test_what_stands_behind_it(self):
        """A ranking of totals that begin anew must not keep the totals of before: nobody would ever take them back."""
        ranked = ('  totals: {{ sql: "SELECT k, total FROM (SELECT *, ROW_NUMBER() OVER (ORDER BY total DESC) AS place FROM '
                  '(SELECT k, {sum}(v) AS total FROM s GROUP BY k)) WHERE place <= 2", unbounded: true, to: out }}\n')
        with Folder() as folder:
            self.run_once(folder, ranked.format(sum="SUM"), self.FIRST)
            before = len(whole_lines(folder / "out.jsonl"))
            text, _ = self.run_once(folder, ranked.format(sum="MAX"), self.FIRST + [{"k": "k0", "v": 3}, {"k": "k1", "v": 2}])
            self.assertIn("(uid totals/group_aggregate-1) kept do not fit and are dropped", text)
            self.assertIn("(uid totals/top_n-1) kept do not fit and are dropped", text)
            said = [(row["op"], row["k"], row["total"]) for row in whole_lines(folder / "out.jsonl")[before:]]
            self.assertEqual(said, [("+I", "k0", 3), ("+I", "k1", 2)])

    def test_what_was_dropped_does_not_come_back(self):
        with Folder() as folder:
            before = TOTALS.format(uid="", sum="SUM")
            self.run_once(folder, before, self.FIRST)
            self.run_once(folder, TOTALS.format(uid="", sum="MAX"), self.MORE)
            text, _ = self.run_once(folder, before, self.MORE + [{"k": "k0", "v": 100}])
            self.assertIn("rule 'totals' does not compute what it did", text)
            self.assertEqual(self.totals(folder)["k0"], 100, "not added to what was there two changes ago")

    def test_removed(self):
        with Folder() as folder:
            self.run_once(folder, TOTALS.format(uid="", sum="SUM") + COPY, self.FIRST)
            text, status = self.run_once(folder, COPY, self.MORE)
            self.assertIn("<4>leat: rule 'totals' is gone: the 5 entries that its group_aggregate (uid totals/group_aggregate-1) kept are "
                          "dropped. If it has a new name, give it `uid: totals`", text)
            self.assertEqual(self.ledger(status)[("totals", "state-dropped")], 5)

    def test_renamed_with_its_uid(self):
        with Folder() as folder:
            self.run_once(folder, TOTALS.format(uid="", sum="SUM"), self.FIRST)
            text, _ = self.run_once(folder, TOTALS.replace("totals:", "sums:").format(uid="uid: totals, ", sum="SUM"), self.MORE)
            self.assertNotIn("<4>", text)
            self.assertEqual(self.totals(folder)["k0"], 14)

    def test_a_rule_without_state_says_nothing(self):
        with Folder() as folder:
            self.run_once(folder, TOTALS.format(uid="", sum="SUM") + COPY, self.FIRST)
            text, status = self.run_once(folder, TOTALS.format(uid="", sum="SUM"), self.MORE)
            self.assertNotIn("<4>", text)
            self.assertEqual(status["ledger"], [])


    def test_what_the_label_does_not_tell(self):
        """Other windows of a form, other columns that a pattern keeps: what was stored would be read as something else."""
        window = '  w: { window: { from: s, by: k, count_window: { size: %d }, select: { k: k, total: SUM(v) } }, unbounded: true, to: out }\n'
        pattern = ('  w: { unbounded: true, to: out, pattern: { from: s, by: k, time: processing, stages: [a: { where: v > 0 }, b: { where: v > 1 }], '
                   'measures: { first: %s } } }\n')
        for form, one, two in ((window, 3, 7), (pattern, "a.v", "a.k")):
            with Folder() as folder:
                self.seen = 0
                self.run_once(folder, form % one + COPY, self.FIRST)
                text, _ = self.run_once(folder, form % one + COPY, self.FIRST)
                self.assertNotIn("<4>", text, "the same rule finds its state")
                text, status = self.run_once(folder, form % two + COPY, self.MORE)
                self.assertIn("rule 'w' does not compute what it did", text)
                self.assertGreater(self.ledger(status)[("w", "state-dropped")], 0)


if __name__ == "__main__":
    unittest.main()
