"""What can't be delivered now is kept, tried again and, in the end, returned."""
import os
import signal
import time

import pytest
from instance import Instance, wait_for
from test_bounce_reports import parse, parts_of, queue_is_empty, send_one


@pytest.fixture
def mx():
    with Instance({"smtpd/rcpthosts": ["example.test", "far.test"]}) as i:
        yield i


def block(mx):
    """A home that others can write to gets no mail, for the time being."""
    os.chmod(mx.path("mail"), 0o770)


def unblock(mx):
    os.chmod(mx.path("mail"), 0o700)


def deferrals(mx):
    return mx.log("send").count("result=deferred")


def deferred(mx, n=1):
    wait_for(lambda: deferrals(mx) >= n, what=f"deferral {n}")


def retry_until(mx, condition):
    """A retry does not reach what is just failing, nor what a new generation has not read yet: more than one may be needed."""
    def is_so():
        mx.wardens["send"].send_signal(signal.SIGALRM)
        time.sleep(0.3)
        return condition()
    wait_for(is_so, 30, "what was to be retried")


def test_what_is_deferred_comes_when_everything_is_tried_now(mx):
    block(mx)
    send_one(mx, recipients=("bob@example.test",))
    deferred(mx)
    assert "written by others" in mx.log("send")
    assert len(mx.queued()) == 1 and mx.mailbox("bob") == []
    unblock(mx)
    retry_until(mx, lambda: mx.mailbox("bob"))
    queue_is_empty(mx)
    assert mx.mailbox("alice") == []


def test_it_is_tried_again_by_itself_on_a_new_start_when_due(mx):
    block(mx)
    send_one(mx, recipients=("bob@example.test",))
    deferred(mx)
    mx.stop("send")
    unblock(mx)
    age(mx.queued()[0], 4000)
    mx.start("send")
    mx.wait_messages(1, "bob")
    queue_is_empty(mx)


def age(file, seconds):
    """Makes a queue file older: as if it had come, and been due, so long ago (lib/store/format.h)."""
    import struct
    import zlib
    with open(file, "r+b") as f:
        octets = bytearray(f.read())
        n, = struct.unpack_from("<I", octets, 16)
        envelope, = struct.unpack_from("<I", octets, 44)
        received, = struct.unpack_from("<Q", octets, 24)
        struct.pack_into("<Q", octets, 24, received - seconds * 1000000)
        struct.pack_into("<Q", octets, 72, 0)
        struct.pack_into("<I", octets, 8, zlib.crc32(bytes(octets[12:64]) + bytes(octets[80 + n:80 + n + envelope])))
        f.seek(0)
        f.write(octets)


def test_a_message_that_got_too_old_has_one_last_try_and_is_returned(mx):
    block(mx)
    send_one(mx, recipients=("bob@example.test",))
    deferred(mx)
    mx.stop("send")
    age(mx.queued()[0], 604800 + 100)
    mx.start("send")
    deferred(mx, 1)
    wait_for(lambda: "result=failed" in mx.log("send"))
    unblock(mx)
    retry_until(mx, lambda: mx.mailbox("alice"))  # the report was deferred too
    _, (_, recipient), _ = parts_of(parse(mx.messages()[0]))
    assert recipient["Action"] == "failed" and recipient["Status"].startswith("5.")
    assert "too long" in recipient["Diagnostic-Code"]
    queue_is_empty(mx)
    assert mx.mailbox("bob") == []


def test_a_delay_is_told_once_to_who_asked(mx):
    send_one(mx, recipients=("someone@far.test", "other@far.test"), options={"someone@far.test": " NOTIFY=FAILURE,DELAY"})
    deferred(mx, 2)
    mx.stop("send")
    age(mx.queued()[0], 4 * 3600 + 100)
    mx.start("send")
    notice = parse(mx.wait_messages(1)[0])
    assert "delay notice" in notice["Subject"]
    _, (_, *recipients), _ = parts_of(notice)
    assert [(r["Final-Recipient"], r["Action"], r["Status"][:2]) for r in recipients] == [("rfc822;someone@far.test", "delayed", "4.")]
    assert recipients[0]["Will-Retry-Until"], notice.as_string()
    mx.wardens["send"].send_signal(signal.SIGALRM)
    deferred(mx, 6)
    wait_for(lambda: send_one(mx, sender="", recipients=("alice@example.test",)) or True, what="a queue to take mail again")
    assert sum(b"delay notice" in m for m in mx.wait_messages(2)) == 1 and len(mx.queued()) == 1


