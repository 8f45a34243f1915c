#!/usr/bin/python3
"""Gateway files with errors and what leat says of them: tests/golden/gateway/*.txt.

A file holds cases: `=== name`, the gateway file, `---`, the expected text. A line `@sources`, `@sinks` or `@rule` in a gateway file
stands for the block below. `test_gateway_errors.py --update` writes what is said now; read the difference before you keep it.
"""

import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.environ.get("LEAT_SOURCE", os.path.dirname(os.path.dirname(HERE)))
PROGRAM = os.environ.get("LEAT_CHECK_FILE",
                         os.path.join(os.environ.get("LEAT_BUILD", os.path.join(SOURCE, "build-dev")), "tests/golden/check_file"))

BLOCKS = {
    "@sources": """\
sources:
  lines:
    driver: mqtt
    url: mqtt://broker
    topic: plant/+/readings
    fields: { line: { string: topic[1] }, ts: timestamp_ms, reading: double, count: int }
    event_time: ts
  boiler: { driver: generate, fields: { unit: int, temperature: double } }
""",
    "@sinks": """\
sinks:
  cloud: { driver: mqtt, url: mqtt://cloud, topic: 'alerts/{rule}' }
  history: { driver: file, path: history.jsonl }
""",
    "@rule": """\
rules:
  copy: { sql: SELECT * FROM lines, to: history }
  copy_boiler: { sql: SELECT * FROM boiler, to: cloud }
""",
}


def expand(text):
    return "".join(BLOCKS.get(line.rstrip("\n"), line) for line in text.splitlines(keepends=True))


def cases_of(path):
    """(name, gateway file, expected) of each case."""
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        parts = file.read().split("=== ")[1:]
    for part in parts:
        name, rest = part.split("\n", 1)
        text, expected = rest.split("---\n", 1)
        yield name, text, expected


def say(name, text):
    with tempfile.TemporaryDirectory() as directory:
        with open(os.path.join(directory, "gateway.yaml"), "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(expand(text).replace("<TAB>", "\t").replace("<BELL>", "\a").replace("<BAD>", "\udcff"))
        arguments = name.split()[1:]
        run = subprocess.run([PROGRAM, *arguments, "gateway.yaml"], cwd=directory, capture_output=True, timeout=60)
        crash = run.stderr.decode(errors="replace") if run.returncode not in (0, 1) else ""
        return run.stdout.decode(errors="surrogateescape").replace("\t", "<TAB>") + crash


def examples():
    """Every file of config/examples compiles without an error or a warning, and is explained."""
    directory = os.path.join(SOURCE, "config/examples")
    failed = 0
    for name in sorted(os.listdir(directory)):
        if not name.endswith(".yaml"):
            continue
        run = subprocess.run([PROGRAM, "--explain", os.path.join(directory, name)], capture_output=True, timeout=60)
        text = run.stdout.decode()
        if run.returncode or "warning: " in text or not text.startswith("gateway "):
            print(f"{name}:\n{text}{run.stderr.decode()}")
            failed += 1
    return failed


def main():
    update = "--update" in sys.argv
    count = failed = 0
    for file in sorted(os.listdir(os.path.join(HERE, "gateway"))):
        path = os.path.join(HERE, "gateway", file)
        written = []
        for name, text, expected in cases_of(path):
            count += 1
            found = say(name, text)
            written.append(f"=== {name}\n{text}---\n{found}\n")
            if found.rstrip("\n") == expected.rstrip("\n") or update:
                continue
            failed += 1
            print(f"{file}: {name}\n--- expected\n{expected}--- found\n{found}")
        if update:
            with open(path, "w", encoding="utf-8", errors="surrogateescape") as out:
                out.write("".join(written))
    failed += examples()
    print(f"{count} cases, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
