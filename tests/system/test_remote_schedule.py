"""Mail to other hosts as send schedules it: transactions, connections, hosts that are dead, slow or particular; logs and reports."""
import signal
import socket
import threading

import pytest
from instance import Instance, free_port, wait_for
from sink import Sink
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
    with instance({"one.far.test": sink.port}) as mx:
        send(mx, [f"u{i}@one.far.test" for i in range(120)])
        wait_for(lambda: len(sink.messages) == 2, what="120 recipients")
        assert sorted(len(m.recipients) for m in sink.messages) == [20, 100]
        queue_is_empty(mx)
        connections = len(sink.connections)
        send(mx, ["one@one.far.test"])
        wait_for(lambda: len(sink.messages) == 3)
        assert connections <= 2 and len(sink.connections) == connections
        line = logged(mx, "event=delivery", "rcpt=one@one.far.test")[0]
        for word in ("result=delivered", "host=127.0.0.1", "address=127.0.0.1", "conn=", "transfer_ms=", 'reply="250 '):
            assert word in line, line
