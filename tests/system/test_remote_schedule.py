"""Mail to other hosts as send schedules it: transactions, connections, hosts that are dead, slow or particular; logs and reports."""
import collections
import os
import random
import signal
import threading
import time

import pytest
from instance import BIN, Instance, free_port, wait_for
from sink import CLOSE, Sink
from test_bounce_reports import parse, parts_of, queue_is_empty


@pytest.fixture
def sink():
    with Sink() as s:
        yield s


def instance(routes, **more):
    control = {"smtpd/rcpthosts": ["example.test", ".far.test"], "smtproutes": [f"{d}:127.0.0.1;{p}" for d, p in routes.items()]}
    control.update(more)
    return Instance(control)


def send(mx, recipients, sender="you@sender.test", n=1, parameters=""):
    with mx.connect() as s:
        s.ehlo()
        for i in range(n):
            assert s.say(f"MAIL FROM:<{sender}>")[0] == 250
            for r in recipients:
                assert s.say(f"RCPT TO:<{r}>{parameters}")[0] == 250
            assert s.data(f"Subject: {i}\r\n\r\nbody\r\n.\r\n".encode())[0] == 250


def logged(mx, *words):
    def lines():
        return [line for line in mx.log("send").splitlines() if all(w in line for w in words)]
    return wait_for(lines, 20, f"a line with {words}")


def test_recipients_share_a_transaction_and_messages_a_connection(sink):
    with instance({"one.far.test": sink.port, "two.far.test": sink.port}) as mx:
        send(mx, [f"u{i}@one.far.test" for i in range(120)])
        wait_for(lambda: len(sink.messages) == 2, what="120 recipients")
        assert sorted(len(m.recipients) for m in sink.messages) == [20, 100]
        queue_is_empty(mx)
        connections = len(sink.connections)
        send(mx, ["one@one.far.test"])
        wait_for(lambda: len(sink.messages) == 3)
        assert connections <= 2 and len(sink.connections) == connections
        send(mx, ["a@one.far.test", "b@two.far.test"])  # a relay is one destination, whatever domains it takes
        wait_for(lambda: len(sink.messages) == 4)
        assert len(sink.messages[3].recipients) == 2 and len(sink.connections) == connections
        line = logged(mx, "event=delivery", "rcpt=one@one.far.test")[0]
        for word in ("result=delivered", "host=127.0.0.1", "address=127.0.0.1", "conn=", "transfer_ms=", 'reply="250 '):
            assert word in line, line


def test_a_dead_host_costs_one_attempt_and_the_live_ones_nothing(sink):
    dead = free_port()
    with instance({"live.far.test": sink.port, "dead.far.test": dead}) as mx:
        send(mx, ["first@dead.far.test"])
        logged(mx, "event=peer-failed", "to=127.0.0.1")
        send(mx, ["u@dead.far.test"], n=30)
        send(mx, ["u@live.far.test"], n=10)
        wait_for(lambda: len(sink.messages) == 10, what="mail for the live host")
        wait_for(lambda: mx.log("send").count("result=deferred") == 31, what="deferrals")
        log = mx.log("send")
        assert log.count("event=peer-failed") == 1, log
        assert all("refused" in line for line in log.splitlines() if "result=deferred" in line)
        with Sink(port=dead) as woken:
            mx.wardens["send"].send_signal(signal.SIGALRM)  # also ends the time for which it is left alone
            wait_for(lambda: len(woken.messages) == 31, 20, "the rest")
        queue_is_empty(mx)


def test_one_senders_many_do_not_delay_anothers_single_one(sink):
    begin = threading.Event()
    sink.on["DOT"] = lambda *_: begin.wait(20) and None
    with instance({"one.far.test": sink.port}, **{"send/concurrencydestination": "1"}) as mx:
        send(mx, ["u@one.far.test"], "bulk@sender.test", 100)
        send(mx, ["u@one.far.test"], "you@sender.test")
        wait_for(lambda: len(mx.queued()) == 101)
        begin.set()
        wait_for(lambda: len(sink.messages) == 101, 20, "all mail")
        assert [b"you@" in m.sender for m in sink.messages].index(True) < 12
        queue_is_empty(mx)


def memory_of(pid):
    """KiB, at most so far."""
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmHWM"))


def test_recipients_that_wait_for_dead_hosts_cost_little_memory_and_no_time(sink):
    """20,000 of them at ten hosts; doc/PERFORMANCE has a million."""
    routes = {f"d{i}.far.test": free_port() for i in range(10)}
    with instance({**routes, "live.far.test": sink.port}) as mx:
        pid = wait_for(lambda: mx.pids("send")["send"])
        before = memory_of(pid)
        for i in range(20):
            send(mx, [f"u{k}@d{k % 10}.far.test" for k in range(1000)], f"u{i}@sender.test")
        wait_for(lambda: mx.log("send").count("result=deferred") == 20000, 60, "deferrals")
        send(mx, ["u@live.far.test"])
        wait_for(lambda: sink.messages, 30, "mail for a live host")
        assert mx.pids("send")["send"] == pid
        assert "asan" in BIN or memory_of(pid) - before < 16 << 10


