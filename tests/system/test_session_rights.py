"""What a session of smtpd may still do when somebody has taken it over, as the kernel has it; and how much of the disk its peer gets."""
import os
import subprocess

import pytest
from instance import BIN, Instance, wait_for

MIB = 1 << 20


class Piped(Instance):
    """As under a supervisor: the log goes through a pipe."""

    def start(self, service):
        with open(self.path(service + ".log"), "ab") as log:
            self.loggers = getattr(self, "loggers", []) + [subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=log)]
        pipe = self.loggers[-1].stdin
        words = ["-c", self.path("control"), "-R", self.path("run"), "-q", self.path("queue")]
        self.wardens[service] = subprocess.Popen([f"{BIN}/warden", *words, "-l", BIN, service], stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe)
        pipe.close()

    def __exit__(self, *how):
        super().__exit__(*how)
        for l in self.loggers:
            l.wait(15)


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(w) for w in f.read().split()]


def limit(pid, name):
    with open(f"/proc/{pid}/limits") as f:
        (line,) = [l for l in f if l.startswith(name)]
    return line[len(name):].split()[:2]


def session_of(mx):
    """The process of the one session that is open."""
    return wait_for(lambda: children(mx.pids("smtpd")["smtpd"])[0], 10, "the session's process")


@pytest.mark.parametrize("kind", (Piped, Instance), ids=("log-is-a-pipe", "log-is-a-file"))
def test_a_session_can_make_no_process_and_no_file_larger_than_a_message(kind):
    with kind({"smtpd/databytes": "1000000"}) as mx:
        wait_for(lambda: not children(mx.pids("smtpd")["smtpd"]), 10, "the end of the session that the start has tried")
        with mx.connect() as s:
            s.ehlo()
            pid = session_of(mx)
            assert limit(pid, "Max processes") == ["0", "0"]
            most = limit(pid, "Max file size")
            if kind is Piped:
                assert 1000000 < int(most[0]) < 1000000 + 16 * MIB and most[0] == most[1]
            else:  # a log that is a file must be able to grow
                assert most == ["unlimited", "unlimited"]
            s.transaction()
            assert s.data(b"Subject: as always\r\n\r\nx\r\n.\r\n")[0] == 250
        assert b"as always" in mx.wait_messages(1)[0]


@pytest.fixture()
def small_disk():
    mx = Instance({"queuefree": str(24 * MIB)})
    os.mkdir(mx.path("queue"), 0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", mx.path("queue")], check=True)
    os.chmod(mx.path("queue"), 0o700)
    os.chown(mx.path("queue"), mx.users["queue"], mx.users["queue"])
    yield mx
    subprocess.run(["umount", mx.path("queue")], check=False)


def free(mx):
    disk = os.statvfs(mx.path("queue"))
    return disk.f_bavail * disk.f_bsize


def test_who_does_not_say_how_much_he_sends_leaves_the_disk_its_room_all_the_same(small_disk):
    with small_disk as mx, mx.connect(timeout=30) as s:
        s.ehlo()
        for way in ("DATA", "BDAT"):
            s.transaction()
            if way == "DATA":
                assert s.say("DATA")[0] == 354
            else:
                s.send(b"BDAT %d LAST\r\n" % (32 * MIB))
            least = free(mx)
            for _ in range(32):
                s.send(b"y" * (MIB - 2) + b"\r\n")
                least = min(least, free(mx))
            if way == "DATA":
                s.send(b".\r\n")
            code, text = s.reply()
            assert code == 452 and b"4.3.1" in text, text
            assert least >= 24 * MIB - 2 * MIB, "the message has taken what was to stay free"
            wait_for(lambda: free(mx) > 38 * MIB, 10, "the end of what was refused")
        s.transaction()
        assert s.data(b"Subject: room\r\n\r\nafter all\r\n.\r\n")[0] == 250
        assert b"after all" in mx.wait_messages(1)[0]
