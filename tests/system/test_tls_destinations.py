"""Mail out of a whole instance: every trigger of tlsdestinations met and missed, domaincerts as the peer sees them, logins at relays,
and where keys and passwords are. Hosts have addresses and names as real ones have them, in a network of their own."""
import base64
import contextlib
import os
import signal
import socket

import pytest

from instance import Instance, wait_for
from net import Names, Network
from sink import Sink
from test_tls_keys import family, holds, plain_only, secrets_of
from tls_rig import Certificates, openssl, server_context

HOSTS = {name: f"10.53.2.{i + 1}" for i, name in enumerate("good wild expired plain implicit asks".split())}
# domain: its host
MX = {"name-ok": "good", "name-bad": "wild", "wild-ok": "wild", "wild-bad": "good", "ca-ok": "good", "ca-bad": "expired", "any-ok": "expired", "any-bad": "plain",
      "pin-ok": "expired", "pin-bad": "good", "never": "good", "first-octet": "implicit", "other": "expired", "other-plain": "plain", "bound": "expired",
      "below.suffix": "expired", "asks": "asks", "xn--bcher-kva": "good"}
PASSWORD = "a password of thirty-two octets."


def destinations(c):
    ca, pin = c.path("ca.pem"), openssl("x509", "-in", c.path("expired.pem"), "-noout", "-fingerprint", "-sha256").decode().split("=")[1].strip().replace(":", "")
    return ["# what each peer must prove", f"=name-ok.x.pn:{ca}", f"=bücher.x.pn:{ca}", f"=name-bad.x.pn:{ca}", f"~wild-ok.x.pn:{ca}", f"~wild-bad.x.pn:{ca}", f"ca-ok.x.pn:{ca}",
            f"ca-bad.x.pn:{ca}", "-any-ok.x.pn:", "-any-bad.x.pn:", f"%pin-ok.x.pn:={pin.lower()}", f"%pin-bad.x.pn:={pin}", "!never.x.pn:",
            f"ca-first.x.pn:{ca}", f"=first-octet.x.pn:{ca}||;465", f"bound.x.pn:{ca}|||bound.test", f".suffix.x.pn:{ca}", f"-10.53.2.6:", "*:"]


class Place:
    def __init__(self, stack, c):
        self.certificates = c
        self.network = Network(HOSTS.values())
        stack.callback(self.network.close)
        records = [f"{h} A {a}" for h, a in HOSTS.items()] + [f"{d} MX 10 {h}" for d, h in MX.items()]
        names = Names(self.network, {"x.pn": {"records": records}})
        stack.callback(names.close)
        self.sinks = {}
        for h, address in HOSTS.items():
            tls = None if h == "plain" else server_context(c, "good" if h in ("implicit", "asks") else h, asks=h == "asks")
            self.sinks[h] = stack.enter_context(Sink(ehlo=["PIPELINING", "SMTPUTF8", "8BITMIME", "AUTH PLAIN LOGIN"], tls=tls, implicit=h == "implicit", address=address,
                                                     port=465 if h == "implicit" else 25, network=self.network))
        own = [f"{d}.test:{c.path(d)}.pem|{c.path(d)}.key" for d in ("one", "two")] + [f"locked.test:{c.path('locked')}.pem|{c.path('locked')}.key|open sesame"]
        self.mx = stack.enter_context(Instance({
            "resolve/trustanchor": names.anchor, "send/tlsdestinations": destinations(c), "send/domaincerts": own,
            "send/smtproutes": [f"relayed.pn:{HOSTS['asks']};25|user|{PASSWORD}", f"relayed-plain.pn:{HOSTS['plain']};25|user|{PASSWORD}"],
        }, services=["resolve"], network=self.network))
        for service in ("resolve", "send", "inject"):  # one after the other: none is cut off by the start of another
            if service != "resolve":
                self.mx.services.append(service)
                self.mx.start(service)
            wait_for(lambda: os.path.exists(self.mx.path(f"run/{service}.pids")), 30, "the start of " + service)

    def send(self, domain, sender="you@example.test"):
        """The line of its first delivery."""
        with self.mx.connect(family=socket.AF_UNIX) as s:
            assert s.reply()[0] == 220 and s.say("EHLO localhost")[0] == 250
            assert s.say(f"MAIL FROM:<{sender}>{'' if domain.isascii() else ' SMTPUTF8'}")[0] == 250 and s.say(f"RCPT TO:<bob@{domain}>")[0] == 250
            code, text = s.data(b"Subject: x\r\n\r\nbody\r\n.\r\n")
            assert code == 250, text
        id = text.split()[-1].decode()

        def line():
            return [x for x in self.mx.log("send").splitlines() if "event=delivery" in x and f"msg={id}" in x]
        return wait_for(line, 30, "a delivery")[0]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    c = Certificates(str(tmp_path_factory.mktemp("out")))
    c.issue("good", ",".join("DNS:" + d + ".x.pn" for d in ("name-ok", "first-octet", "asks", "XN--bcher-kva")))
    c.issue("wild", "DNS:*.x.pn")
    c.issue("expired", "DNS:expired.x.pn", days=-1)
    for name in ("one", "two"):
        c.issue(name, f"email:us@{name}.test", kind="rsa", subject=name)
    c.issue("locked", "email:us@locked.test", passphrase="open sesame")
    return c