def test_mail_to_other_hosts_waits_with_its_reason(mx):
    send_one(mx, recipients=("someone@far.test", "bob@example.test"))
    mx.wait_messages(1, "bob")
    deferred(mx)
    assert "status=4.4.3" in mx.log("send") and "no name server" in mx.log("send")
    assert len(mx.queued()) == 1
    mx.stop("send")
    mx.start("send")  # a start does not try what is not due
    time.sleep(0.5)
    assert deferrals(mx) == 1
    mx.wardens["send"].send_signal(signal.SIGALRM)
    deferred(mx, 2)
    assert len(mx.mailbox("bob")) == 1


def test_a_delivery_process_that_is_killed_loses_nothing(mx):
    send_one(mx, recipients=("bob@example.test",))
    mx.wait_messages(1, "bob")
    victims = [p for p in children(mx.pids("send")["lspawn"])]
    assert victims
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    send_one(mx, recipients=("bob@example.test",))
    retry_until(mx, lambda: len(mx.mailbox("bob")) == 2)
    queue_is_empty(mx)


def children(pid):
    out = []
    for p in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{p}/stat") as f:
                if f.read().rsplit(")", 1)[1].split()[1] == str(pid):
                    out.append(int(p))
        except (FileNotFoundError, ProcessLookupError):
            pass
    return out


@pytest.mark.parametrize("who", ["send", "queue", "lspawn"])
def test_a_process_that_is_killed_is_replaced_and_loses_nothing(mx, who):
    block(mx)
    for i in range(5):
        send_one(mx, recipients=("bob@example.test",))
    deferred(mx, 5)
    before = mx.pids("send")
    unblock(mx)
    os.kill(before[who], signal.SIGKILL)
    wait_for(lambda: mx.pids("send").get(who, before[who]) != before[who], what="a new generation")
    send_one(mx, recipients=("bob@example.test",))
    retry_until(mx, lambda: len(mx.mailbox("bob")) >= 6)
    queue_is_empty(mx)
    assert len(mx.mailbox("bob")) == 6


def test_one_mailbox_that_fails_does_not_hold_up_the_others(mx):
    for i in range(50):
        send_one(mx, recipients=("alice@example.test",))
    mx.wait_messages(50)
    os.chmod(mx.path("mail/alice/Maildir/tmp"), 0o500)
    for i in range(50):
        send_one(mx, recipients=("alice@example.test",))
    send_one(mx, recipients=("bob@example.test",))
    mx.wait_messages(1, "bob", seconds=5)
    deferred(mx, 50)
    os.chmod(mx.path("mail/alice/Maildir/tmp"), 0o700)
    retry_until(mx, lambda: len(mx.mailbox("alice")) == 100)
    queue_is_empty(mx)


@pytest.mark.parametrize("there", [[], ["tmp"], ["cur"], ["tmp", "cur"]])
def test_a_maildir_that_was_half_made_when_its_maker_was_killed_is_completed(mx, there):
    for d in ["bob", "bob/Maildir", *("bob/Maildir/" + t for t in there)]:
        os.mkdir(mx.path("mail/" + d), 0o700)
        os.chown(mx.path("mail/" + d), mx.uid + 19, mx.uid + 19)
    send_one(mx, recipients=("bob@example.test",))
    mx.wait_messages(1, "bob")
    assert sorted(os.listdir(mx.path("mail/bob/Maildir"))) == ["cur", "new", "tmp"]


def test_a_user_whom_lspawn_may_not_become_gets_nothing_and_the_reason_is_kept():
    with Instance({"send/minuid": "4000000000"}) as mx:
        send_one(mx, recipients=("bob@example.test",))
        deferred(mx)
        wait_for(lambda: "result=deferred" in mx.log("send"), what="its line in the log")
        assert "the uid is below minuid: user virtual, uid " in mx.log("send").split("result=deferred", 1)[1].split("\n", 1)[0]
        assert len(mx.queued()) == 1
