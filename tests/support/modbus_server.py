#!/usr/bin/python3
"""A Modbus server with bad manners: pymodbus answers, this decides whether, when and what of it arrives.

Usage: modbus_server.py tcp [PORT] | modbus_server.py rtu DEVICE
Prints the port (or 0) when it listens. Then one JSON command a line on standard input, each answered by "ok":

  {"unit": 1, "set": "holding", "address": 0, "values": [1, 2]}   kinds: coil discrete input holding
  {"unit": 2, "dead": true}                                       never answers
  {"unit": 1, "delay_ms": 700, "times": 1}                        late answers (times -1: all that follow)
  {"unit": 1, "illegal": [10, 11]}                                exception 2 for reads that touch 10..11
  {"unit": 1, "exception": 11, "times": 2}                        that exception
  {"drop": true}                                                  closes all connections
  {"log": true}                                                   answers with the number of requests per unit as JSON
  {"quit": true}

Every unit 1..9 starts with: register a = a, coil and discrete input a = a odd.
"""

import json
import os
import select
import socket
import sys
import threading
import time
import tty

from pymodbus.datastore import ModbusSequentialDataBlock, ModbusSlaveContext
from pymodbus.factory import ServerDecoder
from pymodbus.pdu import ExceptionResponse
from pymodbus.utilities import computeCRC

SIZE = 2000
BLOCKS = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}


def store():
    registers = list(range(SIZE))
    bits = [address % 2 for address in range(SIZE)]
    return ModbusSlaveContext(
        co=ModbusSequentialDataBlock(0, bits[:]), di=ModbusSequentialDataBlock(0, bits[:]),
        hr=ModbusSequentialDataBlock(0, registers[:]), ir=ModbusSequentialDataBlock(0, registers[:]), zero_mode=True)


class Unit:
    def __init__(self):
        self.store = store()
        self.dead = False
        self.delay_ms = self.delay_times = 0
        self.illegal = None
        self.exception = self.exception_times = 0
        self.requests = 0


class Server:
    def __init__(self):
        self.units = {unit: Unit() for unit in range(1, 10)}
        self.lock = threading.Lock()
        self.connections = set()
        self.decoder = ServerDecoder()

    def answer(self, unit_id, pdu):
        """The answer's PDU (None: none) and the seconds that it comes late."""
        with self.lock:
            unit = self.units.get(unit_id)
            if unit is None:
                return None, 0
            unit.requests += 1
            if unit.dead:
                return None, 0
            request = self.decoder.decode(pdu)
            if request is None:
                return bytes([pdu[0] | 0x80, 1]), 0
            delay_s = self.take(unit, "delay") and unit.delay_ms / 1000
            if self.take(unit, "exception"):
                return bytes([pdu[0] | 0x80, unit.exception]), delay_s
            last = request.address + request.count - 1
            if unit.illegal and request.address <= unit.illegal[1] and last >= unit.illegal[0]:
                return bytes([pdu[0] | 0x80, 2]), delay_s
            response = request.execute(unit.store)
            if isinstance(response, ExceptionResponse):
                return bytes([pdu[0] | 0x80, response.exception_code]), delay_s
            return bytes([response.function_code]) + response.encode(), delay_s

    def take(self, unit, what):
        times = getattr(unit, what + "_times")
        if times > 0:
            setattr(unit, what + "_times", times - 1)
        return times != 0

    def command(self, command):
        with self.lock:
            unit = self.units.get(command.get("unit"))
            if "set" in command:
                unit.store.setValues(BLOCKS[command["set"]], command["address"], command["values"])
            if "dead" in command:
                unit.dead = command["dead"]
            if "delay_ms" in command:
                unit.delay_ms, unit.delay_times = command["delay_ms"], command.get("times", -1)
            if "illegal" in command:
                unit.illegal = command["illegal"]
            if "exception" in command:
                unit.exception, unit.exception_times = command["exception"], command.get("times", -1)
            if "drop" in command:
                for connection in self.connections:
                    connection.shutdown(socket.SHUT_RDWR)
            if "log" in command:
                return json.dumps({str(key): unit.requests for key, unit in self.units.items()})
        return "ok"


def read_exact(connection, size):
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise ConnectionError
        data += more
    return data


def serve_connection(server, connection):
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with server.lock:
        server.connections.add(connection)
    try:
        while True:
            head = read_exact(connection, 7)
            pdu = read_exact(connection, int.from_bytes(head[4:6], "big") - 1)
            answer, delay_s = server.answer(head[6], pdu)
            time.sleep(delay_s or 0)
            if answer is not None:
                connection.sendall(head[:4] + (len(answer) + 1).to_bytes(2, "big") + head[6:7] + answer)
    except OSError:
        pass
    with server.lock:
        server.connections.discard(connection)
    connection.close()


def serve_tcp(server, listener):
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve_connection, args=(server, connection), daemon=True).start()


def serve_rtu(server, device):
    line = os.open(device, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(line)
    write_lock = threading.Lock()

    def send(frame):
        with write_lock:
            os.write(line, frame)

    data = b""
    while True:
        ready, _, _ = select.select([line], [], [], 0.05 if data else None)
        if not ready:
            data = b""  # a torn frame
            continue
        data += os.read(line, 256)
        while len(data) >= 8:  # the requests 1 to 4 have 8 bytes
            frame, data = data[:8], data[8:]
            if computeCRC(frame[:6]) != int.from_bytes(frame[6:], "big"):
                data = b""
                break
            answer, delay_s = server.answer(frame[0], frame[1:6])
            if answer is None:
                continue
            reply = frame[:1] + answer
            reply += computeCRC(reply).to_bytes(2, "big")
            # Late answers come while the next request may already be there, as from a slow device.
            if delay_s:
                threading.Timer(delay_s, send, [reply]).start()
            else:
                send(reply)


def main():
    server = Server()
    if sys.argv[1] == "tcp":
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", int(sys.argv[2]) if len(sys.argv) > 2 else 0))
        listener.listen()
        threading.Thread(target=serve_tcp, args=(server, listener), daemon=True).start()
        print(listener.getsockname()[1], flush=True)
    else:
        threading.Thread(target=serve_rtu, args=(server, sys.argv[2]), daemon=True).start()
        print(0, flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        if "quit" in command:
            break
        print(server.command(command), flush=True)
    os._exit(0)


main()
