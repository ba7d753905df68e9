"""Deliveries into Maildirs: as whom, what defers, what comes back, what is left on disk."""
import os
import stat
import subprocess
import time

import pytest
from instance import Instance, wait_for


@pytest.fixture(scope="module")
def shared():
    with Instance({"percenthack": ["example.test"]}) as i:
        yield i


@pytest.fixture
def house():
    with Instance() as i:
        yield i


def submit(house, content=b"Subject: x\r\n\r\nx\r\n", recipients=("alice@example.test",), sender="you@sender.test"):
    with house.connect() as s:
        s.ehlo()
        s.transaction(sender, recipients)
        assert s.data(content + b".\r\n")[0] == 250


def accepted(house):
    with house.connect() as s:
        s.ehlo()
        s.transaction()
        code = s.say("DATA")[0]
        if code != 354:
            return False
        s.send(b"Subject: again\r\n\r\nx\r\n.\r\n")
        return s.reply()[0] == 250


def queue_is_empty(house):
    wait_for(lambda: not house.queued(), what="the end of all messages")


def deferred(house, *words):
    """Waits for a line of the log about a deferral that has all these words."""
    wait_for(lambda: any(all(w in line for w in words) for line in house.log("send").splitlines()), what=f"a line with {words}")
    assert house.queued()


def test_a_message_is_its_users_and_nobody_elses(shared):
    submit(shared, b"Subject: mine\r\n\r\nx\r\n")
    shared.wait_messages(1)
    st = os.stat(shared.mailbox()[0])
    assert stat.S_IMODE(st.st_mode) == 0o600 and st.st_uid == shared.uid + 19 and st.st_nlink == 1
    assert stat.S_IMODE(os.stat(shared.path("mail/alice/Maildir")).st_mode) == 0o700
    assert os.listdir(shared.path("mail/alice/Maildir/tmp")) == []


def test_fields_of_delivery_come_first_and_in_order(shared):
    before = set(shared.mailbox("bob"))
    submit(shared, b"Subject: order\r\n\r\nx\r\n", ["BOB@Example.Test"])
    wait_for(lambda: set(shared.mailbox("bob")) - before)
    with open((set(shared.mailbox("bob")) - before).pop(), "rb") as f:
        lines = f.read().split(b"\n")
    assert lines[0] == b"Return-Path: <you@sender.test>"
    assert lines[1].lower() == b"delivered-to: bob@example.test"
    assert lines[2].startswith(b"Received: ")
    assert b"Subject: order" in lines


@pytest.mark.parametrize("content,stored", [
    (b"Subject: e\r\n\r\n", b"Subject: e\n\n"), (b"\r\nonly a body\r\n", b"\nonly a body\n"), (b"no header\r\n", b"no header\n"),
    (b"X: y\r\n\r\n..\r\n...\r\nFrom x\r\n", b"X: y\n\n.\n..\nFrom x\n"), (b"S: 8\r\n\r\n\xff\xfe\x7f\x01\r\n", b"S: 8\n\n\xff\xfe\x7f\x01\n"),
    (b"L: 1\r\n\r\n" + b"x" * 900 + b"\r\n", b"L: 1\n\n" + b"x" * 900 + b"\n"),
])
def test_octets_come_through_as_they_were(shared, content, stored):
    before = set(shared.mailbox("bob"))
    submit(shared, content, ["bob@example.test"])
    new = wait_for(lambda: set(shared.mailbox("bob")) - before)
    with open(new.pop(), "rb") as f:
        assert f.read().endswith(stored)


def test_a_message_to_one_user_twice_is_delivered_to_each_address(house):
    submit(house, recipients=["alice@example.test", "bob@example.test", "postmaster@example.test"])
    for user in ("alice", "bob", "postmaster"):
        assert len(house.wait_messages(1, user)) == 1
    queue_is_empty(house)


