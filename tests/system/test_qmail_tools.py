"""The small programs that lines of .qmail files call, with the environment and the descriptor that a delivery gives them."""
import os
import re
import stat
import subprocess

import pytest
from instance import BIN, Instance

LINE = "Delivered-To: list@example.test\n"
MESSAGE = b"Subject: x\nFrom: a@remote.test\n\nbody\n.\n..dots\nlast"
VARIABLES = {
    "SENDER": "a@remote.test", "NEWSENDER": "list-owner@example.test", "DTLINE": LINE,
    "RPLINE": "Return-Path: <a@remote.test>\n", "UFLINE": "From a@remote.test Tue Dec  1 00:00:00 2026\n",
}


@pytest.fixture(scope="module")
def house():
    with Instance(services=("send", "inject")) as i:
        os.chmod(i.path("control"), 0o755)
        yield i


def run(*words, message=MESSAGE, control="/nonexistent", without=(), **more):
    """A program with the message in a seekable file, as a delivery gives it."""
    env = {"POSTERN_CONTROLDIR": control, "PATH": BIN + ":" + os.environ["PATH"], **VARIABLES, **more}
    for name in without:
        del env[name]
    fd = os.memfd_create("message")
    os.write(fd, message)
    os.lseek(fd, 0, os.SEEK_SET)
    try:
        return subprocess.run(words, stdin=fd, capture_output=True, env=env, timeout=60, check=False)
    finally:
        os.close(fd)


def sent_on(house, *words, user="alice", **more):
    """What comes to a mailbox when a program runs, and its exit status."""
    before = set(house.mailbox(user))
    r = run(*words, control=house.path("control"), **more)
    house.wait_messages(len(before) + 1, user)
    with open((set(house.mailbox(user)) - before).pop(), "rb") as f:
        return r.returncode, f.read()


def test_forward_sends_the_whole_message_with_its_line_in_front(house):
    status, message = sent_on(house, "forward", "alice@example.test")
    head, body = message.split(b"\n\n", 1)
    assert status == 0
    assert head.startswith(b"Return-Path: <list-owner@example.test>\nDelivered-To: alice@example.test\n")
    assert LINE.encode() + b"Subject: x\nFrom: a@remote.test" in head
    assert body == b"body\n.\n..dots\nlast\n"


def test_forward_starts_where_the_message_stands(house):
    status, message = sent_on(house, "sh", "-c", "read line; exec forward alice@example.test")
    assert status == 0 and b"\nSubject:" not in message and b"\nFrom: a@remote.test\n" in message


def test_forward_to_many_is_one_message(house):
    before = {u: set(house.mailbox(u)) for u in ("alice", "bob")}
    assert run("forward", "alice@example.test", "bob@example.test", control=house.path("control")).returncode == 0
    ids = set()
    for user, old in before.items():
        house.wait_messages(len(old) + 1, user)
        with open((set(house.mailbox(user)) - old).pop(), "rb") as f:
            ids.add(re.search(rb" id (\S+)", f.read())[1])
    assert len(ids) == 1


def test_a_forward_that_is_refused_is_final_and_says_why(house):
    r = run("forward", "nobody-at-all@example.test", control=house.path("control"))
    assert r.returncode == 100 and b"nobody-at-all@example.test" in r.stderr


def test_without_a_mail_system_a_forward_waits(tmp_path):
    (tmp_path / "me").write_text("host.example.test\n")
    (tmp_path / "submissionsocket").write_text(f"{tmp_path}/none\n")
    r = run("forward", "alice@example.test", control=str(tmp_path))
    assert r.returncode == 111 and r.stderr.startswith(b"forward: ")


@pytest.mark.parametrize("program,words,variable", [
    ("forward", ["a@b.test"], "NEWSENDER"), ("forward", ["a@b.test"], "DTLINE"), ("condredirect", ["a@b.test", "true"], "SENDER"),
    ("condredirect", ["a@b.test", "true"], "DTLINE"), ("qreceipt", ["a@b.test"], "SENDER"), ("preline", ["cat"], "UFLINE"),
    ("preline", ["cat"], "RPLINE"), ("preline", ["cat"], "DTLINE"),
])
def test_outside_a_delivery_each_says_which_variable_is_missing(house, program, words, variable):
    r = run(program, *words, without=[variable], control=house.path("control"))
    assert r.returncode == 100 and variable.encode() in r.stderr and r.stdout == b""


@pytest.mark.parametrize("words", [["forward"], ["condredirect", "a@b.test"], ["bouncesaying"], ["except"], ["preline"], ["preline", "-x", "cat"],
                                   ["maildirmake"], ["qreceipt"], ["predate"]])
def test_a_wrong_command_line_is_final(words):
    r = run(*words)
    assert r.returncode == 100 and b"usage: " in r.stderr


def test_condredirect_sends_all_of_what_its_program_has_read(house):
    status, message = sent_on(house, "condredirect", "alice@example.test", "sh", "-c", "cat >/dev/null")
    assert status == 99
    assert message.startswith(b"Return-Path: <a@remote.test>\n")
    assert message.endswith(LINE.encode() + MESSAGE + b"\n")


ENDS = [("exit 0", 0), ("exit 1", 1), ("exit 99", 99), ("exit 100", 100), ("exit 111", 111), ("kill -9 $$", 111)]


@pytest.mark.parametrize("program,said", ENDS[1:])
def test_condredirect_goes_on_where_its_program_says_no_and_waits_where_it_can_not_say(house, program, said):
    before = len(house.mailbox("alice"))
    r = run("condredirect", "alice@example.test", "sh", "-c", program, control=house.path("control"))
    assert r.returncode == (111 if said == 111 else 0)
    assert len(house.mailbox("alice")) == before


