"""Peers that stop in the middle of a handshake, or show a chain of megabytes: they have an end, and nobody else notices."""
import socket
import ssl
import time

import pytest
from instance import Instance, wait_for
from test_tls_keys import family
from tls_rig import Certificates, SecureSession, context

LINKS = 2500  # of some 600 octets each


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    c = Certificates(str(tmp_path_factory.mktemp("tls")))
    c.issue("p256")
    c.issue("client", "email:carol@peer.test", subject="carol")
    with open(c.path("long.pem"), "w") as f:
        f.write(open(c.path("client.pem")).read() + open(c.path("ca.pem")).read() * LINKS)
    with open(c.path("long.key"), "w") as f:
        f.write(open(c.path("client.key")).read())
    return c


@pytest.fixture(scope="module")
def mx(certificates):
    c = certificates
    with Instance({"smtpd/rules": ['127.0.0.8:allow,TLSATONCE=""', f'127.0.0.5:allow,CCAFILE="{c.path("ca.pem")}"', ":allow"],
                   "smtpd/variables": [f"CERTFILE={c.path('p256.pem')}", f"KEYFILE={c.path('p256.key')}"]}) as i:
        yield i


def hello(c):
    """The client's first flight, and what makes the next one of the server's answer."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    t = context(c).wrap_bio(incoming, outgoing, server_hostname="mx.example.test")
    with pytest.raises(ssl.SSLWantReadError):
        t.do_handshake()
    return outgoing.read()


def stalled(mx, c, how):
    """A connection that says that much in TLS, and no more."""
    s = SecureSession(mx, "127.0.0.8" if how == "at once" else "127.0.0.1", timeout=120)
    if how == "at once":
        return s
    s.ehlo()
    assert s.say("STARTTLS")[0] == 220
    first = hello(c)
    s.send({"nothing": b"", "one octet": first[:1], "half a hello": first[:len(first) // 2], "a hello": first, "a record's head": b"\x16\x03\x01\x3f\xff"}[how])
    if how == "a hello":
        assert s.socket.recv(65536)  # the server's flight; its answer never comes
    return s


def answers(mx, c):
    with SecureSession(mx).starttls(context(c)) as s:
        return s.say("NOOP")[0] == 250


def test_who_stalls_is_ended_and_nobody_else_notices(mx, certificates):
    ways = ["at once", "nothing", "one octet", "half a hello", "a record's head", "a hello"]
    began = time.monotonic()
    peers = {how: stalled(mx, certificates, how) for how in ways}
    assert answers(mx, certificates)
    for how, s in peers.items():
        s.socket.settimeout(120)
        while s.socket.recv(4096):  # until the end
            pass
        took = time.monotonic() - began
        assert 25 < took < 100, (how, took)
        s.socket.close()
    assert answers(mx, certificates)
    wait_for(lambda: mx.log("smtpd").count("event=tls-failed") >= len(ways), 20, "the reasons")
    log = mx.log("smtpd")
    assert log.count("the handshake was not done in 30 s") + log.count("the peer said nothing for 30 s (does it speak plain text here?)") == len(ways)
    assert "process-ended" not in log


def peak(pid):
    try:
        with open(f"/proc/{pid}/comm") as name, open(f"/proc/{pid}/status") as f:
            return int(dict(line.split(":", 1) for line in f)["VmHWM"].split()[0]) if name.read().strip() == "tls" else 0
    except (OSError, KeyError):
        return 0


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_chain_of_megabytes_is_refused_before_it_is_read(mx, certificates, version):
    before = max(peak(pid) for pid in family([mx.wardens["smtpd"].pid]))
    with SecureSession(mx, "127.0.0.5") as s:
        s.ehlo()
        assert s.say("STARTTLS")[0] == 220
        with pytest.raises((OSError, AssertionError)):
            s.secure(context(certificates, version, "long"))
            s.socket.settimeout(20)
            assert s.say("NOOP")[0] == 250
        biggest = max(peak(pid) for pid in family([mx.wardens["smtpd"].pid]))
    assert biggest < before + 8192, (before, biggest)
    wait_for(lambda: "excessive message size" in mx.log("smtpd") or "too large" in mx.log("smtpd"), 20, "the reason")
    assert answers(mx, certificates)
