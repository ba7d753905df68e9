"""authrun among faults: something at Dovecot's socket that is not Dovecot, processes killed in the middle, passwords in memory, the configuration changed."""
import os
import re
import signal
import socket
import threading
import time

import pytest
from authrun_rig import PASSWORD, PROGRAM, House, b64
from instance import BIN, wait_for

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
GREETING = b"VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\tff\nDONE\n"


class Pretender(threading.Thread):
    """Listens where Dovecot would: `says` is the answer to a line of its client, given the number of its question; None: it closes."""

    def __init__(self, path, greeting, says):
        super().__init__(daemon=True)
        self.greeting, self.says, self.questions, self.connections = greeting, says, [], []
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(path)
        os.chmod(path, 0o666)
        self.socket.listen(8)
        self.start()

    def run(self):
        while True:
            try:
                s, _ = self.socket.accept()
            except OSError:
                return
            self.connections.append(s)
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def serve(self, s):
        try:
            with s, s.makefile("rb") as lines:
                s.sendall(self.greeting)
                for line in lines:
                    if line.startswith(b"AUTH\t"):
                        self.questions.append(line)
                        answer = self.says(line.split(b"\t")[1])
                        if answer is None:
                            return
                        s.sendall(answer)
        except OSError:
            pass

    def close(self):
        for s in [self.socket, *self.connections]:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()


@pytest.mark.parametrize("greeting,says,code", [
    pytest.param(GREETING, lambda n: b"OK\t" + n + b"\tuser=alice@example.test\n", 235, id="yes"),
    pytest.param(GREETING, lambda n: b"OK\t" + n + b"\tuser=alice@example.test\tnologin\treason=closed\n", 535, id="nologin"),
    pytest.param(GREETING, lambda n: b"\n", 454, id="nothing"),
    pytest.param(GREETING, lambda n: b"OK\t99\nOK\t0\nWHAT\t" + n + b"\nFAIL\t" + n + b"\n", 535, id="others-then-no"),
    pytest.param(GREETING, lambda n: b"CONT\t" + n + b"\tUGFzc3dvcmQ6\n", 454, id="continuation"),
    pytest.param(GREETING, lambda n: b"FAIL\t" + n + b"\tuser=alice\ttemp\n", 454, id="trouble"),
    pytest.param(GREETING, lambda n: b"OK\t" + n + b"\tuser=" + b"a" * 400 + b"\n", 454, id="long-name"),
    pytest.param(GREETING, lambda n: b"OK\t" + n + b"\tuser=*\n", 454, id="star"),
    pytest.param(GREETING, lambda n: b"OK\t" + n + b"\tuser=a b@example.test\n", 454, id="blank"),
    pytest.param(GREETING, lambda n: b"O" * 20000, 454, id="long-line"),
    pytest.param(GREETING, lambda n: None, 454, id="end"),
    pytest.param(GREETING, lambda n: b"", 454, id="silence"),
    pytest.param(GREETING.replace(b"\t1\t2", b"\t2\t0"), lambda n: b"OK\t" + n + b"\n", 454, id="version-2"),
    pytest.param(GREETING.replace(b"PLAIN", b"LOGIN"), lambda n: b"OK\t" + n + b"\n", 454, id="no-plain"),
    pytest.param(GREETING[:-5], lambda n: b"OK\t" + n + b"\n", 454, id="no-done"),
    pytest.param(b"\x00" * 100 + b"\n", lambda n: b"", 454, id="zeros"),
    pytest.param(b"220 mail.example ESMTP\r\n", lambda n: b"", 454, id="smtp"),
])
def test_what_answers_is_not_dovecot(dovecotless, greeting, says, code):
    pretender = Pretender(dovecotless.path("socket"), greeting, says)
    try:
        assert dovecotless.login("alice@example.test")[0] == code
        assert (len(pretender.questions) == 1) == (GREETING == greeting), "nothing is asked before it has greeted as it must"
        assert all(re.fullmatch(rb"AUTH\t\d+\tPLAIN\tservice=smtp\tnologin\tno-penalty\trip=127\.0\.0\.1\tresp=[A-Za-z0-9+/=]+\n", q)
                   for q in pretender.questions)
    finally:
        pretender.close()
        os.unlink(dovecotless.path("socket"))
    assert dovecotless.login("alice@example.test")[0] == 454, "nobody is there"


