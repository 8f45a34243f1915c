#!/usr/bin/python3
"""leat gives what the model gives, on 20,000 random programs and inputs (LEAT_MODEL_PAIRS: another number)."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import generate  # noqa: E402

if __name__ == "__main__":
    sys.exit(generate.main())
