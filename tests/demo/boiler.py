#!/usr/bin/python3
"""A Modbus TCP server (pymodbus) whose boiler heats and cools; every answer is logged as a line of JSON.

usage: boiler.py PORT LOG EPISODES

Input registers 0 and 1: temperature, float32, words swapped (CDAB). Holding register 10: pressure in tenths. An episode lasts EPISODE_S: a strictly
rising ramp of 3.2 s from 60 to 92, half a second of plateau, 90 until 8 s, cooling to 60 within a second, and rest.
"""

import json
import struct
import sys
import threading
import time

from pymodbus.datastore import ModbusSequentialDataBlock, ModbusServerContext, ModbusSlaveContext
from pymodbus.server import StartTcpServer

EPISODE_S = 14.0
LEAD_S = 3.0  # at rest before the first episode


def temperature(elapsed, episodes):
    since = elapsed - LEAD_S
    if since < 0 or since >= episodes * EPISODE_S:
        return 60.0
    phase = since % EPISODE_S
    if phase < 3.2:
        return 60.0 + 10.0 * phase
    if phase < 3.7:
        return 92.0
    if phase < 8.0:
        return 90.0
    if phase < 9.0:
        return 90.0 - 30.0 * (phase - 8.0)
    return 60.0


class Boiler(ModbusSequentialDataBlock):
    """Registers that are computed when they are read."""

    def __init__(self, start, episodes, log):
        super().__init__(0, [0] * 100)
        self.start, self.episodes, self.log, self.lock = start, episodes, log, threading.Lock()

    def getValues(self, address, count=1):
        now = time.time()
        value = temperature(now - self.start, self.episodes)
        high, low = struct.unpack(">HH", struct.pack(">f", value))
        registers = {0: low, 1: high, 10: int(value)}
        with self.lock:
            self.log.write(json.dumps({"ms": int(now * 1000), "address": address, "count": count, "temperature": value}) + "\n")
            self.log.flush()
        return [registers.get(address + i, 0) for i in range(count)]


def main():
    port, path, episodes = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    with open(path, "w") as log:
        start = time.time()
        log.write(json.dumps({"start_ms": int(start * 1000), "episodes": episodes}) + "\n")
        log.flush()
        block = Boiler(start, episodes, log)
        slave = ModbusSlaveContext(ir=block, hr=block, zero_mode=True)
        StartTcpServer(context=ModbusServerContext(slaves=slave, single=True), address=("127.0.0.1", port))


if __name__ == "__main__":
    main()
