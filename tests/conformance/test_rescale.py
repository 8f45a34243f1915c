#!/usr/bin/python3
"""Another number of workers at each recovery, after every row: results are those of a run without, and no id comes twice, whatever timers had fired before.

Rules with one input. Where two sources meet, each says after the change once more where its watermark stands, and the rows of one may come before the word of
the other, as with Flink.
"""

import importlib.machinery
import importlib.util
import os
import pathlib
import sys
import types
import unittest

import yaml

TESTS = pathlib.Path(__file__).resolve().parents[1]
CHUNK = 64
UNITS = ("valve", "assigner", "watermark_generator")


def load(name, path):
    loader = importlib.machinery.SourceFileLoader(name, str(path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


run = load("conformance_run", TESTS / "conformance" / "run")
lists = load("restore", TESTS / "fuzz" / "test_restore.py")


class Rescale(unittest.TestCase):
    def cases(self, options):
        for path in sorted((TESTS / "conformance" / "cases").rglob("case.yaml")):
            case = yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
            program = case["program"]
            if program["kind"] not in UNITS and len(program["streams"]) == 1 and not case.get("one_worker"):
                script = run.script(case, run.load_lines(path.parent / "input.jsonl"), options)
                yield case, run.load_lines(path.parent / "expected.jsonl"), (case["id"], run.gateway(case, options), script)

    def test_every_recovery_has_another_number_of_workers(self):
        os.environ["LEAT_RESCALE"] = "1"
        options = types.SimpleNamespace(batch=1, workers=2, recover=True, kill=False)
        every, problems = list(self.cases(options)), []
        for at in range(0, len(every), CHUNK):
            played = lists.play([asked for _, _, asked in every[at:at + CHUNK]])
            for (case, lines, _), (name, code, text, said) in zip(every[at:at + CHUNK], played):
                wanted, watermarks = run.expected_results(case, lines)
                problem = said if code else run.compare(case, wanted, run.actual_results(case, text, watermarks), options) or run.repeated_ids(text)
                if problem:
                    problems.append(f"{name}: {problem}")
        print(f"{len(every)} cases", file=sys.stderr)
        self.assertGreater(len(every), 500)
        if problems:
            self.fail("\n".join([f"{len(problems)} cases differ", *problems[:5]]))


if __name__ == "__main__":
    unittest.main()
