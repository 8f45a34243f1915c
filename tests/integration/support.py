"""Real parts for the integration tests: the built agent, brokers, ports, waiting for conditions. Every process is ended by its id."""

import atexit
import datetime
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

LEAT = pathlib.Path(os.environ.get("LEAT", pathlib.Path(__file__).resolve().parents[2] / "build" / "leat"))
DEADLINE_S = 120
_children = []


@atexit.register
def _end_children():
    for child in _children:
        if child.poll() is None:
            child.kill()
            child.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for(condition, what, seconds=DEADLINE_S):
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.02)


def start(command, log, environment=None):
    with open(log, "ab") as sink:
        child = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=sink, stderr=sink,
                                 env={**os.environ, **(environment or {})})
    _children.append(child)
    return child


def end(child, how=signal.SIGTERM, seconds=60):
    if child.poll() is None:
        child.send_signal(how)
        child.wait(seconds)
    return child.returncode


def leat(*arguments, cwd=None):
    return subprocess.run([str(LEAT), *map(str, arguments)], capture_output=True, text=True, cwd=cwd, timeout=DEADLINE_S)


class Folder:
    """A folder of its own for one test, removed at the end."""

    def __enter__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="leat-test-"))
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)


class Broker:
    """A mosquitto of its own, with sessions that survive its restart (written anew at every change: not for many messages) or not."""

    def __init__(self, folder, name="broker", durable=True, more=""):
        self.home = folder / name
        self.home.mkdir()
        self.port = free_port()
        self.config = self.home / "mosquitto.conf"
        user = "user root\n" if os.geteuid() == 0 else ""
        self.config.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence true\n"
                               f"persistence_location {self.home}/\nautosave_on_changes {str(durable).lower()}\nautosave_interval {1 if durable else 1800}\n"
                               f"max_queued_messages 0\nmax_inflight_messages 200\n{user}{more}")
        self.start()

    def start(self):
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self.child = start([program, "-c", self.config], self.home / "log")
        wait_for(lambda: answers(self.port), "mosquitto")

    def stop(self, how=signal.SIGTERM):
        end(self.child, how)

    def broke_exactly_once(self, client):
        """Whether it published to the client anew what it had released: mosquitto 2.0 does so where a connection ends just as it sends PUBREL again. Nobody
        can tell such a message from a new one of the same content. Needs log_type all."""
        released = set()
        for line in (self.home / "log").read_text(errors="replace").splitlines():
            if f" {client} (" not in line:
                continue
            sent = re.search(r"Sending (PUBREL|PUBLISH) to \S+ \((?:d\d, q2, r\d, )?m(\d+)", line)
            done = re.search(r"Received PUBCOMP from \S+ \(Mid: (\d+)", line)
            if done:
                released.discard(done.group(1))
            elif sent and sent.group(1) == "PUBREL":
                released.add(sent.group(2))
            elif sent and sent.group(2) in released:
                return True
        return False


class Agent:
    """The built binary on one gateway file."""

    def __init__(self, gateway, log, environment=None, options=()):
        self.gateway, self.log, self.environment = gateway, log, environment
        self.start(options)

    def start(self, options=()):
        self.child = start([LEAT, "run", self.gateway, *options], self.log, self.environment)

    def stop_with_savepoint(self, directory):
        """The path that the command prints; the process has ended."""
        done = leat("stop", self.gateway, "--savepoint", directory)
        assert done.returncode == 0, (done.stderr, self.text()[-2000:])
        self.child.wait(60)
        return pathlib.Path(done.stdout.strip())

    def runs(self):
        return self.child.poll() is None

    def until(self, condition, what, seconds=DEADLINE_S):
        """Waits for the condition, as long as the agent runs; its last words are part of the failure."""
        try:
            result = wait_for(lambda: not self.runs() or condition(), what, seconds)
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.text()[-2000:]}") from None
        if not self.runs() and not condition():
            raise AssertionError(f"{what}: the agent ended with {self.child.returncode}\n{self.text()[-2000:]}")
        return result

    def until_connected(self, part="sources", index=0):
        return self.until(lambda: (found := self.status()) and found[part][index].get("connected") and found, f"{part} connected")

    def kill(self):
        self.child.kill()
        self.child.wait()

    def stop(self):
        return end(self.child)

    def status(self):
        done = leat("status", self.gateway, "--json")
        return json.loads(done.stdout) if done.returncode == 0 else None

    def text(self):
        return self.log.read_text() if self.log.exists() else ""


class Collector:
    """Everything that a broker gives for a topic filter, in order: (topic, payload)."""

    def __init__(self, port, topic, name="collector"):
        from paho.mqtt import client as mqtt
        self.messages, self.retained, self.lock = [], [], threading.Lock()
        ready = threading.Event()
        self.client = mqtt.Client(name, clean_session=False)
        self.client.on_message = self.take
        self.client.on_connect = lambda client, *_: client.subscribe(topic, 2)
        self.client.on_subscribe = lambda *_: ready.set()
        self.client.reconnect_delay_set(1, 1)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert ready.wait(DEADLINE_S), "not subscribed"

    def take(self, _client, _context, message):
        with self.lock:
            self.messages.append((message.topic, message.payload.decode()))
            self.retained.append(bool(message.retain))

    def rows(self):
        with self.lock:
            return [json.loads(payload) for _, payload in self.messages]

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


class Publisher:
    """Messages to a broker, each confirmed unless said otherwise."""

    def __init__(self, port, name="publisher"):
        from paho.mqtt import client as mqtt
        self.client = mqtt.Client(name, clean_session=False)
        self.client.max_inflight_messages_set(20)
        self.client.reconnect_delay_set(1, 1)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def send(self, topic, payload, qos=2, retain=False, wait=True):
        text = payload if isinstance(payload, (str, bytes)) else json.dumps(payload)
        sent = self.client.publish(topic, text, qos=qos, retain=retain)
        if wait:
            sent.wait_for_publish(DEADLINE_S)
            assert sent.is_published(), "not published"
        return sent

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


def to_ms(text):
    """A timestamp of SQL or of JSON in milliseconds since 1970."""
    at = datetime.datetime.strptime(text.rstrip("Z").replace("T", " "), "%Y-%m-%d %H:%M:%S.%f")
    return round((at - datetime.datetime(1970, 1, 1)) / datetime.timedelta(milliseconds=1))


def whole_lines(path):
    """Lines of a file that may be written to just now; nothing when there is none yet."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().split("\n")[:-1]]


def read_lines(path):
    with open(path) as lines:
        return [json.loads(line) for line in lines if line.strip()]


def write_lines(path, rows):
    with open(path, "w") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in rows)
