#!/usr/bin/python3
"""The model gives what the conformance cases expect."""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import check_cases  # noqa: E402

if __name__ == "__main__":
    sys.argv[1:] = [str(HERE.parent / "conformance" / "cases")]
    sys.exit(check_cases.main())
