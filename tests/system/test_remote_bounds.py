"""Peers and name servers that answer without measure, and hosts that lack things: bounded time and memory, and the right result."""
import contextlib
import os
import socket
import struct
import time

import pytest

from dns import Server
from engine_rig import Engine
from instance import BIN, Instance, wait_for
from net import Names, Network
from remote_rig import CA, DELIVERED, MANDATORY, OPPORTUNISTIC, TEMPORARY, Remote
from sink import Sink
from tls_rig import Certificates, server_context

MEGA = 1 << 20
MOST_KIB = (32 if "asan" not in BIN else 512) << 10


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    c = Certificates(str(tmp_path_factory.mktemp("bounds")))
    c.issue("good", "DNS:mx.example.test")
    issuers = ["ca"] + [f"sub{i}" for i in range(12)]
    for before, name in zip(issuers, issuers[1:]):
        c.issue(name, subject=name, extensions=["basicConstraints=critical,CA:TRUE"], by=before)
    c.issue("deep", "DNS:mx.example.test", by=issuers[-1])
    c.deep = issuers[:0:-1]
    return c


@pytest.fixture(scope="module")
def remote(certificates):
    with Engine({certificates.path("ca.pem"): [certificates.path("ca.pem")]}) as engine, Remote(engine=engine) as r:
        yield r
        assert r.process.poll() is None, r.log()


def deliver(remote, sink, **how):
    s = remote.session().peer(sink.port, destination="mx.example.test", **{"idle_ms": 10000, **how})
    s.message()
    done = s.done()
    s.close()
    return done


def memory_of_sessions(remote):
    """KiB at most, of the zygote's children that are there now."""
    peaks = []
    with open(f"/proc/{remote.process.pid}/task/{remote.process.pid}/children") as f:
        for pid in f.read().split():
            with contextlib.suppress(OSError), open(f"/proc/{pid}/status") as status:
                peaks += [int(line.split()[1]) for line in status if line.startswith("VmHWM")]
    return max(peaks, default=0)


# ---- replies ----

FLOODS = {"a line of a mebibyte": [b"250-" + b"x" * MEGA + b"\r\n250 x\r\n"], "a line without end": [b"250 " + b"x" * MEGA] * 64,
          "lines without end": [b"250-x\r\n" * 100000] * 64, "octets of zero": [bytes(MEGA)] * 64}


@pytest.mark.parametrize("verb", ["GREETING", "EHLO", "RCPT", "DOT"])
@pytest.mark.parametrize("flood", FLOODS)
def test_replies_without_measure_end_the_connection(remote, verb, flood):
    peaks = []

    def pour(connection, _):
        for part in FLOODS[flood]:
            connection.say(part)
            peaks.append(memory_of_sessions(remote))
        return b""

    with Sink(on={verb: pour}) as sink:
        began = time.monotonic()
        done = deliver(remote, sink)
        assert done.outcome == TEMPORARY or (flood == "a line of a mebibyte" and verb == "DOT"), done.text
        assert len(done.text) < 2000 and bool(done.duplicate) == (verb == "DOT")
        assert time.monotonic() - began < 60 and max(peaks, default=0) < MOST_KIB


# ---- certificates ----

@pytest.mark.parametrize("chain, how", [("good", {"tls": CA}), ("deep", {"tls": CA}), ("deep", {"tls": MANDATORY})])
def test_a_chain_is_as_long_as_it_may_be(remote, certificates, chain, how):
    context = server_context(certificates, chain, chain=certificates.deep if chain == "deep" else ())
    with Sink(tls=context) as sink:
        done = deliver(remote, sink, ca=certificates.path("ca.pem"), **how)
        refused = chain == "deep" and how["tls"] == CA
        assert done.outcome == (TEMPORARY if refused else DELIVERED), done.text
        assert not refused or "too long" in done.text, done.text


