#!/usr/bin/python3
"""TLS through the whole agent: a broker whose certificate is for another host is refused by source and sink, and nothing is lost until it is put right."""

import shutil
import subprocess
import unittest

from support import Agent, Broker, Collector, Folder, Publisher, end, free_port, wait_for

GATEWAY = """
agent: {{ name: plant, checkpoint: {{ interval: 50ms }} }}
sources:
  s:
    driver: mqtt
    url: mqtts://localhost:{port}
    ca: {home}/ca.pem
    topic: in
    qos: {qos}
    reconnect_min: 100ms
    reconnect_max: 200ms
    format: json
    fields: {{ n: int }}
rules:
  all: {{ sql: "SELECT n FROM s", to: up }}
sinks:
  up: {{ driver: mqtt, url: "mqtts://localhost:{port}", ca: {home}/ca.pem, topic: up, qos: 1, reconnect_min: 100ms, reconnect_max: 200ms, envelope: true }}
"""


class TlsBroker(Broker):
    """Beside its plain listener one with TLS, whose certificate is for the host named."""

    def __init__(self, folder):
        self.tls_port = free_port()
        self.certificates = folder / "certificates"
        self.certificates.mkdir()
        self.openssl("req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=plant-ca")
        self.certify("localhost")
        super().__init__(folder)
        self.stop()
        home = self.certificates
        with open(self.config, "a") as config:
            config.write(f"listener {self.tls_port} 127.0.0.1\ncafile {home}/ca.pem\ncertfile {home}/server.pem\nkeyfile {home}/server.key\n")
        self.start()

    def openssl(self, arguments):
        done = subprocess.run(["openssl", *arguments.split()], cwd=self.certificates, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def certify(self, host):
        (self.certificates / "san").write_text(f"subjectAltName=DNS:{host}")
        self.openssl(f"req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN={host}")
        self.openssl("x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile san -out server.pem")


@unittest.skipUnless(shutil.which("openssl"), "needs openssl")
class Tls(unittest.TestCase):
    def numbers(self, collector):
        return [row["n"] for row in collector.rows()]

    def lossless(self, qos):
        with Folder() as folder:
            broker = TlsBroker(folder)
            gateway = folder / "gateway.yaml"
            gateway.write_text(GATEWAY.format(port=broker.tls_port, home=broker.certificates, qos=qos))
            agent = Agent(gateway, folder / "log")
            agent.until_connected()
            agent.until_connected("sinks")
            collector, publisher = Collector(broker.port, "up"), Publisher(broker.port)
            for n in range(20):
                publisher.send("in", {"n": n})
            wait_for(lambda: len(collector.messages) == 20, "the right host passes")

            broker.stop()
            broker.certify("other.example")
            broker.start()
            refused = agent.until(lambda: (found := agent.status()) and found["sources"][0]["counters"].get("failed_connects", 0) >= 3 and
                                  "cannot connect" in found["sinks"][0]["note"] and found, "refusals", 40)
            self.assertFalse(refused["sources"][0]["connected"])
            self.assertFalse(refused["sinks"][0]["connected"])
            for part in ("sources", "sinks"):
                self.assertIn("the certificate is not for this host", refused[part][0]["note"])
            self.assertEqual(agent.text().count("<4>leat: source 's': not connected: cannot connect: TCP/TLS connect failure, or the certificate is not for this "
                                                "host"), 1, "told once")
            wait_for(publisher.client.is_connected, "the publisher")
            for n in range(20, 60):
                publisher.send("in", {"n": n})
            self.assertEqual(len({row["_id"] for row in collector.rows()}), 20, "nothing goes through a refused connection")

            broker.stop()
            broker.certify("localhost")
            broker.start()
            wait_for(lambda: len({row["_id"] for row in collector.rows()}) >= 60, "what waited")
            self.assertEqual(agent.stop(), 0, agent.text()[-2000:])
            got = sorted({row["_id"]: row["n"] for row in collector.rows()}.values())
            # A source of QoS 1 takes what the broker repeats after a broken connection; one of QoS 2 does not.
            self.assertEqual(got if qos == 2 else sorted(set(got)), list(range(60)))
            collector.close()
            publisher.close()

    def test_qos_1(self):
        self.lossless(1)

    def test_qos_2(self):
        self.lossless(2)

    def test_a_certificate_that_nobody_trusts_is_said_to_be_so(self):
        with Folder() as folder:
            broker = TlsBroker(folder)
            strange = broker.certificates / "strange.pem"
            broker.openssl("req -x509 -newkey rsa:2048 -nodes -keyout strange.key -out strange.pem -days 2 -subj /CN=strange-ca")
            gateway = folder / "gateway.yaml"
            gateway.write_text(GATEWAY.format(port=broker.tls_port, home=broker.certificates, qos=1).replace("ca.pem\n    topic", f"{strange.name}\n    topic"))
            agent = Agent(gateway, folder / "log")
            found = agent.until(lambda: (now := agent.status()) and now["sources"][0].get("note") and now, "a note")
            self.assertIn("certificate", found["sources"][0]["note"])
            self.assertFalse(found["sources"][0]["connected"])
            self.assertNotIn("not for this host", found["sources"][0]["note"])
            self.assertEqual(end(agent.child), 0)


if __name__ == "__main__":
    unittest.main()
