"""Names of peers: looked up by resolve, confirmed, used by rules and in the trace; and what happens without them."""
import os
import signal
import time

import pytest
from dns import Server
from instance import BIN, Instance, wait_for

RULES = ["=good.example.net:allow,RELAYCLIENT=\"\"", "=.bad.example:deny", "127.0.0.9:deny", "=:allow", ":deny"]


def run(records, rules=RULES, control=None):
    server = Server(records)
    items = {"resolve/forwarders": f"127.0.0.1@{server.port}", "trustanchor": "", "smtpd/rules": rules}
    items.update(control or {})
    return server, Instance(items, services=("send", "resolve", "smtpd"))


PTR = ("1.0.0.127.in-addr.arpa", "PTR")


def named(mx):
    """smtpd may have started before resolve: then it is started anew"""
    def has_doorway():
        return os.readlink(f"/proc/{mx.pids('smtpd')['policy']}/fd/8").startswith("socket:")  # else it is /dev/null
    wait_for(has_doorway, what="a doorway to resolve")
    wait_for(lambda: answers_somehow(mx), what="an answer")


def greeting(mx):
    with mx.connect() as s:
        return s.reply()


def answers_somehow(mx):
    try:
        return greeting(mx)[0] in (220, 554)
    except OSError:
        return False


@pytest.fixture
def started(monkeypatch):
    """instances whose greeting may be a refusal"""
    monkeypatch.setattr(Instance, "answers", answers_somehow)


def test_a_confirmed_name_is_in_the_trace_and_chooses_the_rule():
    server, mx = run({PTR: ["good.example.net"], ("good.example.net", "A"): ["127.0.0.1"]})
    with mx:
        named(mx)
        with mx.connect() as s:
            s.ehlo()
            assert s.say("MAIL FROM:<a@b.test>")[0] == 250
            assert s.say("RCPT TO:<x@elsewhere.test>")[0] == 250  # RELAYCLIENT by its name
            assert s.say("RSET")[0] == 250
            s.transaction()
            assert s.data(b"Subject: named\r\n\r\nx\r\n.\r\n")[0] == 250
        message = mx.wait_messages(1)[0]
        assert b"(good.example.net [127.0.0.1])" in message
        if "asan" not in BIN:  # the sanitizer lifts the limit of the address space
            wait_for(lambda: mx.postern("plan", "--live", "-R", mx.path("run")).returncode == 0, 20, "the plan")
    server.close()


def test_a_name_that_is_not_confirmed_is_none(started):
    server, mx = run({PTR: ["good.example.net"], ("good.example.net", "A"): ["192.0.2.1"]})
    with mx:
        named(mx)
        assert greeting(mx)[0] == 554  # :deny
    server.close()


def test_a_suffix_denies_and_any_name_allows(started):
    server, mx = run({PTR: ["x.bad.example"], ("x.bad.example", "A"): ["127.0.0.1"]})
    with mx:
        named(mx)
        assert greeting(mx)[0] == 554
    server.close()
    server, mx = run({PTR: ["some.other.example.net"], ("some.other.example.net", "A"): ["127.0.0.1"]})
    with mx:
        named(mx)
        assert greeting(mx)[0] == 220
    server.close()


def test_a_name_server_that_is_silent_costs_seconds_not_mail():
    server, mx = run({PTR: None}, rules=["=:allow", ":allow"])
    mx.services.remove("smtpd")
    with mx:
        mx.services.append("smtpd")
        mx.start("smtpd")
        time.sleep(0.5)
        began = time.monotonic()
        with mx.connect(timeout=30) as s:
            assert s.reply()[0] == 220
        assert time.monotonic() - began < 15
    server.close()


def test_without_the_service_mail_goes_on_without_names():
    with Instance({"smtpd/rules": ["=:deny", ":allow"]}) as mx:
        with mx.connect() as s:
            s.ehlo()
            s.transaction()
            assert s.data(b"Subject: nameless\r\n\r\nx\r\n.\r\n")[0] == 250
        assert b"(unknown [127.0.0.1])" in mx.wait_messages(1)[0]


def test_when_resolve_dies_sessions_go_on():
    server, mx = run({PTR: ["good.example.net"], ("good.example.net", "A"): ["127.0.0.1"]}, rules=[":allow"])
    with mx:
        named(mx)
        os.kill(mx.pids("resolve")["resolve"], signal.SIGKILL)
        wait_for(lambda: greeting(mx)[0] == 220, what="a greeting")
        wait_for(lambda: "process-ended" in mx.log("resolve"), what="notice of its end")
        assert greeting(mx)[0] == 220
    server.close()


def test_a_forwarder_is_asked_for_a_networks_own_names_and_one_without_dnssec_is_named():
    own = {name: [f"10 m.{name}"] for name in ("x.test", "h.home.arpa", "p.internal")}
    server = Server({**{(n, "MX"): v for n, v in own.items()}, **{(f"m.{n}", "A"): ["192.0.2.9"] for n in own}, ("plain.org", "MX"): ["5 m.plain.org"]})
    with Instance({"resolve/forwarders": f"127.0.0.1@{server.port}"}, services=["resolve"]) as mx:
        wait_for(lambda: "event=forwarders-without-dnssec" in mx.log("resolve"), what="a line about DNSSEC")
        for name in own:
            told = mx.postern("explain", "-c", mx.path("control"), "-R", mx.path("run"), f"a@{name}")
            assert f"m.{name}, MX 10" in told.stdout, told
        told = mx.postern("explain", "-c", mx.path("control"), "-R", mx.path("run"), "a@plain.org")
        assert "the name servers of the item forwarders do not pass DNSSEC on" in told.stdout, told
    server.close()
