"""Limits of a service, IPv6, and a disk that is full: clear answers, nothing half taken, and recovery without a restart."""
import os
import resource
import subprocess
import sys
import time

import pytest
from instance import Instance, Session, wait_for
import socket


def count_greeted(mx, n):
    held = []
    greeted = 0
    for _ in range(n):
        s = mx.connect(timeout=1.5)
        try:
            greeted += s.reply()[0] == 220
        except (TimeoutError, socket.timeout):
            pass
        held.append(s)
    return greeted, held


def test_one_address_has_its_share_and_gets_it_back():
    with Instance({"smtpd/concurrencyaddress": "5"}) as mx:
        time.sleep(0.5)  # the session that found it up is over, and listen knows
        greeted, held = count_greeted(mx, 8)
        assert greeted == 5
        assert "too many sessions from this address" in mx.log("smtpd")
        for s in held:
            s.socket.close()
        wait_for(mx.answers, what="room for others")


def test_when_all_is_full_connections_wait_and_are_served():
    with Instance({"smtpd/concurrencyincoming": "3"}) as mx:
        wait_for(lambda: count_greeted_and_close(mx, 3) == 3, what="three sessions")
        held = [mx.connect() for _ in range(3)]
        for s in held:
            assert s.reply()[0] == 220
        waiting = mx.connect(timeout=10)
        waiting.socket.settimeout(0.5)
        with pytest.raises((TimeoutError, socket.timeout)):
            waiting.reply()
        held.pop().socket.close()
        waiting.socket.settimeout(10)
        assert waiting.reply()[0] == 220


def count_greeted_and_close(mx, n):
    greeted, held = count_greeted(mx, n)
    for s in held:
        s.socket.close()
    return greeted


def test_ipv6_is_served_and_its_rules_hold():
    with Instance() as mx:
        port = mx.port
        mx.stop("smtpd")
        mx.control("smtpd/listen", [f"127.0.0.1:{port}", f"[::1]:{port}"])
        mx.control("smtpd/rules", ['::1:allow,RELAYCLIENT=""', ":allow"])
        mx.start("smtpd")
        wait_for(mx.answers, what="a greeting")
        with Session(socket.AF_INET6, ("::1", port), 10) as s:
            s.ehlo()
            assert s.say("MAIL FROM:<a@b.test>")[0] == 250
            assert s.say("RCPT TO:<x@elsewhere.test>")[0] == 250
            assert s.say("RSET")[0] == 250
            s.transaction(recipients=("alice@example.test", "postmaster@[IPv6:::1]"))
            assert s.data(b"Subject: six\r\n\r\nx\r\n.\r\n")[0] == 250
        assert b"[IPv6:::1]" in mx.wait_messages(1)[0]
        with mx.connect() as s:
            s.ehlo()
            assert s.say("MAIL FROM:<a@b.test>")[0] == 250
            assert s.say("RCPT TO:<x@elsewhere.test>")[0] == 553