def test_the_log_of_a_delivery_has_the_recipient_that_the_sender_said(shared):
    """whoever asks what became of a message knows only the address that the tables of this host made another of"""
    submit(shared, b"Subject: hack\r\n\r\nx\r\n", recipients=["alice%example.test@example.test"])
    line = wait_for(lambda: next((x for x in shared.log("send").splitlines() if "event=delivery " in x and "orig=" in x), None), what="the line")
    assert " rcpt=alice@example.test orig=alice%example.test@example.test user=" in line
    plain = [x for x in shared.log("send").splitlines() if "event=delivery " in x and "orig=" not in x]
    submit(shared)
    wait_for(lambda: len([x for x in shared.log("send").splitlines() if "event=delivery " in x and "orig=" not in x]) > len(plain), what="a plain one")


def test_a_loop_ends_in_a_report(house):
    submit(house, b"Delivered-To: Alice@EXAMPLE.test\r\nSubject: round\r\n\r\nx\r\n", sender="bob@example.test")
    report = house.wait_messages(1, "bob")[0]
    assert b"Status: 5.4.6\n" in report and b"circles" in report
    queue_is_empty(house)
    assert house.mailbox() == [] and os.listdir(house.path("mail/alice/Maildir/tmp")) == []


def test_delivered_to_in_the_body_is_no_loop(house):
    submit(house, b"Subject: quote\r\n\r\nDelivered-To: alice@example.test\r\n")
    house.wait_messages(1)


@pytest.mark.parametrize("mode", [0o1700, 0o720, 0o702])
def test_an_unsafe_home_defers(house, mode):
    os.chmod(house.path("mail"), mode)
    submit(house)
    deferred(house, "4.7.0", "home directory")
    assert house.mailbox() == []


def test_what_is_in_the_way_of_a_maildir_defers(house):
    os.makedirs(house.path("mail/alice"))
    with open(house.path("mail/alice/Maildir"), "w"):
        pass
    os.symlink("/tmp", house.path("mail/bob"))
    os.chown(house.path("mail/alice"), house.uid + 19, house.uid + 19)
    submit(house, recipients=["alice@example.test", "bob@example.test"])
    deferred(house, "4.2.1", "alice")
    deferred(house, "4.2.1", "bob")
    assert not os.path.exists("/tmp/Maildir")


def test_new_that_can_not_be_written_defers_and_leaves_nothing_in_tmp(house):
    submit(house)
    house.wait_messages(1)
    wait_for(lambda: not house.queued())
    os.chmod(house.path("mail/alice/Maildir/new"), 0o500)
    submit(house, b"Subject: second\r\n\r\nx\r\n")
    deferred(house, "4.2.1", "alice")
    assert os.listdir(house.path("mail/alice/Maildir/tmp")) == []
    assert len(house.mailbox()) == 1


def test_old_files_of_tmp_are_removed_and_fresh_ones_stay(house):
    tmp = house.path("mail/alice/Maildir/tmp")
    submit(house)
    house.wait_messages(1)
    for name, age in (("old", 37 * 3600), ("fresh", 3600)):
        with open(os.path.join(tmp, name), "w"):
            pass
        os.utime(os.path.join(tmp, name), (os.stat(tmp).st_mtime - age,) * 2)
    house.stop("send")
    house.start("send")
    wait_for(lambda: house.log("send").count("event=start-read") == 2, what="a queue that is back")
    wait_for(lambda: accepted(house), what="mail that is taken again")
    house.wait_messages(2)
    assert os.listdir(tmp) == ["fresh"]


def test_a_crowd_of_virtual_users_gets_its_mail_at_once():
    users = [f"u{i}" for i in range(100)]
    with Instance({"virtualusers": [f"{u}@example.test:{u}/Maildir" for u in users]}) as house:
        for i in range(3):
            submit(house, recipients=[f"{u}@example.test" for u in users])
        for u in users:
            assert len(house.wait_messages(3, u)) == 3
        queue_is_empty(house)
        assert "4.2.1" not in house.log("send")


