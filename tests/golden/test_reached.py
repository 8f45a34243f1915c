#!/usr/bin/python3
"""Every kind of mistake that config reports has a golden: each text given to leat_report_* in config/*.c and config/yaml/*.c stands, with
anything for its values, in some answer of tests/golden/gateway/*.txt. A new message without a case fails here by file and line."""

import os
import pathlib
import re
import sys

SOURCE = pathlib.Path(os.environ.get("LEAT_SOURCE", pathlib.Path(__file__).resolve().parents[2]))
CALL = re.compile(r"leat_report_(?:error|warning|in|at)\(")
LITERAL = re.compile(r'\s*"((?:[^"\\]|\\.)*)"')
VALUE = re.compile(r"%[-.*0-9]*(?:s|u|d|lld|llu|zu|c|g|x)")

# What no gateway file of a test reaches, and why.
UNREACHED = {
    "expected a mapping with parameters and sql": "a mapping in place of a file's name is one of a detection's keys",
    "%u %s; at most %u": "takes hundreds of sources",
    "%u fields; at most %d": "takes hundreds of fields",
    "format '%s' cannot %s": "every format reads and writes so far",
    "rules read each other more than %d deep": "takes hundreds of rules",
    "expected a setting such as 'watermark.idle'": "an argument of the command line: tests/unit/config",
    "the rule could not be planned": "stands for reasons that were not told; there should be none",
    "the file has %zu bytes, at most %d are read": "takes megabytes: tests/unit/config",
    "no memory to read it": "takes a machine without memory",
}


def unescaped(text):
    return text.replace('\\"', '"').replace("\\\\", "\\")


def text_of(call):
    """The first text of a call, its pieces joined; "" when it has none."""
    begin = call.find('"')
    text = ""
    while begin >= 0 and (piece := LITERAL.match(call, begin)):
        text += piece[1]
        begin = piece.end()
    return unescaped(text)


def messages(path):
    source = path.read_text()
    for found in CALL.finditer(source):
        text = text_of(source[found.end():source.index(";\n", found.end())])
        if VALUE.sub("", text).strip(" :"):
            yield source.count("\n", 0, found.start()) + 1, text


def is_said(text, answers):
    pattern = re.compile(".*".join(re.escape(part.replace("%%", "%")) for part in VALUE.split(text)))
    return any(pattern.search(line) for line in answers)


def main():
    goldens = sorted((SOURCE / "tests/golden/gateway").glob("*.txt"))
    lines = [line for path in goldens for line in path.read_text(errors="replace").splitlines()]
    answers = [line for line in lines if re.match(r"\S+:\d+:\d+: ", line)]
    files = [*sorted((SOURCE / "config").glob("*.c")), *sorted((SOURCE / "config/yaml").glob("*.c"))]
    found = [(path, line, text) for path in files for line, text in messages(path)]
    missing = [item for item in found if item[2] not in UNREACHED and not is_said(item[2], answers)]
    for path, line, text in missing:
        print(f"{path.relative_to(SOURCE)}:{line}: no golden has \"{text}\"")
    stale = set(UNREACHED) - {text for _, _, text in found}
    for text in stale:
        print(f"UNREACHED names a message that is not there: \"{text}\"")
    print(f"{len(found)} messages, {len(missing)} without a golden")
    sys.exit(bool(missing or stale or len(found) < 50))


main()