@pytest.fixture
def small_disk():
    mx = Instance({"queuefree": "0"})
    os.mkdir(mx.path("queue"), 0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,nr_inodes=400", "tmpfs", mx.path("queue")], check=True)
    os.chmod(mx.path("queue"), 0o700)
    os.chown(mx.path("queue"), mx.users["queue"], mx.users["queue"])
    yield mx
    subprocess.run(["umount", mx.path("queue")], check=False)


def test_a_full_disk_is_452_and_over_when_it_is_over(small_disk):
    with small_disk as mx:
        with open(mx.path("queue/ballast"), "wb") as f:
            pass
        filler = os.open(mx.path("queue/ballast"), os.O_WRONLY)
        try:
            while True:
                os.write(filler, b"x" * 4096)
        except OSError:
            pass
        codes = set()
        with mx.connect() as s:
            s.ehlo()
            for _ in range(3):
                s.say("RSET")
                codes.add(s.say("MAIL FROM:<a@b.test>")[0])
                codes.add(s.say("RCPT TO:<alice@example.test>")[0])
                code, text = s.say("DATA")
                if code == 354:
                    s.send(b"Subject: full\r\n\r\n" + b"y" * 900000 + b"\r\n.\r\n")
                    code, text = s.reply()
                assert code == 452 and b"4.3.1" in text, text
        assert mx.mailbox() == []
        os.close(filler)
        os.unlink(mx.path("queue/ballast"))
        with mx.connect() as s:
            s.ehlo()
            s.transaction()
            assert s.data(b"Subject: room\r\n\r\nagain\r\n.\r\n")[0] == 250
        assert b"again" in mx.wait_messages(1)[0]


def test_a_size_beyond_the_room_is_refused_at_mail_and_taken_once_there_is_room(small_disk):
    def said(mx, octets):
        with mx.connect() as s:
            s.ehlo()
            return s.say(f"MAIL FROM:<a@b.test> SIZE={octets}")

    with small_disk as mx:
        wait_for(lambda: said(mx, 3000000) == (452, b"452 4.3.1 this host has no room for a message of that size now, try again later"), 10, "452 at MAIL")
        assert said(mx, 100000)[0] == 250
        with mx.connect() as s:  # a client that hides the size learns it at DATA, or behind it
            s.ehlo()
            assert s.say("MAIL FROM:<a@b.test>")[0] == 250
        subprocess.run(["mount", "-o", "remount,size=8m", mx.path("queue")], check=True)
        wait_for(lambda: said(mx, 3000000)[0] == 250, 15, "room")


def test_a_disk_that_can_not_be_written_is_452_and_over_when_it_is_over(small_disk):
    def said(mx):
        with mx.connect() as s:
            s.ehlo()
            s.transaction()
            code, text = s.say("DATA")
            if code == 354:
                s.send(b"Subject: x\r\n\r\nx\r\n.\r\n")
                code, text = s.reply()
        return code, text

    def mounted(how):
        return subprocess.run(["mount", "-o", "remount," + how, mx.path("queue")], check=False).returncode == 0

    with small_disk as mx:
        assert said(mx)[0] == 250
        mx.wait_messages(1)
        wait_for(lambda: mounted("ro"), what="a moment at which nothing is written")
        code, text = said(mx)
        assert code == 452 and b"4.3.1" in text, text
        assert "Read-only file system" in mx.log("send")
        assert mounted("rw")
        assert said(mx)[0] == 250
        mx.wait_messages(2)


def limit(pid, what, value):
    """As the process's own user, who may; gives back what undoes it."""
    with open(f"/proc/{pid}/status") as f:
        status = dict(line.split(":", 1) for line in f if ":" in line)
    uid, gid = int(status["Uid"].split()[0]), int(status["Gid"].split()[0])
    number = getattr(resource, "RLIMIT_" + what.upper())

    def be(soft):
        code = f"import resource; _, hard = resource.prlimit({pid}, {number}); resource.prlimit({pid}, {number}, (hard if {soft} < 0 else {soft}, hard))"
        subprocess.run([sys.executable, "-c", code], user=uid, group=gid, extra_groups=[], check=True)

    be(value)
    return lambda: be(-1)


def used(pid):
    with open(f"/proc/{pid}/stat") as f:
        words = f.read().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def says(mx):
    """The reply to a message; 0 if there is no session."""
    try:
        with mx.connect(3) as s:
            if s.reply()[0] != 220:
                return 0
            for line in "EHLO a.test", "MAIL FROM:<a@b.test>", "RCPT TO:<alice@example.test>":
                assert s.say(line)[0] == 250
            code, _ = s.say("DATA")
            if code == 354:
                s.send(b"Subject: x\r\n\r\nx\r\n.\r\n")
                code, _ = s.reply()
            return code
    except (ConnectionError, TimeoutError, socket.timeout):
        return 0


def test_without_descriptors_or_processes_nobody_dies_spins_or_accepts():
    with Instance() as mx:
        assert says(mx) == 250
        mx.wait_messages(1)
        for service, process, what, wanted in [("smtpd", "listen", "nofile", [0]), ("smtpd", "smtpd", "nproc", [0]), ("send", "queue", "nofile", [451, 452])]:
            pid = mx.pids(service)[process]
            undo = limit(pid, what, 0)
            before = used(pid)
            assert says(mx) in wanted, process
            time.sleep(0.3)
            assert used(pid) - before < 0.2, process
            undo()
            wait_for(lambda: says(mx) == 250, what="a message as before")
            assert mx.pids(service)[process] == pid