@pytest.fixture(scope="module")
def dovecotless():
    with House(lambda i: {"dovecotauth": i.path("socket"), "programseconds": "3"}) as i:
        yield i
        assert "process-ended" not in i.log()


@pytest.fixture(scope="module")
def house():
    with House(lambda i: {"checkpassword": f"{i.path('check')} /bin/true", "programseconds": "60"}, programs=[("check", PROGRAM)]) as i:
        yield i


def ask(session, name):
    session.send(f"AUTH PLAIN {b64(chr(0) + name + chr(0) + PASSWORD)}\r\n".encode())


@pytest.mark.parametrize("victim", ["authrun", "auth"])
def test_one_is_killed_while_a_program_runs(house, victim):
    wait_for(lambda: house.login("alice@example.test")[0] == 235, 20, "a login")
    with house.smtp() as s:
        ask(s, "hang@example.test")
        wait_for(lambda: len(house.processes()) >= 2, 20, "the program")
        os.kill(house.pids("submission")[victim], signal.SIGKILL)
        assert s.reply()[0] in (0, 421, 454), "no answer, or a temporary one"
    wait_for(lambda: house.login("alice@example.test")[0] == 235, 30, "a login with the next generation")
    # of authrun killed so, what its programs had started is nobody's any more: this one ends with its time
    leftover = 1 if victim == "authrun" else 0
    wait_for(lambda: len(house.processes()) <= leftover, 20, "the end of the program")
    for p in house.processes():
        os.kill(int(re.search(r"\nPid:\t(\d+)", p)[1]), signal.SIGKILL)


def test_a_client_that_goes_does_not_end_the_next(house):
    for _ in range(20):
        with house.smtp() as s:
            ask(s, "alice@example.test")
    assert house.login("alice@example.test", "wrong")[0] == 535
    assert house.login("alice@example.test")[0] == 235


def test_a_change_of_the_program_counts_from_sighup_on(house):
    house.control("checkpassword", f"/bin/false {house.path('check')}")
    number = house.log("submission").count("event=generation")
    house.wardens["submission"].send_signal(signal.SIGHUP)
    wait_for(lambda: house.log("submission").count("event=generation") > number, 20, "the next generation")
    assert wait_for(lambda: house.login("alice@example.test")[0] == 535, 20)
    house.control("checkpassword", "/nowhere/program")
    house.wardens["submission"].send_signal(signal.SIGHUP)
    house.wait_log("event=reload-refused .*expected a program that is there")
    house.control("checkpassword", f"{house.path('check')} /bin/true")
    house.wardens["submission"].send_signal(signal.SIGHUP)
    assert wait_for(lambda: house.login("alice@example.test")[0] == 235, 20)


def memory(pid):
    found = b""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            first, last, rights = re.match(r"(\w+)-(\w+) (\S+)", line).groups()
            if rights.startswith("rw"):
                mem.seek(int(first, 16))
                found += mem.read(int(last, 16) - int(first, 16))
    return found


@pytest.mark.skipif("asan" in BIN, reason="the sanitizer maps terabytes")
def test_no_password_stays_in_memory(house):
    secret = "a password like no other 1947"
    for text in (secret, PASSWORD):
        house.login("alice@example.test", text)
    house.login("status111@example.test", secret)
    wait_for(lambda: not house.processes(), 20, "the end of all programs")
    for process in ("authrun", "auth", "policy"):
        octets = memory(house.pids("submission")[process])
        assert len(octets) > 100000, "it can be read at all"
        for text in (secret, PASSWORD):
            for form in (text.encode(), b64(f"\0alice@example.test\0{text}").encode()[:-4], b64(text).encode()[:-4]):
                assert form not in octets, process
