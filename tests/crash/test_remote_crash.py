"""Mail for other hosts through peers that fail in every state: every message ends delivered or returned, none is lost, and only
where the answer to a whole message was lost it may come twice."""
import collections
import os
import random
import re
import socket
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "system")]
sys.dont_write_bytecode = True
from instance import Instance, wait_for  # noqa: E402
from sink import CLOSE, Sink  # noqa: E402

LONG = os.environ.get("POSTERN_CRASH_LONG")
MESSAGES = int(os.environ.get("N", 10000 if LONG else 400))


def half(connection):
    connection.say(b"250-half of an answ")
    return CLOSE


def silence(connection):
    while connection.socket.recv(65536):
        pass
    return CLOSE


FAULTS = [(0.05, b"451 4.3.0 not now\r\n"), (0.02, b"554 5.7.1 never\r\n"), (0.03, CLOSE), (0.01, b"421 4.3.2 bye\r\n"), (0.01, half),
          (0.01, b"no reply at all\r\n"), (0.003, silence)]


class Moody:
    """What such a peer does at each verb, by one seed. `unsure`: whole messages that it kept without saying so."""

    def __init__(self, seed):
        self.random, self.lock, self.unsure = random.Random(seed), threading.Lock(), set()
        self.verbs = {v: self.verb for v in ("GREETING", "EHLO", "MAIL", "RCPT", "DATA", "QUIT", "RSET")}
        self.verbs["DOT"] = self.end

    def draw(self):
        with self.lock:
            return self.random.random()

    def verb(self, connection, argument):
        x = self.draw()
        for share, reply in FAULTS:
            x -= share
            if x < 0:
                return reply(connection) if callable(reply) else reply
        return None

    def end(self, connection, content):
        if self.draw() < 0.03:
            self.unsure.add(tag_of(content))
            connection.taken(content)
            return CLOSE
        return self.verb(connection, content)


def tag_of(content):
    return re.search(rb"^Subject: (m\d+)\r?$", content, re.M)[1].decode()


def put(instance, numbers, recipients, domain="dest.test"):
    """Submits them in one session; returns {tag: recipients}."""
    sent = {}
    with instance.connect(30, socket.AF_UNIX) as s:
        s.reply()
        assert s.say("EHLO x")[0] == 250
        for i in numbers:
            to = [f"r{k}-{i}@{domain}" for k in range(recipients(i))]
            s.send(b"MAIL FROM:<alice@example.test>\r\n" + b"".join(f"RCPT TO:<{t}>\r\n".encode() for t in to) + b"DATA\r\n")
            assert s.reply()[0] == 250 and all(s.reply()[0] == 250 for _ in to) and s.reply()[0] == 354
            s.send(f"Subject: m{i}\r\n\r\n{'x' * 1000}\r\n.\r\n".encode())
            assert s.reply()[0] == 250
            sent[f"m{i}"] = to
    return sent


def delivered(sink):
    """How often each (tag, recipient) came."""
    count = collections.Counter()
    for m in list(sink.messages):
        tag = tag_of(m.content)
        assert m.content.endswith(b"x" * 1000 + b"\r\n"), tag
        for r in m.recipients:
            count[tag, r.split(b"<")[1].split(b">")[0].decode()] += 1
    return count


def returned(instance):
    """How often each (tag, recipient) was returned."""
    count = collections.Counter()
    for m in instance.messages():
        tag = tag_of(m)
        for r in re.findall(rb"^Final-Recipient: rfc822; ?(\S+)$", m, re.M):
            count[tag, r.decode()] += 1
    return count


def finish(instance, seconds):
    """Until nothing is queued; an administrator who retries takes the place of days."""
    end = time.monotonic() + seconds
    while instance.queued():
        assert time.monotonic() < end, f"{len(instance.queued())} messages are left"
        instance.postern("queue", "-R", instance.path("run"), "retry", "all")
        time.sleep(0.3)


def test_messages_through_a_peer_that_fails_at_random(tmp_path):
    peer = Moody(20261123)
    with Sink(on=peer.verbs) as sink:
        with Instance({"send/smtproutes": f":127.0.0.1:{sink.port}", "send/timeoutremote": "1"}, ["send", "inject"]) as i:
            sent = wait_for(lambda: put(i, [0], lambda _: 1), what="mail is taken")
            sent.update(put(i, range(1, MESSAGES), lambda n: 1 + (n % 5 == 0) * (n % 3)))
            finish(i, 120 + MESSAGES)
            come, back = delivered(sink), returned(i)
            everything = {(tag, r) for tag, to in sent.items() for r in to}
            assert set(come) | set(back) == everything, everything - set(come) - set(back)
            assert all(n == 1 for n in back.values())
            assert all(tag in peer.unsure for (tag, _), n in come.items() if n > 1), "a copy although the peer had answered"
            assert all(tag in peer.unsure for tag, r in set(come) & set(back)), "returned although the peer had taken it"
            assert len(come) > 0.5 * len(everything) and back and peer.unsure
