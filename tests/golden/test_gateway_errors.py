#!/usr/bin/python3
"""Gateway files with errors and what leat says of them: tests/golden/gateway/*.txt.

A file holds cases: `=== name`, the gateway file, `---`, the expected text. A line `@sources`, `@sinks` or `@rule` in a gateway file
stands for the block below. `test_gateway_errors.py --update` writes what is said now; read the difference before you keep it.

Then the files of all cases and of config/examples are damaged at random, the same way in each run: whatever the text, leat answers with a
file that is good or with errors that say something. `test_gateway_errors.py --damage COUNT SEED` does that alone, for longer runs.
"""

import os
import random
import re
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
    "@more": """\
sources:
  lines:
    driver: file
    path: lines.jsonl
    fields: { line: string, ts: timestamp_ms, reading: double, count: int, tags: array<string>, body: string }
    event_time: ts
  boiler: { driver: generate, fields: { unit: int, line: string, temperature: double } }
  limits:
    driver: file
    path: limits.jsonl
    fields: { line: string, ts: timestamp_ms, high: double }
    event_time: ts
    changelog: upsert
    primary_key: [line]
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


# ---- commands

# Of the program itself: arguments, exit code, what is in its answer. `good.yaml` is there, and no agent runs.
COMMANDS = [
    (["stop"], 64, "name the gateway file, or the socket with --socket"),
    (["stop", "--savepoint"], 64, "option '--savepoint' requires an argument"),
    (["stop", "none.yaml"], 66, "none.yaml: cannot open"),
    (["stop", "good.yaml"], 69, "no agent is running here"),
    (["stop", "good.yaml", "--savepoint", "here"], 69, "no agent is running here"),
    (["status", "--json"], 64, "name the gateway file, or the socket with --socket"),
    (["run", "good.yaml", "--from"], 64, "option '--from' requires an argument"),
    (["run", "good.yaml", "--from", "nowhere"], 65, "nowhere: there is no savepoint here (no MANIFEST)"),
    (["run", "good.yaml", "--fresh"], 64, "--fresh and --allow-non-restored-state go with --from"),
    (["run", "good.yaml", "--allow-non-restored-state"], 64, "go with --from"),
    (["run", "--frm", "x"], 64, "unrecognized option '--frm'"),
    (["chekc", "good.yaml"], 64, "unknown command 'chekc' (did you mean 'check'?)"),
    (["check"], 64, "usage: leat check FILE"),
]


def commands():
    """Wrong uses of the command line. Nothing is done when LEAT does not say where the program is."""
    failed = 0
    if "LEAT" not in os.environ:
        return 0
    with tempfile.TemporaryDirectory() as directory:
        with open(os.path.join(directory, "good.yaml"), "w", encoding="utf-8") as file:
            file.write("sources: { a: { driver: generate, rows: 1, fields: { n: int } } }\n"
                       "rules: { r: { sql: SELECT * FROM a, to: o } }\nsinks: { o: { driver: stdout } }\n")
        for arguments, code, words in COMMANDS:
            run = subprocess.run([os.path.abspath(os.environ["LEAT"]), *arguments], cwd=directory, capture_output=True, timeout=60)
            said = run.stdout.decode() + run.stderr.decode()
            if run.returncode != code or words not in said:
                failed += 1
                print(f"leat {' '.join(arguments)}: expected {code}, {words!r}; found {run.returncode}:\n{said}")
    return failed


# ---- damage

DAMAGED, DAMAGE_SEED = 500, 20261121


def originals():
    texts = [expand(text) for file in sorted(os.listdir(os.path.join(HERE, "gateway")))
             for _, text, _ in cases_of(os.path.join(HERE, "gateway", file))]
    directory = os.path.join(SOURCE, "config/examples")
    for name in sorted(os.listdir(directory)):
        if name.endswith(".yaml"):
            with open(os.path.join(directory, name), encoding="utf-8") as file:
                texts.append(file.read())
    return texts


def pieces(text):
    """Words, signs and blanks: what is put together again makes the text."""
    return re.findall(r"\w+|[^\w\s]|\s+", text)


def cut(chance, text):
    at = chance.randrange(len(text) + 1)
    return text[:at]


def without_line(chance, text):
    lines = text.splitlines(keepends=True)
    del lines[chance.randrange(len(lines))]
    return "".join(lines)


def with_line_twice(chance, text):
    lines = text.splitlines(keepends=True)
    lines.insert(chance.randrange(len(lines)), chance.choice(lines))
    return "".join(lines)


def with_pieces_swapped(chance, text):
    parts = pieces(text)
    a, b = chance.randrange(len(parts)), chance.randrange(len(parts))
    parts[a], parts[b] = parts[b], parts[a]
    return "".join(parts)


def without_piece(chance, text):
    parts = pieces(text)
    del parts[chance.randrange(len(parts))]
    return "".join(parts)


def with_piece_of_another(chance, text, other):
    parts = pieces(text)
    parts[chance.randrange(len(parts))] = chance.choice(pieces(other) or [" "])
    return "".join(parts)


def with_sign(chance, text):
    at = chance.randrange(len(text) + 1)
    return text[:at] + chance.choice("(){}[],:;'\"`|&*#-+0 \n\t?$%<>=\\\u00e9") + text[at:]


def damaged(chance, texts):
    text = chance.choice(texts)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        if not text.strip():
            break
        kind = chance.choice((cut, without_line, with_line_twice, with_pieces_swapped, without_piece, with_piece_of_another, with_sign,
                              with_pieces_swapped, without_piece, with_piece_of_another))
        text = kind(chance, text, chance.choice(texts)) if kind is with_piece_of_another else kind(chance, text)
    return text


def says_something(run):
    """Good, or an error with a place and words."""
    if run.returncode not in (0, 1) or run.stderr:
        return False
    messages = [line for line in run.stdout.decode(errors="replace").splitlines() if line.startswith("gateway.yaml")]
    if any(not re.match(r"gateway\.yaml:\d+:\d+: .*\w", line) for line in messages):
        return False
    return run.returncode == 0 or any(": warning: " not in line for line in messages)


def damage(count, seed):
    texts = originals()
    failed = 0
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "gateway.yaml")
        for number in range(count):
            text = damaged(random.Random(f"{seed} {number}"), texts)
            with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
                file.write(text)
            try:
                run = subprocess.run([PROGRAM, "--explain", "gateway.yaml"], cwd=directory, capture_output=True, timeout=60)
                if says_something(run):
                    continue
                said = run.stdout.decode(errors="replace") + run.stderr.decode(errors="replace")
            except subprocess.TimeoutExpired:
                said = "no end"
            failed += 1
            print(f"damage {seed} {number}:\n{text}\n--- said\n{said}")
    return failed


def main():
    if "--damage" in sys.argv:
        count, seed = sys.argv[sys.argv.index("--damage") + 1:][:2]
        return 1 if damage(int(count), seed) else 0
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
    failed += examples() + commands() + damage(DAMAGED, DAMAGE_SEED)
    print(f"{count} cases, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