@pytest.mark.parametrize("account", ["7:7", "own", "nogroup"])
def test_nothing_is_delivered_as_root_or_as_the_house(account):
    house = Instance()
    account = {"own": f"{house.users['queue']}:{house.users['queue']}", "nogroup": f"{house.uid + 19}:0"}.get(account, account)
    house.control("virtualuser", f"{account}:{house.path('mail')}")
    os.chown(house.path("mail"), *map(int, account.split(":")))
    with house, house.connect() as s:
        s.ehlo()
        s.say("MAIL FROM:<you@sender.test>")
        assert s.say("RCPT TO:<alice@example.test>")[0] == 451
        assert house.mailbox() == []


def test_who_was_taken_and_may_not_be_delivered_to_waits_with_the_reason():
    with Instance({"send/minuid": "4294967294"}) as house:
        submit(house)
        deferred(house, "4.2.1", "alice", "the uid is below minuid", house.path("mail"))


@pytest.mark.parametrize("account", ["0:0", "0:5"])
def test_root_as_the_virtual_user_is_no_configuration(account):
    house = Instance(services=("send",))
    house.control("virtualuser", f"{account}:{house.path('mail')}")
    house.start("send")
    assert house.wardens["send"].wait(10) != 0
    assert "uid other than 0" in house.log("send")
    house.__exit__(None, None, None)


def test_a_killed_local_delivers_later_and_ends_nobody_else(house):
    submit(house)
    house.wait_messages(1)
    for pid in os.listdir("/proc"):
        if not pid.isdigit():
            continue
        try:
            with open(f"/proc/{pid}/comm") as f:
                name = f.read().strip()
            uid = os.stat(f"/proc/{pid}").st_uid
        except OSError:
            continue
        if name == "local" and uid == house.uid + 19:
            os.kill(int(pid), 11)
    pids = house.pids("send")
    submit(house, recipients=["bob@example.test"])

    def came():
        house.wardens["send"].send_signal(14)  # it may have been given to the dying one: SIGALRM tries again
        time.sleep(0.3)
        return house.mailbox("bob")

    wait_for(came, 30, "delivery after all")
    assert house.pids("send") == pids


@pytest.fixture
def small_disk(house):
    """The home on a filesystem of 256 KiB."""
    mail = house.path("mail")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=700", "small", mail], capture_output=True).returncode != 0:
        pytest.skip("no right to mount")
    os.chown(mail, house.uid + 19, house.uid + 19)
    yield house
    for service in list(house.wardens)[::-1]:
        house.stop(service)
    subprocess.run(["umount", "-l", mail], check=True)


@pytest.mark.parametrize("octets", [180_000, 240_000, 400_000])
def test_a_full_disk_defers_what_does_not_fit_and_nothing_else(small_disk, octets):
    body = (b"x" * 998 + b"\r\n") * (octets // 1000)
    submit(small_disk, b"Subject: fits\r\n\r\n" + b"y" * 900 + b"\r\n")
    small_disk.wait_messages(1)
    for _ in range(2):
        submit(small_disk, b"Subject: large\r\n\r\n" + body)
    deferred(small_disk, "4.2.2", "alice")
    assert os.listdir(small_disk.path("mail/alice/Maildir/tmp")) == []
    submit(small_disk, b"Subject: fits as well\r\n\r\nz\r\n")
    wait_for(lambda: any(b"fits as well" in m for m in small_disk.messages()))
    for message in small_disk.messages():
        assert b"Subject: fits" in message or message.count(b"x" * 998) == octets // 1000


def test_tmp_on_another_filesystem_defers_and_leaves_nothing(house):
    submit(house)
    house.wait_messages(1)
    tmp = house.path("mail/alice/Maildir/tmp")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmp", tmp], capture_output=True).returncode != 0:
        pytest.skip("no right to mount")
    try:
        os.chown(tmp, house.uid + 19, house.uid + 19)
        time.sleep(5)  # the Maildir is opened anew
        submit(house)
        deferred(house, "4.2.1", "alice")
        assert os.listdir(tmp) == [] and len(house.mailbox()) == 1
    finally:
        subprocess.run(["umount", "-l", tmp], check=True)