@pytest.fixture(scope="module")
def place(certificates):
    with contextlib.ExitStack() as stack:
        yield Place(stack, certificates)


@pytest.mark.parametrize("domain, words", [
    ("name-ok", "verified=ca+name"), ("xn--bcher-kva", "verified=ca+name"), ("bücher", "verified=ca+name"), ("wild-ok", "verified=ca+name"), ("ca-ok", "verified=ca"), ("any-ok", "verified=mandatory"), ("pin-ok", "verified=pin"),
    ("first-octet", "verified=ca+name"), ("other", "verified=opportunistic"), ("bound", "verified=opportunistic")])
def test_a_destination_that_proves_what_is_demanded(place, domain, words):
    line = place.send(domain + ".x.pn")
    assert "result=delivered" in line and " tls=TLSv1.3" in line, line
    assert words in line.split(), line
    said = {word.partition("=")[0] for word in line.split()}
    assert {"msg", "rcpt", "host", "address", "cipher", "reply", "dns_ms", "connect_ms", "tls_ms", "transfer_ms"} <= said, line
    assert place.sinks[MX.get(domain, "good")].messages[-1].tls == "TLSv1.3"


@pytest.mark.parametrize("domain, sender, words", [
    ("name-bad", None, "not for"), ("wild-bad", None, "not for"), ("ca-bad", None, "expired"), ("any-bad", None, "offers no TLS"), ("pin-bad", None, "fingerprint"),
    ("bound", "you@bound.test", "expired"), ("below.suffix", None, "expired")])
def test_a_destination_that_does_not(place, domain, sender, words):
    n = len(place.sinks[MX[domain]].messages)
    line = place.send(domain + ".x.pn", sender or "you@example.test")
    assert "result=deferred" in line and "status=4.7." in line and words in line, line
    assert len(place.sinks[MX[domain]].messages) == n


@pytest.mark.parametrize("domain", ["never", "other-plain"])
def test_plain_text_where_no_policy_forbids_it(place, domain):
    line = place.send(domain + ".x.pn")
    assert "result=delivered" in line and " tls=" not in line, line
    assert place.sinks[MX[domain]].messages[-1].tls is None


@pytest.mark.parametrize("sender", ["one", "two", "locked"])
def test_a_peer_sees_the_certificate_of_the_senders_domain(place, sender):
    line = place.send("asks.x.pn", f"you@{sender}.test")
    assert "result=delivered" in line, line
    assert place.sinks["asks"].messages[-1].certificate == place.certificates.fingerprint(sender)


def test_a_sender_without_a_certificate_has_none_to_show(place):
    n = len(place.sinks["asks"].messages)
    assert "result=deferred" in place.send("asks.x.pn", "you@three.test")
    assert len(place.sinks["asks"].messages) == n


def test_a_login_at_a_relay_goes_through_tls_or_not_at_all(place):
    line = place.send("relayed.pn", "you@one.test")
    assert "result=delivered" in line and " tls=" in line, line
    assert place.sinks["asks"].logins == [[b"user", PASSWORD.encode()]]
    line = place.send("relayed-plain.pn")
    assert "result=deferred" in line and "without TLS" in line, line
    assert place.sinks["plain"].logins == []


@plain_only
def test_keys_and_passwords_are_in_no_process_that_talks_to_a_peer(place):
    """Looked at while a connection is kept, right after a handshake with a client certificate and a login."""
    c = place.certificates
    assert "result=delivered" in place.send("relayed.pn", "you@two.test")
    password = PASSWORD.encode()
    said = base64.b64encode(b"\0user\0" + password)
    needles = secrets_of(c.path("two.key")) + [password, said[8:40]]
    pids = place.mx.pids("send")
    looked = 0
    for name in ("remote", "tls", "queue", "lspawn"):
        for pid in family([pids[name]]):
            with contextlib.suppress(OSError):
                assert not holds(pid, needles), name
                looked += 1
    assert looked >= 4
    assert not holds(pids["send"], secrets_of(c.path("two.key"))) and holds(pids["send"], [password])
    assert not holds(pids["keyload"], [*needles, password])


def test_a_renewed_certificate_is_shown_after_a_hangup(place):
    c, mx = place.certificates, place.mx
    old = c.fingerprint("one")
    c.issue("one", "email:us@one.test", kind="p256", subject="one")
    assert c.fingerprint("one") != old
    n = mx.log("send").count("event=generation")
    mx.wardens["send"].send_signal(signal.SIGHUP)
    wait_for(lambda: mx.log("send").count("event=generation") > n, 30, "a new generation")
    wait_for(lambda: os.path.exists(mx.path("run/send.pids")) and mx.pids("send")["keyload"], 30, "its processes")

    def seen():
        place.send("asks.x.pn", "you@one.test")
        return place.sinks["asks"].messages[-1].certificate
    wait_for(lambda: seen() == c.fingerprint("one"), 60, "the new certificate")
