"""remote alone, with real DNS: which hosts it goes to, in which order, and what it makes of DNS that lies or fails."""
import contextlib
import os
import time

import pytest

from instance import Instance, wait_for
from net import Names, Network
from remote_rig import DELIVERED, OF_PEER, PERMANENT, TEMPORARY, Remote
from sink import Sink

ZONES = {
    "good.pn": {"signed": True, "records": [
        "@ MX 20 mx2", "@ MX 10 mx1", "mx1 A 10.53.0.1", "mx2 A 10.53.0.2", "plain A 10.53.0.3", "six AAAA fd53::1", "both AAAA fd53::dead", "both A 10.53.0.1",
        "none MX 0 .", "self MX 10 mx.example.test.", "self MX 20 mx1", "selfsecond MX 5 mx1", "selfsecond MX 10 mx.example.test.",
        "gone MX 10 nothing", "loop CNAME loop2", "loop2 CNAME loop", "alias CNAME target", "target MX 10 mx1", "equal MX 10 mx1", "equal MX 10 mx2",
        "local MX 10 lo", "lo A 127.0.0.1", "lo A 0.0.0.0", "lo AAAA ::1", "many MX 7 mx2", "deadfirst MX 1 dead", "deadfirst MX 2 mx2", "dead A 10.53.0.99",
        "txt TXT only", "odd MX 10 mail\\032host", "odd A 10.53.0.3", "oddfirst MX 10 m\\195\\188ller", "oddfirst MX 20 mx2", "oddfirst A 10.53.0.3",
        "oddbackslash MX 10 a\\\\b", "oddbackslash A 10.53.0.3"] + [f"many MX {10 + i} host{i}" for i in range(1000)]},
    "plain.pn": {"records": ["@ MX 10 mx1.good.pn."]},
    "broken.pn": {"signed": True, "ds": "wrong", "records": ["@ MX 10 mx1.good.pn."]},
    "brokenhost.pn": {"records": ["@ MX 10 mx.broken.pn.", "two MX 10 mx.broken.pn.", "two MX 20 mx1.good.pn."]},
}


@pytest.fixture(scope="module")
def place():
    with contextlib.ExitStack() as stack:
        network = Network(["10.53.0.1", "10.53.0.2", "10.53.0.3", "fd53::1"])
        stack.callback(network.close)
        names = Names(network, ZONES)
        stack.callback(names.close)
        resolve = stack.enter_context(Instance({"resolve/trustanchor": names.anchor}, services=["resolve"], network=network))
        wait_for(lambda: os.path.exists(resolve.path("run/resolve.pids")), what="resolve")
        remote = stack.enter_context(Remote(resolve.path("run/resolve.remote"), network))
        sinks = [stack.enter_context(Sink(address=a, port=25, network=network)) for a in ("10.53.0.1", "10.53.0.2", "10.53.0.3", "fd53::1")]
        yield remote, sinks
        assert remote.process.poll() is None, remote.log()


def send(place, domain, n=1, **how):
    s = place[0].session().peer(25, relay="", destination=domain, **how)
    for _ in range(n):
        s.message(to=[f"bob@{domain}"])
    done = s.done()
    s.close()
    return done


@pytest.mark.parametrize("domain, host, address", [
    ("good.pn", "mx1.good.pn", "10.53.0.1"), ("plain.pn", "mx1.good.pn", "10.53.0.1"), ("plain.good.pn", "plain.good.pn", "10.53.0.3"),
    ("six.good.pn", "six.good.pn", "fd53::1"), ("both.good.pn", "both.good.pn", "10.53.0.1"), ("alias.good.pn", "mx1.good.pn", "10.53.0.1"),
    ("selfsecond.good.pn", "mx1.good.pn", "10.53.0.1"), ("many.good.pn", "mx2.good.pn", "10.53.0.2"), ("deadfirst.good.pn", "mx2.good.pn", "10.53.0.2"),
    ("two.brokenhost.pn", "mx1.good.pn", "10.53.0.1"), ("oddfirst.good.pn", "mx2.good.pn", "10.53.0.2"), ("[10.53.0.2]", "[10.53.0.2]", "10.53.0.2"), ("[IPv6:fd53::1]", "[IPv6:fd53::1]", "fd53::1")])
def test_the_best_host_gets_it(place, domain, host, address):
    done = send(place, domain, own=["mx.example.test"])
    assert (done.outcome, done.host, done.address) == (DELIVERED, host, address), done.text


@pytest.mark.parametrize("domain, outcome, status, words", [
    ("none.good.pn", PERMANENT, "5.1.10", "null MX"), ("self.good.pn", PERMANENT, "5.4.6", "come back"), ("nothing.good.pn", PERMANENT, "5.1.2", "no domain"),
    ("gone.good.pn", PERMANENT, "5.4.4", "usable address"), ("local.good.pn", PERMANENT, "5.4.4", "usable address"),
    ("txt.good.pn", PERMANENT, "5.4.4", "usable address"), ("broken.pn", TEMPORARY, "4.4.3", "DNSSEC"), ("brokenhost.pn", TEMPORARY, "4.4.3", "name server"),
    ("odd.good.pn", TEMPORARY, "4.4.4", "can be no host"), ("oddbackslash.good.pn", TEMPORARY, "4.4.4", "can be no host"), ("loop.good.pn", TEMPORARY, "4.4.3", "name server"), ("x" * 70 + ".pn", PERMANENT, "5.1.2", "")])
def test_nowhere_to_go(place, domain, outcome, status, words):
    began = time.monotonic()
    done = send(place, domain, own=["mx.example.test"])
    assert (done.outcome, done.status, done.scope) == (outcome, status, OF_PEER), done.text
    assert words in done.text and time.monotonic() - began < 30


def test_equal_hosts_share(place):
    assert {send(place, "equal.good.pn").host for _ in range(24)} == {"mx1.good.pn", "mx2.good.pn"}


def test_a_host_that_refuses_is_passed_over(place):
    for greeting in (b"554 5.7.1 not you\r\n", b"421 4.3.2 not now\r\n", b"garbage\r\n"):
        place[1][0].on["GREETING"] = greeting
        try:
            done = send(place, "good.pn")
            assert (done.outcome, done.host) == (DELIVERED, "mx2.good.pn"), done.text
            assert send(place, "plain.pn").outcome == (PERMANENT if greeting.startswith(b"5") else TEMPORARY)
        finally:
            del place[1][0].on["GREETING"]


def test_our_own_greeting_is_a_loop(place):
    place[1][0].on["GREETING"] = b"220 MX.example.test ESMTP\r\n"
    try:
        assert send(place, "plain.pn").status == "5.4.6"
    finally:
        del place[1][0].on["GREETING"]