@pytest.mark.parametrize("tls, outcome", [(OPPORTUNISTIC, DELIVERED), (MANDATORY, TEMPORARY)])
def test_a_chain_without_end_is_not_read(remote, certificates, tls, outcome):
    with Sink(tls=server_context(certificates, "good", chain=["ca"] * 2000)) as sink:  # 1 MB
        done = deliver(remote, sink, tls=tls)
        assert done.outcome == outcome and not done.protocol, done.text
        assert "too large" in done.how + done.text, (done.how, done.text)
        assert tls == MANDATORY or not sink.messages[0].tls


# ---- names ----

ZONES = {
    "x.pn": {"signed": True, "records": ["mx A 10.53.8.1", "good MX 10 mx", "both MX 10 dual", "dual A 10.53.8.1", "dual AAAA fd53::1234"]},
    "wide.pn": {"records": [f"@ A 10.54.{i // 250}.{1 + i % 250}" for i in range(3500)]},
}


@pytest.fixture(scope="module")
def place():
    """Without IPv6."""
    with contextlib.ExitStack() as stack:
        network = Network(["10.53.8.1"], six=False)
        stack.callback(network.close)
        names = Names(network, ZONES)
        stack.callback(names.close)
        resolve = stack.enter_context(Instance({"resolve/trustanchor": names.anchor}, services=["resolve"], network=network))
        wait_for(lambda: os.path.exists(resolve.path("run/resolve.pids")), what="resolve")
        remote = stack.enter_context(Remote(resolve.path("run/resolve.remote"), network))
        sink = stack.enter_context(Sink(address="10.53.8.1", port=25, network=network))
        yield remote, sink
        assert remote.process.poll() is None, remote.log()


def send(place, domain):
    s = place[0].session().peer(25, relay="", destination=domain)
    s.message(to=[f"bob@{domain}"])
    done = s.done()
    s.close()
    return done


@pytest.mark.parametrize("domain", ["good.x.pn", "both.x.pn"])
def test_a_host_without_ipv6_delivers(place, domain):
    done = send(place, domain)
    assert (done.outcome, done.address) == (DELIVERED, "10.53.8.1"), done.text


def test_as_many_addresses_as_an_answer_can_hold_are_not_all_tried(place):
    began = time.monotonic()
    done = send(place, "wide.pn")
    assert done.outcome == TEMPORARY and done.status == "4.4.1" and "unreachable" in done.text, done.text
    assert time.monotonic() - began < 60 and send(place, "good.x.pn").outcome == DELIVERED


def test_one_client_of_resolve_has_so_many_questions_and_not_all():
    """Names whose server never answers: what is too much is answered at once, and another client is served."""
    server = Server({("silent.pn", "A"): None, ("known.pn", "A"): ["192.0.2.1"]})
    server.records.update({(f"n{i}.silent.pn", 1): ("A", None) for i in range(200)})
    with contextlib.closing(server), Instance({"resolve/forwarders": f"127.0.0.1@{server.port}", "resolve/trustanchor": "other.pn. IN DS 1 13 2 " + "AB" * 32},
                                              services=["resolve"]) as mx:
        wait_for(lambda: os.path.exists(mx.path("run/resolve.pids")), what="resolve")

        def client():
            ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
                door.connect(mx.path("run/resolve.remote"))
                socket.send_fds(door, [struct.pack("<HH4xQ", 0, 0, 0)], [its.fileno()])
            its.close()
            ours.settimeout(30)
            return ours

        def ask(channel, ref, name):
            tail = struct.pack("<H", len(name)) + name.encode()
            channel.send(struct.pack("<HH4xQ", 0, 8 + len(tail), ref) + struct.pack("<H6x", 1) + tail)

        def answer(channel):
            packet = channel.recv(9000)
            return struct.unpack_from("<HH4xQ", packet)[2], packet[16 + 2]

        greedy, other = client(), client()
        for i in range(200):
            ask(greedy, i, f"n{i}.silent.pn")
        refused = [answer(greedy) for _ in range(136)]
        assert all(outcome == 3 for _, outcome in refused) and {ref for ref, _ in refused} == set(range(64, 200))
        ask(other, 7, "known.pn")
        assert answer(other) == (7, 0)
