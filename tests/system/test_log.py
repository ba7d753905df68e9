"""The log may fill up, stand still or go away: mail goes on, and the log says how many lines it lacks."""
import fcntl
import os
import re
import signal
import socket
import subprocess

from instance import BIN, Instance, wait_for


def send(mx, n):
    with mx.connect() as s:
        s.ehlo()
        for _ in range(n):
            s.transaction()
            assert s.data(b"Subject: hello\r\n\r\nhello\r\n.\r\n")[0] == 250


def small_pipe():
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
    return read, write


def test_mail_goes_on_while_nobody_reads_the_log():
    read, write = small_pipe()
    mx = Instance()
    mx.log_fd = write
    with mx:
        before = [mx.pids(s) for s in mx.services]
        send(mx, 30)
        mx.wait_messages(30)
        os.set_blocking(read, False)
        text = b""

        def says_what_is_lost():
            nonlocal text
            try:
                text += os.read(read, 65536)
            except BlockingIOError:
                pass
            send(mx, 1)
            return {p for p, n in re.findall(rb"process=(\w+) pid=\d+ level=warning event=log-dropped service=\w+ n=(\d+)", text) if int(n) > 0} >= {b"policy", b"send"}

        wait_for(says_what_is_lost, what="the number of lines that were lost")
        assert before == [mx.pids(s) for s in mx.services]
    os.close(read)
    os.close(write)


def test_mail_goes_on_when_the_reader_of_the_log_is_gone():
    read, write = small_pipe()
    mx = Instance()
    mx.log_fd = write
    with mx:
        before = [mx.pids(s) for s in mx.services]
        os.close(read)
        send(mx, 5)
        mx.wait_messages(5)
        assert before == [mx.pids(s) for s in mx.services]
    os.close(write)


def test_tcpserver_takes_connections_while_nobody_reads_its_log():
    """And when the reader goes it lives on; the program that it starts has the usual signals."""
    read, write = small_pipe()
    served = subprocess.Popen([f"{BIN}/tcpserver", "-1v", "-H", "-lx", "127.0.0.1", "0", "grep", "SigIgn", "/proc/self/status"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=write)
    os.close(write)
    port = int(served.stdout.readline())

    def ask():
        with socket.create_connection(("127.0.0.1", port), 10) as s:
            said = s.makefile("rb").read()
        assert int(said.split()[1], 16) & (1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1) == 0
        return True

    assert all(ask() for _ in range(60))
    assert os.read(read, 65536) and ask()
    wait_for(lambda: b"lines were dropped" in os.read(read, 65536), what="the number of lines that were lost")
    os.close(read)
    assert ask() and ask() and served.poll() is None
    served.terminate()
    served.wait(10)
    served.stdout.close()