def test_who_is_refused_is_returned_with_the_peers_words(sink):
    sink.on["RCPT"] = lambda _, to: b"550-5.1.1 there is\r\n550 5.1.1 nobody\r\n" if b"ghost" in to else None
    with instance({"one.far.test": sink.port}) as mx:
        send(mx, ["ghost@one.far.test", "real@one.far.test"], "alice@example.test", parameters=" NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;x@y.test")
        _, (_, ghost, real), _ = parts_of(parse(mx.wait_messages(1)[0]))
        queue_is_empty(mx)
        assert (ghost["Action"], ghost["Status"], real["Action"]) == ("failed", "5.1.1", "relayed")
        assert ghost["Remote-MTA"] == real["Remote-MTA"] == "dns; 127.0.0.1"
        assert ghost["Diagnostic-Code"].startswith("smtp; 550") and "nobody" in ghost["Diagnostic-Code"]
        assert ghost["Original-Recipient"] == "rfc822;x@y.test"
        assert len(sink.messages) == 1


def test_a_relay_is_logged_in_to_and_only_that_route_uses_it():
    with Sink(ehlo=["PIPELINING", "AUTH PLAIN LOGIN"]) as sink:
        to = f"127.0.0.1;{sink.port}"
        routes = [f"with.far.test:{to}|joe|secret", f"plain.far.test:!{to}|joe|secret", f"without.far.test:{to}"]
        with instance({}, smtproutes=routes) as mx:
            send(mx, ["u@without.far.test"])
            wait_for(lambda: len(sink.messages) == 1)
            send(mx, ["u@with.far.test"])  # this sink has no TLS, and the route does not say that it may do without
            logged(mx, "rcpt=u@with.far.test", "result=deferred", "without TLS")
            assert sink.logins == [] and len(sink.messages) == 1
            send(mx, ["u@plain.far.test"])
            wait_for(lambda: len(sink.messages) == 2)
            assert sink.logins == [[b"joe", b"secret"]] and sink.messages[1].connection != sink.messages[0].connection
            assert "secret" not in mx.log("send")


@pytest.mark.parametrize("process", ["send", "remote", "queue"])
def test_a_process_that_is_killed_under_way_loses_nothing(process):
    """Killed again and again while mail goes out: each message arrives; twice perhaps."""
    with Sink(on={"DOT": lambda *_: time.sleep(0.02)}) as sink, instance({"one.far.test": sink.port}) as mx:
        killed = 0
        for i in range(60):
            send(mx, [f"u{i}@one.far.test"])
            if i % 20 == 10:
                before = mx.pids("send")[process]
                os.kill(before, signal.SIGKILL)
                wait_for(lambda: mx.pids("send").get(process, before) != before, 20, "a new generation")
                killed += 1
        wait_for(lambda: not mx.queued() or mx.wardens["send"].send_signal(signal.SIGALRM), 30, "the end of all messages")
        arrived = {r for m in sink.messages for r in m.recipients}
        assert len(arrived) == 60 and killed == 3


def test_a_peer_that_fails_at_random_in_every_state_gets_every_message_and_few_twice():
    """Duplicates only where the answer to the final dot was lost."""
    draw, taken, lost = random.Random(4).random, [], []

    def moody(connection, argument):
        what = draw()
        return CLOSE if what < 0.02 else b"451 4.3.0 in no mood\r\n" if what < 0.04 else b"421 4.3.2 going\r\n" if what < 0.05 else None

    def dot(connection, content):
        what = draw()
        if what < 0.05:
            return b"451 4.3.0 not kept\r\n"
        taken.append(connection.recipients[0])
        if what < 0.1:
            lost.append(connection.recipients[0])
            return CLOSE
        return None

    on = {verb: moody for verb in ("GREETING", "EHLO", "MAIL", "RCPT", "DATA", "RSET")}
    with Sink(on={**on, "DOT": dot}) as sink, instance({"one.far.test": sink.port}) as mx:
        for i in range(5):
            send(mx, [f"u{i}@one.far.test"], n=30)

        def is_over():
            quiet = len(taken)
            time.sleep(0.3)
            if mx.queued() and len(taken) == quiet:
                mx.wardens["send"].send_signal(signal.SIGALRM)  # all that waits for its time
            return not mx.queued()

        wait_for(is_over, 90, "the end of all messages")
        per = collections.Counter(taken)
        assert len(per) == 5 and all(n >= 30 for n in per.values()), per
        assert 150 <= len(taken) <= 150 + len(lost), (len(taken), len(lost))
        assert "result=failed" not in mx.log("send") and len(lost) > 0