@pytest.mark.parametrize("program,said", ENDS)
def test_bouncesaying_refuses_where_its_program_agrees(program, said):
    r = run("bouncesaying", "no such list", "sh", "-c", program)
    assert r.returncode == (100 if said == 0 else 111 if said == 111 else 0)
    assert r.stdout == (b"no such list\n" if said == 0 else b"")


def test_bouncesaying_alone_refuses_all():
    r = run("bouncesaying", "closed")
    assert (r.returncode, r.stdout) == (100, b"closed\n")


@pytest.mark.parametrize("program,said", ENDS)
def test_except_turns_round_all_but_later(program, said):
    assert run("except", "sh", "-c", program).returncode == (100 if said == 0 else 111 if said == 111 else 0)


@pytest.mark.parametrize("program", ["bouncesaying x", "except", "preline", "condredirect a@b.test"])
def test_a_program_that_is_not_there_is_named(program):
    r = run(*program.split(), "/nonexistent/program")
    assert b"/nonexistent/program: No such file" in r.stderr
    assert r.returncode == (100 if program == "preline" else 0)


@pytest.mark.parametrize("option,left_out", [("", ""), ("-f", "UFLINE"), ("-r", "RPLINE"), ("-d", "DTLINE"), ("-frd", "UFLINE RPLINE DTLINE"),
                                             ("-fF", ""), ("-Ff", "UFLINE")])
def test_preline_puts_its_lines_in_front(option, left_out):
    r = run("preline", *option.split(), "cat")
    lines = "".join(VARIABLES[v] for v in ("UFLINE", "RPLINE", "DTLINE") if v not in left_out.split())
    assert r.returncode == 0 and r.stdout == lines.encode() + MESSAGE


@pytest.mark.parametrize("program,said", ENDS)
def test_preline_ends_as_its_program_does_even_if_that_reads_nothing(program, said):
    assert run("preline", "sh", "-c", program, message=b"x" * 1000000).returncode == said


def test_maildirmake_makes_a_private_maildir_and_touches_none_that_is_there(tmp_path):
    path = tmp_path / "Maildir"
    assert run("maildirmake", str(path)).returncode == 0
    assert {p.name for p in path.iterdir()} == {"tmp", "new", "cur"}
    assert all(stat.S_IMODE(p.stat().st_mode) == 0o700 for p in (path, *path.iterdir()))
    r = run("maildirmake", str(path))
    assert r.returncode == 111 and b"File exists" in r.stderr


ASKS = b"From: a@remote.test\nNotice-Requested-Upon-Delivery-To: Bob <bob@example.test>,\n %s\n\nbody\n"


def test_a_receipt_goes_to_the_sender_from_nobody(house):
    status, message = sent_on(house, "qreceipt", "list@example.test", message=ASKS % b"list@example.test", SENDER="alice@example.test")
    assert status == 0
    assert message.startswith(b"Return-Path: <>\n")
    assert b"\nAuto-Submitted: auto-replied\n" in message and b"list@example.test" in message


@pytest.mark.parametrize("message,sender", [(ASKS % b"other@example.test", "alice@example.test"), (ASKS % b"list@example.test", ""),
                                            (ASKS % b"list@example.test", "#@[]"), (b"no header", "alice@example.test"), (b"", "alice@example.test")])
def test_nobody_gets_a_receipt_that_was_not_asked_for(house, message, sender):
    before = len(house.mailbox("alice"))
    assert run("qreceipt", "list@example.test", message=message, SENDER=sender, control=house.path("control")).returncode == 0
    sent_on(house, "forward", "bob@example.test", user="bob")  # what was sent before has come by now
    assert len(house.mailbox("alice")) == before


def test_predate_puts_a_date_in_front():
    r = run("predate", "cat")
    assert r.returncode == 0
    assert re.fullmatch(rb"Date: \w{3}, \d\d? \w{3} \d{4} [\d:]{8} \+0000\n", r.stdout.removesuffix(MESSAGE))


def test_datemail_is_predate_with_sendmail(tmp_path):
    os.symlink(os.path.join(BIN, "predate"), tmp_path / "datemail")
    (tmp_path / "sendmail").write_text("#!/bin/sh\necho \"$@\"\nexec cat\n")
    (tmp_path / "sendmail").chmod(0o755)
    r = run(str(tmp_path / "datemail"), "-t", "x", PATH=f"{tmp_path}:/usr/bin:/bin")
    assert r.returncode == 0 and r.stdout.startswith(b"-t x\nDate: ") and r.stdout.endswith(MESSAGE)


@pytest.mark.parametrize("program", ["forward", "qmail-queue"])
def test_an_address_beyond_ascii_is_sent_as_such(house, program):
    if program == "forward":
        r = run("forward", "alice@example.test", NEWSENDER="jürgen@remote.test", control=house.path("control"))
    else:
        envelope = os.memfd_create("envelope")
        os.write(envelope, "Fjürgen@remote.test\0Talice@example.test\0\0".encode())
        os.lseek(envelope, 0, os.SEEK_SET)
        r = subprocess.run([os.path.join(BIN, "qmail-queue")], input=MESSAGE, stdout=envelope, stderr=subprocess.PIPE, timeout=60, check=False,
                           env={"POSTERN_CONTROLDIR": house.path("control")})
        os.close(envelope)
    assert r.returncode == 0, r.stderr
