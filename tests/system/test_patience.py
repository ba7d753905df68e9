"""Nothing waits for ever for a service that starts again and again, or stands still: tools and clients are told within seconds."""
import contextlib
import os
import signal
import subprocess
import threading
import time

import pytest
from instance import BIN, Instance, wait_for


@pytest.fixture
def house():
    with Instance(services=("send", "smtpd", "inject")) as i:
        os.chmod(i.path("control"), 0o755)
        yield i


@contextlib.contextmanager
def standing_still(house, name):
    pid = house.pids("send")[name]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def crashing(house, name):
    """The member dies as soon as it is there, again and again."""
    over = threading.Event()

    def kill():
        while not over.wait(0.02):
            with contextlib.suppress(OSError, KeyError, ValueError):
                os.kill(house.pids("send")[name], signal.SIGSEGV)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        wait_for(lambda: house.log("send").count("event=process-ended") >= 3, 20, "a loop of crashes")
        yield
    finally:
        over.set()
        thread.join()


def timed(run):
    began = time.monotonic()
    return run(), time.monotonic() - began


def queue_list(house):
    return timed(lambda: house.postern("queue", "-R", house.path("run"), "list"))


def data(house):
    def run():
        with house.connect(timeout=60) as s:
            s.ehlo()
            s.transaction()
            code, text = s.say("DATA")
            if code == 354:
                s.send(b"Subject: x\r\n\r\nx\r\n.\r\n")
                code, text = s.reply()
            return code, text
    return timed(run)


def sendmail(house):
    return timed(lambda: subprocess.run([f"{BIN}/sendmail", "alice@example.test"], input=b"Subject: x\n\nx\n", capture_output=True, timeout=100, check=False,
                                        env={"POSTERN_CONTROLDIR": house.path("control"), "PATH": os.environ["PATH"]}))


def test_where_queue_stands_still_all_are_told(house):
    with standing_still(house, "queue"):
        listed, seconds = queue_list(house)
        assert listed.returncode == 111 and seconds < 25
        assert "queue has not answered for 15 seconds" in listed.stderr and "the log of the service send" in listed.stderr
        (code, text), seconds = data(house)
        assert code == 451 and seconds < 25, text
        sent, seconds = sendmail(house)
        assert sent.returncode == 111 and seconds < 30 and b"451" in sent.stderr, sent.stderr
    wait_for(lambda: data(house)[0][0] == 250, 30, "mail is taken again")
    assert queue_list(house)[0].returncode == 0


@pytest.mark.parametrize("member", ["send", "queue"])
def test_where_a_member_crashes_again_and_again_all_are_told_or_served(house, member):
    with crashing(house, member):
        listed, seconds = queue_list(house)
        assert seconds < 25 and (listed.returncode == 0 or listed.stderr.startswith("postern queue: ")), listed.stderr
        (code, text), seconds = data(house)
        assert code in (250, 451) and seconds < 25, text
        sent, seconds = sendmail(house)
        assert seconds < 30 and (sent.returncode == 0 or (sent.returncode == 111 and sent.stderr.startswith(b"sendmail: "))), sent.stderr
    wait_for(lambda: data(house)[0][0] == 250, 30, "mail is taken again")


def test_a_submission_service_that_greets_nobody_is_left_with_a_reason(house):
    pid = house.pids("inject")["listen"]
    os.kill(pid, signal.SIGSTOP)
    try:
        sent, seconds = sendmail(house)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert sent.returncode == 111 and seconds < 45
    assert b"has not answered for 30 seconds: the logs of its services inject and send say why" in sent.stderr
