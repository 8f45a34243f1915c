#!/usr/bin/python3
"""test_power_cut_mqtt.py with some hundreds of cuts."""

import os
import pathlib
import sys
import unittest

os.environ.setdefault("LEAT_MQTT_CUTS", "250")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from test_power_cut_mqtt import PowerCutMqtt  # noqa: E402, F401

if __name__ == "__main__":
    unittest.main()
