#!/usr/bin/python3
"""A case that does not follow the format fails with file, line and what is wrong, the others run; exit codes and last lines of `run`."""

import os
import pathlib
import subprocess
import sys
import tempfile

RUN = pathlib.Path(__file__).resolve().parent / "run"
CASE = """id: good
title: Rows of one value
needs: [sql.select]
program:
  kind: sql
  streams:
    t:
      columns: {k: STRING, v: INT}
      watermark: {strategy: none}
  query: SELECT k, v * 2 FROM t WHERE v > 1
  outputs:
    main:
      columns: {k: STRING, double: INT}
order: ordered
"""
INPUT = '{"k": "a", "v": 1}\n{"k": "b", "v": 2}\n{"__end__": true}\n'
EXPECTED = '{"k": "b", "double": 4}\n'

# name: (file, text to replace, by what, what the message holds)
BAD = {
    "not-yaml": ("case.yaml", "needs: [sql.select]", "needs: [sql.select", ["case.yaml:4:"]),
    "unknown-key": ("case.yaml", "  query:", "  qeury:", ["case.yaml:10:", "program.qeury", "did you mean 'query'"]),
    "unknown-inner-key": ("case.yaml", "{strategy: none}", "{strategy: none, dealy_ms: 5}", ["case.yaml:9:", "dealy_ms", "did you mean 'delay_ms'"]),
    "missing-key": ("case.yaml", "  query: SELECT k, v * 2 FROM t WHERE v > 1\n", "", ["case.yaml:4:", "'query' is missing"]),
    "twice": ("case.yaml", "order: ordered", "order: ordered\nid: bad", ["case.yaml:15:", "stands there twice"]),
    "kind": ("case.yaml", "kind: sql", "kind: slq", ["case.yaml:5:", "did you mean 'sql'"]),
    "type": ("case.yaml", "v: INT}", "v: INTT}", ["case.yaml:8:", "INTT", "did you mean 'INT'"]),
    "strategy": ("case.yaml", "strategy: none", "strategy: asending", ["case.yaml:9:", "did you mean 'ascending'"]),
    "order": ("case.yaml", "order: ordered", "order: sorted", ["case.yaml:14:", "sorted"]),
    "order-column": ("case.yaml", "order: ordered", "order: per_key:v", ["case.yaml:14:", "'v' is no column of outputs.main"]),
    "event-time": ("case.yaml", "      watermark:", "      event_time: ts\n      watermark:", ["case.yaml:9:", "'ts' is no column"]),
    "input-json": ("input.jsonl", '"v": 2}', '"v": 2', ["input.jsonl:2:"]),
    "input-column": ("input.jsonl", '"k": "b"', '"kk": "b"', ["input.jsonl:2:", "'kk' is no column", "did you mean 'k'"]),
    "input-marker": ("input.jsonl", "__end__", "__ned__", ["input.jsonl:3:", "__ned__", "did you mean '__end__'"]),
    "input-stream": ("input.jsonl", '{"k": "b"', '{"__stream__": "tt", "k": "b"', ["input.jsonl:2:", "'tt' is no stream"]),
    "input-op": ("input.jsonl", '{"k": "b"', '{"__op__": "+X", "k": "b"', ["input.jsonl:2:", "+X"]),
    "expected-column": ("expected.jsonl", "double", "duoble", ["expected.jsonl:1:", "did you mean 'double'"]),
    "expected-output": ("expected.jsonl", '{"k"', '{"__out__": "late", "k"', ["expected.jsonl:1:", "'late' is no output"]),
    "no-input": ("input.jsonl", None, None, ["input.jsonl:", "No such file"]),
    "wrong-result": ("expected.jsonl", "4", "5", ["expected:", "got:"]),
}


def write(folder, replaced=None, old=None, new=None):
    folder.mkdir(parents=True)
    for name, text in (("case.yaml", CASE), ("input.jsonl", INPUT), ("expected.jsonl", EXPECTED)):
        if name == replaced and old is None:
            continue
        assert name != replaced or old in text, (name, old)
        (folder / name).write_text(text.replace(old, new) if name == replaced else text)


def call(*arguments, cwd=None):
    done = subprocess.run([str(RUN), *map(str, arguments)], capture_output=True, text=True, cwd=cwd, timeout=120)
    return done.returncode, done.stdout.splitlines(), done.stderr


def check(name, holds, said):
    if not holds:
        print(f"FAILED {name}: {said}")
    return bool(holds)


def main():
    good = True
    os.environ["LEAT_BUILD"] = os.path.abspath(os.environ["LEAT_BUILD"]) if "LEAT_BUILD" in os.environ else ""
    if not os.environ["LEAT_BUILD"]:
        del os.environ["LEAT_BUILD"]
    with tempfile.TemporaryDirectory() as made:
        root = pathlib.Path(made)
        write(root / "one" / "good")
        code, lines, errors = call("one/good", cwd=root)
        good &= check("a directory of one case", code == 0 and lines[-1] == "1 passed, 0 failed, 0 skipped", (code, lines, errors))
        code, lines, errors = call(".", "--batch", "1024", "--workers", "4", cwd=root / "one" / "good")
        good &= check("the working directory", code == 0 and lines[-1] == "1 passed, 0 failed, 0 skipped", (code, lines, errors))
        for name, (file, old, new, wanted) in BAD.items():
            write(root / "bad" / "deep" / name, file, old, new)
            code, lines, errors = call(root / "bad", "--only", name)
            text = "\n".join(lines)
            good &= check(name, code == 1 and all(part in text for part in wanted) and lines[-1] == "0 passed, 1 failed, 0 skipped", (code, text, errors))
            good &= check(name, "Traceback" not in text + errors, errors)
        write(root / "bad" / "good")
        code, lines, errors = call("bad", cwd=root)
        good &= check("good among bad", code == 1 and lines[-1] == f"1 passed, {len(BAD)} failed, 0 skipped", (code, lines[-1], errors))
        code, lines, errors = call(root / "nowhere")
        good &= check("no directory", code == 2 and "no such directory" in errors, (code, errors))
        (root / "empty").mkdir()
        code, lines, errors = call(root / "empty")
        good &= check("no case", code == 1 and lines[-1] == "0 passed, 0 failed, 0 skipped", (code, lines, errors))
        (root / "links").mkdir()
        (root / "links" / "there").symlink_to(root / "one")
        code, lines, errors = call(root / "links", "--verbose")
        good &= check("links are followed", code == 0 and "passed good" in lines, (code, lines, errors))
        code, lines, errors = call(root / "one", "--only", "good,other")
        good &= check("an unknown name", "no case is named other" in lines, (code, lines))
    print("passed" if good else "failed")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
