"""What a death costs: the process that died, and those that live on it; not what it lives on, and no connection."""
import os
import signal
import threading
import time

import pytest
from instance import Instance, wait_for
from sink import Sink


@pytest.fixture
def mx():
    with Sink(port=0) as sink:
        with Instance({"smtpd/rules": ['127.:allow,RELAYCLIENT=""'], "send/smtproutes": f":[127.0.0.1]:{sink.port}"}, services=("send", "smtpd")) as i:
            i.sink = sink
            yield i
            assert not i.queued()


def replaced(mx, service, name, pid):
    wait_for(lambda: mx.pids(service).get(name) not in (None, pid), 10, f"another {name}")


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as f:
            return [int(c) for c in f.read().split()]
    except FileNotFoundError:
        return []


def send_out(mx, subject):
    with mx.connect() as s:
        s.ehlo()
        s.transaction(recipients=("x@far.example.net",))
        assert s.data(b"Subject: " + subject + b"\r\n\r\nx\r\n.\r\n")[0] == 250


@pytest.mark.parametrize("name", ["remote", "tls", "keyload"])
def test_a_death_on_the_way_out_costs_no_message_that_comes_in(mx, name):
    before = mx.pids("send")
    with mx.connect() as s:
        s.ehlo()
        s.transaction()
        assert s.say("DATA")[0] == 354
        s.send(b"Subject: in progress\r\n\r\n")
        os.kill(before[name], signal.SIGSEGV)
        replaced(mx, "send", name, before[name])
        s.send(b"the rest\r\n.\r\n")
        assert s.reply()[0] == 250
    assert b"the rest" in mx.wait_messages(1)[0]
    after = mx.pids("send")
    assert {k for k in before if before[k] != after[k]} == {name}
    send_out(mx, b"after it")
    wait_for(lambda: len(mx.sink.messages) == 1, 15, "delivery out by the new one")
    assert mx.log("send").count("event=generation") == 1


def test_a_remote_session_that_is_crashed_ends_alone(mx):
    """Another's delivery, behind its final dot, goes on under the zygote that has been replaced: nothing is sent twice."""
    reached, held = threading.Event(), threading.Event()

    def slow(_connection, _content):
        reached.set()
        held.wait(30)
        return b"250 2.0.0 late\r\n"

    mx.sink.on["DOT"] = slow
    before = mx.pids("send")
    send_out(mx, b"held")
    assert reached.wait(15) and len(children(before["remote"])) == 1
    os.kill(before["remote"], signal.SIGSEGV)
    replaced(mx, "send", "remote", before["remote"])
    held.set()
    wait_for(lambda: not mx.queued(), 15, "the result")
    assert len(mx.sink.messages) == 1 and mx.pids("send")["queue"] == before["queue"] and mx.pids("send")["send"] == before["send"]


def test_front_ends_that_are_crashed_again_and_again_cost_no_connection_seconds(mx):
    worst, over = 0.0, time.monotonic() + 6
    crashes, counts = 0, mx.log("smtpd").count("event=generation")
    while time.monotonic() < over:
        victim = mx.connect()
        assert victim.reply()[0] == 220
        zygote = mx.pids("smtpd")["smtpd"]
        for child in children(zygote):
            try:
                os.kill(child, signal.SIGSEGV)
                crashes += 1
            except ProcessLookupError:
                pass
        victim.socket.close()
        began = time.monotonic()
        with mx.connect() as s:
            s.ehlo()
        worst = max(worst, time.monotonic() - began)
    assert crashes > 20 and worst < 1.0, (crashes, worst)
    assert mx.log("smtpd").count("event=generation") == counts


def test_a_resolver_that_comes_anew_costs_remote_alone():
    with Instance({"resolve/forwarders": "127.0.0.1@9", "smtpd/peernames": "no"}, services=("resolve", "send", "smtpd")) as i:
        before = i.pids("send")
        with i.connect() as s:
            s.ehlo()
            s.transaction()
            assert s.say("DATA")[0] == 354
            i.stop("resolve")
            i.start("resolve")
            wait_for(lambda: "event=doors" in i.log("send"), 15, "notice of the new resolver")
            replaced(i, "send", "remote", before["remote"])
            s.send(b"Subject: in progress\r\n\r\nx\r\n.\r\n")
            assert s.reply()[0] == 250
        after = i.pids("send")
        assert {k for k in before if before[k] != after[k]} == {"remote"}


def test_one_that_can_not_start_is_left_to_a_new_generation(mx):
    """Somebody who fails by himself, at once, again and again, may have neighbours at fault."""
    before = mx.pids("send")
    over = time.monotonic() + 20
    while mx.log("send").count("event=generation") == 1 and time.monotonic() < over:
        try:
            os.kill(mx.pids("send").get("keyload", 0) or 2 ** 22, signal.SIGKILL)
        except ProcessLookupError:
            pass
        time.sleep(0.02)
    wait_for(lambda: mx.pids("send").get("queue") not in (None, before["queue"]), 15, "a new generation")
    wait_for(mx.answers, 10, "a greeting")
    send_out(mx, b"after it")
    wait_for(lambda: len(mx.sink.messages) == 1, 30, "delivery out")
