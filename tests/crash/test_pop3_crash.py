"""A user's pop3box killed at each system call of a session that reads, marks and quits, one call a session: what was not marked stays,
whole and once, what was marked goes at QUIT and never before it, and the next session finds its way."""
import concurrent.futures
import contextlib
import os
import subprocess
import sys
import threading

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "system")]
sys.dont_write_bytecode = True
from instance import TREE, wait_for  # noqa: E402
from pop3_rig import PASSWORD, Pop3  # noqa: E402
from tls_rig import Certificates  # noqa: E402

KILL_AT = os.path.join(TREE, os.environ.get("B", "build"), "crash", "kill_at")
AT_ONCE = 4
USERS = ["alice", "bob", "carol", "dave"]
ALL, MARKED = {1, 2, 3, 4}, {1, 3}


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    certificates = Certificates(str(tmp_path_factory.mktemp("tls")))
    certificates.issue("p256", "DNS:mx.example.test")
    with Pop3(certificates, services=("pop3",)) as pop3:
        pop3.lock, pop3.free = threading.Lock(), list(USERS)
        yield pop3


def say_login(client, user):
    for reply in client.line(), client.say(f"USER {user}@example.test"), client.say("PASS " + PASSWORD):
        assert reply is not None and reply.startswith(b"+OK"), reply
    return client


def box_of(house, user):
    """The process that shows the user's mailbox, when it is at work."""
    lspawn = house.pids("pop3")["lspawn"]
    with open(f"/proc/{lspawn}/task/{lspawn}/children") as f:
        for pid in f.read().split():
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{pid}/cwd") == house.path(f"mail/{user}/Maildir"):
                    return int(pid)
    return None


def login(house, user):
    wait_for(lambda: box_of(house, user) is None, 20, "the end of the session before")
    return say_login(house.client("pop3", "127.0.0.2"), user)


def heard(client, command, many=False):
    """Whether it was answered, to the end of the answer."""
    try:
        reply = client.say(command)
        assert reply is None or reply.startswith(b"+OK"), reply
        while many and reply not in (None, b"."):
            reply = client.line()
        return reply is not None
    except (BrokenPipeError, ConnectionResetError):
        return False


def session(client):
    """How far it came: None, 'quit' when that was said, 'bye' when it was answered."""
    for command, many in ("STAT", False), ("UIDL", True), ("RETR 2", True), ("DELE 1", False), ("DELE 3", False):
        if not heard(client, command, many):
            return None
    return "bye" if heard(client, "QUIT") else "quit"


def stored(house, user):
    """{number: text} of what is in the Maildir; nothing is there twice."""
    found = {}
    for place in "new", "cur":
        for name in os.listdir(house.maildir(user, place)):
            if not name.startswith("."):
                number = int(name.split(".")[0]) - 1700000000 + 1
                assert number not in found, "twice: " + name
                with open(house.maildir(user, f"{place}/{name}"), "rb") as f:
                    found[number] = f.read().replace(b"\n", b"\r\n")
    return found


def look_again(house, user, texts, left):
    """Another session, undisturbed: it shows what is left, in its order and size, and removes it."""
    with login(house, user) as client:
        sizes = [int(line.split()[1]) for line in client.ask("LIST")]
        assert sizes == [len(texts[n - 1]) for n in sorted(left)]
        ids = [line.split()[1].decode().split(".")[0] for line in client.ask("UIDL")]
        assert ids == [str(1700000000 + n - 1) for n in sorted(left)]
        for n in range(len(left)):
            assert client.say(f"DELE {n + 1}").startswith(b"+OK")
        assert client.say("QUIT").startswith(b"+OK")
    assert stored(house, user) == {}


def killed_at(house, n):
    """(whether it came to the n-th call, how far the session came, how many messages were left)"""
    with house.lock:
        user = house.free.pop()
    try:
        texts = house.fill(user, len(ALL))
        with login(house, user) as client:
            pid = wait_for(lambda: box_of(house, user), 20, "its process")
            killer = subprocess.Popen([KILL_AT, "self", str(pid), str(n)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            try:
                assert killer.stdout.readline() == b"ready\n", killer.stderr.read()
                came = session(client)
                call = killer.stdout.read()  # it ends with the process
            finally:
                killer.kill()
                killer.wait()
        wait_for(lambda: box_of(house, user) is None, 20, "its end")
        left = stored(house, user)
        where = f"killed at call {n}, number {call!r}, after {came}: {sorted(left)}"
        assert set(left) >= ALL - MARKED, where
        assert came is not None or set(left) == ALL, where
        assert came != "bye" or set(left) == ALL - MARKED, where
        assert all(text == texts[k - 1] for k, text in left.items()), where
        look_again(house, user, texts, left)
        return call != b"", came, len(left)
    finally:
        with house.lock:
            house.free.append(user)


def test_only_quit_removes_and_only_what_was_marked(house):
    lives, n = [], 0
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        while not lives or all(fired for fired, _, _ in lives[-2 * AT_ONCE:]):
            lives += pool.map(lambda k: killed_at(house, k), range(n + 1, n + 1 + 2 * AT_ONCE))
            n = len(lives)
            assert n < 400
    print(f"pop3box: killed at {sum(fired for fired, _, _ in lives)} calls")
    seen = {(came, left) for _, came, left in lives}
    assert seen >= {(None, 4), ("quit", 4), ("quit", 3), ("quit", 2), ("bye", 2)}  # it was disturbed at each step
