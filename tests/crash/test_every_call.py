"""One message for another host, and each process on its way killed at each system call of the message's life, one call a life:
who could take it has it, whole, who could not is told of, and it comes twice only where the answer to it was lost."""
import concurrent.futures
import contextlib
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "system")]
sys.dont_write_bytecode = True
from instance import TREE, Instance, wait_for  # noqa: E402
from net import Names, Network  # noqa: E402
from sink import Sink  # noqa: E402
from tls_rig import Certificates, server_context  # noqa: E402

KILL_AT = os.path.join(TREE, os.environ.get("B", "build"), "crash", "kill_at")
LONG = os.environ.get("POSTERN_CRASH_LONG")
AT_ONCE = 4
CONTENT = b"Subject: m\r\n\r\n" + b"x" * 3000 + b"\r\n"
EACH_TIME = [("remote", "relay"), ("remote", "mx"), ("send", "relay"), ("queue", "relay")]
LATER = [("send", "mx"), ("queue", "mx"), ("tls", "relay"), ("keyload", "relay"), ("resolve", "mx")]
STEP = {} if LONG else {"queue": 3}  # `run` kills it at each call of a message's life
# at how many of its calls a death may lead to a copy: between the peer's word and its being on disk
COPIES = {"remote": 12, "send": 24, "queue": 40, "tls": 12, "keyload": 0, "resolve": 0}


class House:
    """What all lives share: a network with names, and certificates."""

    def __init__(self, directory):
        self.hosts = [f"10.53.7.{k + 1}" for k in range(AT_ONCE)]
        self.free, self.lock = list(range(AT_ONCE)), threading.Lock()
        self.network = Network(self.hosts)
        records = [f"d{k} MX 10 mx{k}" for k in range(AT_ONCE)] + [f"mx{k} A {a}" for k, a in enumerate(self.hosts)]
        self.names = Names(self.network, {"x.pn": {"signed": True, "records": records}})
        self.certificates = Certificates(directory)
        self.certificates.issue("mx", "DNS:relay.test")
        self.certificates.issue("own", "email:us@example.test")
        self.tls = server_context(self.certificates, "mx", asks=True)

    def close(self):
        self.names.close()
        self.network.close()

    @contextlib.contextmanager
    def place(self):
        """Nobody else is at this address meanwhile."""
        with self.lock:
            k = self.free.pop()
        try:
            yield k
        finally:
            with self.lock:
                self.free.append(k)


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    house = House(str(tmp_path_factory.mktemp("certificates")))
    yield house
    house.close()


def refusing(connection, argument):
    return b"550 5.1.1 not here\r\n" if b"bad@" in argument else None


@contextlib.contextmanager
def life(house, kind, k):
    """(instance, sink, domain)"""
    c = house.certificates
    if kind == "relay":
        sink = Sink(ehlo=["8BITMIME", "AUTH PLAIN LOGIN"], on={"RCPT": refusing}, tls=house.tls)
        control = {"send/smtproutes": f":127.0.0.1;{sink.port}|user|word", "send/tlsdestinations": f"127.0.0.1:{c.path('ca.pem')}",
                   "send/domaincerts": f"example.test:{c.path('own.pem')}|{c.path('own.key')}"}
        services, network, domain = ["send", "inject"], None, "dest.test"
    else:
        sink = Sink(ehlo=["PIPELINING", "CHUNKING", "DSN"], on={"RCPT": refusing}, address=house.hosts[k], port=25, network=house.network)
        control, services, network, domain = {"resolve/trustanchor": house.names.anchor}, ["resolve", "send", "inject"], house.network, f"d{k}.x.pn"
    with sink, Instance(control, [], network=network) as instance:
        for service in services:  # one after the other: none is cut off by the start of another
            instance.services.append(service)
            instance.start(service)
            wait_for(lambda: "event=generation" in instance.log(service), what="the start of " + service)
        yield instance, sink, domain


def accepted(instance, domain):
    """One try; whether 250 was heard."""
    try:
        with instance.connect(10, socket.AF_UNIX) as s:
            assert s.reply()[0] == 220 and s.say("EHLO x")[0] == 250
            s.transaction("alice@example.test", [f"good@{domain}", f"bad@{domain}"])
            return s.data(CONTENT + b".\r\n")[0] == 250
    except (OSError, AssertionError):
        return False


def hand_over(instance, domain):
    """How many tries it took."""
    tries = []
    wait_for(lambda: tries.append(1) or accepted(instance, domain), 30, "a message that is taken")
    return len(tries)


def is_over(instance):
    """An administrator who retries takes the place of time."""
    if not instance.queued():
        return True
    instance.postern("queue", "-R", instance.path("run"), "retry", "all")
    time.sleep(0.1)
    return False


def at_work(instance, process):
    """Its pid, when it is confined."""
    pid = instance.pids("resolve" if process == "resolve" else "send")[process]
    with open(f"/proc/{pid}/status") as f:
        return pid if "\nSeccomp:\t2" in f.read() else None


def copies(instance, sink, domain, tries):
    """How many came too many. What was accepted is there, whole, and what was refused is told of."""
    assert sink.messages, "the message is lost"
    assert all(m.content.endswith(CONTENT) and m.recipients == [b"TO:<good@%s>" % domain.encode()] for m in sink.messages)
    reports = instance.messages()
    assert reports, "nobody was told of the recipient who was refused"
    assert all(f"bad@{domain}".encode() in r and b"good@" not in r.split(b"Subject: m")[0] for r in reports)
    assert "event=damaged" not in instance.log()
    assert len(reports) <= tries + 2  # doc/STATES: made again (B1), and the first of them, delivered but not noted, once more (M2)
    assert len(sink.messages) <= tries + 1
    if len(sink.messages) > tries and os.environ.get("V"):
        print(instance.log("send"))
    return len(sink.messages) > tries


def killed_at(house, process, kind, n):
    """(whether it came to that call, whether the message came twice)"""
    with house.place() as k, life(house, kind, k) as (i, sink, domain):
        pid = wait_for(lambda: at_work(i, process), what="a process at work")
        killer = subprocess.Popen([KILL_AT, "self", str(pid), str(n)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            assert killer.stdout.readline() == b"ready\n", killer.stderr.read()
            tries = hand_over(i, domain)
            wait_for(lambda: is_over(i), 60, "the end of the message")
        finally:
            killer.terminate()
            call = killer.stdout.read()
            killer.wait()
        if kind == "relay":
            assert all(m.tls and m.certificate for m in sink.messages) and sink.logins
        return call != b"", copies(i, sink, domain, tries)


@pytest.mark.parametrize("process, kind", EACH_TIME + (LATER if LONG else []))
def test_a_message_outlives_a_death_at_any_call(house, process, kind):
    kills = twice = n = 0
    step = STEP.get(process, 1)
    over = False
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        while not over:
            results = list(pool.map(lambda k: killed_at(house, process, kind, k), range(n + 1, n + 1 + step * 2 * AT_ONCE, step)))
            n += step * len(results)
            kills += sum(fired for fired, _ in results)
            twice += sum(again for _, again in results)
            over = sum(fired for fired, _ in results) < AT_ONCE or n > 1000
    print(f"{process}: killed at {kills} calls, {twice} copies")
    assert kills >= 10 and n <= 1000
    assert twice <= COPIES[process], twice
