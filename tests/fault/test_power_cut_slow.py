#!/usr/bin/python3
"""test_power_cut.py with some hundreds of cuts more."""

import os
import pathlib
import sys
import unittest

os.environ.setdefault("LEAT_CUTS", "450")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from test_power_cut import PowerCut  # noqa: E402, F401

if __name__ == "__main__":
    unittest.main()
