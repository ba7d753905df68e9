"""Local programs: sendmail, postern-inject and qmail-queue against a running instance."""
import os
import re
import smtplib
import subprocess
import sys
import time

import pytest
from instance import BIN, Instance, wait_for


@pytest.fixture(scope="module")
def house():
    with Instance(services=("send", "smtpd", "inject")) as i:
        os.chmod(i.path("control"), 0o755)
        yield i


def run(house, program, *words, message=b"", uid=None, env=None):
    e = {"POSTERN_CONTROLDIR": house.path("control"), "PATH": os.environ["PATH"], **(env or {})}
    return subprocess.run([os.path.join(BIN, program), *words], input=message, capture_output=True, env=e, timeout=60, user=uid)


def deliver(house, program, *words, message=b"", user="alice", **kw):
    before = set(house.mailbox(user))
    r = run(house, program, *words, message=message, **kw)
    assert r.returncode == 0, r.stderr
    house.wait_messages(len(before) + 1, user)
    with open((set(house.mailbox(user)) - before).pop(), "rb") as f:
        return f.read()


def test_what_is_missing_is_added_and_bcc_taken_away(house):
    message = deliver(house, "sendmail", "-t", "-F", "Some Body", message=b"To: Alice <alice@example.test>\nBcc: bob@example.test\nSubject: x\n\nbody\n",
                      env={"USER": "carol", "QMAILHOST": "example.test"})
    assert b"\nBcc:" not in message
    assert b'\nFrom: "Some Body" <carol@example.test>\n' in message
    assert b"\nDate: " in message and b"\nMessage-ID: <" in message
    assert message.startswith(b"Return-Path: <carol@example.test>\n")
    assert message.endswith(b"\n\nbody\n")
    assert any(b"Subject: x\n" in m for m in house.wait_messages(1, "bob"))


def test_the_uid_of_the_caller_is_in_the_trace(house):
    message = deliver(house, "postern-inject", "alice@example.test", message=b"Subject: who\n\nx\n", uid=12345)
    assert b"uid 12345" in message.split(b"\n\n")[0]


def test_what_is_there_is_not_added_again(house):
    head = b"Date: Mon, 1 Jan 2024 00:00:00 +0000\nMessage-ID: <a@b.test>\nFrom: x@y.test\nTo: alice@example.test\n"
    message = deliver(house, "sendmail", "-i", "alice@example.test", message=head + b"\nbody")
    assert head in message
    assert message.count(b"\nDate:") == 1 and message.count(b"\nFrom:") == 1 and message.endswith(b"\nbody\n")


def test_dots_long_lines_and_8_bit_come_through(house):
    body = b".\n..\n...x\n" + b"l" * 3000 + b"\n\xe4\xff\nFrom here\n"
    assert deliver(house, "sendmail", "alice@example.test", message=b"Subject: raw\n\n" + body).endswith(b"\n\n" + body)


def test_a_lone_cr_smuggles_nothing(house):
    body = b"a\r.\rMAIL FROM:<x@y.test>\r\n.\r\nQUIT\n"
    message = deliver(house, "sendmail", "alice@example.test", message=b"Subject: cr\r\n\r\n" + body)
    assert message.split(b"\n\n", 1)[1] == b"a\n.\nMAIL FROM:<x@y.test>\n.\nQUIT\n"


@pytest.mark.parametrize("to,recipients", [
    (b'"Last, First" <alice@example.test>', 1), (b"alice@example.test (a comment (nested)), bob@example.test", 2),
    (b"friends: alice@example.test, Bob <bob@example.test>;", 2), (b"<@relay.test:alice@example.test>", 1), (b"alice@example.test,\n bob@example.test", 2),
    (b'"alice"@example.test', 1), (b"alice @ example.test", 1),
])
def test_recipients_are_found_in_every_form(house, to, recipients):
    r = run(house, "postern-inject", "-n", "-h", message=b"To: " + to + b"\n\nx\n")
    assert r.returncode == 0, r.stderr
    before = len(house.mailbox("alice")) + len(house.mailbox("bob"))
    assert run(house, "sendmail", "-t", message=b"To: " + to + b"\n\nx\n").returncode == 0
    from instance import wait_for
    wait_for(lambda: len(house.mailbox("alice")) + len(house.mailbox("bob")) == before + recipients, what="delivery")


@pytest.mark.parametrize("word,recipients", [
    ("alice@example.test,bob@example.test", 2), ("alice@example.test, bob@example.test", 2), ("alice@example.test ", 1),
    ("Alice <alice@example.test>", 1), ("alice@example.test (x)", 1), ('"Last, First" <alice@example.test>', 1)])
def test_the_output_of_a_job_reaches_every_address_of_a_word(house, word, recipients):
    """cron gives sendmail the whole of MAILTO as one word."""
    before = len(house.mailbox("alice")) + len(house.mailbox("bob"))
    r = run(house, "sendmail", "-i", "-FCronDaemon", "-oem", "-f", "Web <root@example.test>", word, message=b"Subject: job\n\nx\n")
    assert r.returncode == 0, r.stderr
    wait_for(lambda: len(house.mailbox("alice")) + len(house.mailbox("bob")) == before + recipients, what="delivery")


def test_a_word_that_is_no_list_is_quoted_with_its_fault(house):
    r = run(house, "sendmail", "a b c", message=b"\nx\n")
    assert r.returncode == 100 and b'recipient: expected an address at octet 6 of the address list "a b c"' in r.stderr
    r = run(house, "sendmail", "-f", "a, b", "alice@example.test", message=b"\nx\n")
    assert r.returncode == 100 and b"sender (-f): expected one address" in r.stderr
    r = run(house, "sendmail", "-t", message=b"To: alice@example.test\nCc: bob@example.test oops\n\nx\n")
    assert r.returncode == 100 and b"Cc: expected an address" in r.stderr and b"oops" in r.stderr


@pytest.mark.parametrize("to", [b"alice@example.test (unclosed", b"<alice@example.test", b'"alice@example.test', b"a b c", b"alice@example.test>"])
def test_recipients_that_can_not_be_read_are_an_error(house, to):
    r = run(house, "sendmail", "-t", message=b"To: " + to + b"\n\nx\n")
    assert r.returncode == 100 and b"expected" in r.stderr


def test_bare_names_get_their_domain(house):
    r = run(house, "postern-inject", "-n", message=b"To: alice, bob@sub, carol@x+\nFrom: me\n\n", env={})
    assert b"To: alice@mx.example.test, bob@sub.mx.example.test, carol@x.mx.example.test\n" in r.stdout
    assert b"From: me@mx.example.test\n" in r.stdout


def test_exit_codes_say_what_happened(house):
    assert run(house, "sendmail", message=b"x\n").returncode == 100  # no recipients
    r = run(house, "sendmail", "nobody@example.test", message=b"Subject: x\n\nx\n")
    assert r.returncode == 100 and b"no mailbox" in r.stderr
    assert run(house, "sendmail", "-bd").returncode == 100
    r = run(house, "sendmail", "alice@example.test", message=b"\n", env={"POSTERN_CONTROLDIR": "/nonexistent"})
    assert r.returncode == 111


def test_dangerous_options_are_ignored_and_recipients_are_never_options(house, tmp_path):
    trap = tmp_path / "trap"
    deliver(house, "sendmail", "-C", str(trap), "-X", str(trap), f"-oQ{trap}", "alice@example.test", message=b"Subject: o\n\nx\n")
    assert not trap.exists()
    assert run(house, "sendmail", "--", "-oQ/tmp@example.test", message=b"\n\n").returncode == 100


def test_an_address_with_a_line_end_is_refused(house):
    r = run(house, "sendmail", "alice@example.test\nRCPT TO:<bob@example.test>", message=b"\nx\n")
    assert r.returncode == 100


def test_bs_speaks_smtp(house):
    talk = b"EHLO x.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\nSubject: bs\r\n\r\nx\r\n.\r\nQUIT\r\n"
    r = run(house, "sendmail", "-bs", message=talk)
    codes = [line[:3] for line in r.stdout.split(b"\r\n") if line[3:4] == b" "]
    assert codes == [b"220", b"250", b"250", b"250", b"354", b"250", b"221"]


def test_bs_takes_lines_that_end_with_lf(house):
    before = len(house.mailbox("alice"))
    talk = b"EHLO x.test\nMAIL FROM:<a@b.test>\nRCPT TO:<alice@example.test>\nDATA\nSubject: bs\n\nx\n.\nQUIT\n"
    r = run(house, "sendmail", "-bs", message=talk)
    codes = [line[:3] for line in r.stdout.split(b"\r\n") if line[3:4] == b" "]
    assert codes == [b"220", b"250", b"250", b"250", b"354", b"250", b"221"]
    house.wait_messages(before + 1)
    crlf = talk.replace(b"\n", b"\r\n").replace(b"\r\n\r\nx", b"\r\n\r\nx\n.\nMAIL FROM:<c@d.test>")
    assert b"550 " in run(house, "sendmail", "-bs", message=crlf).stdout  # who knows CRLF means a lone LF as it stands


def qmail_queue(house, envelope, message=b"Subject: q\n\nx\n"):
    """As qmail's own callers: the whole message first, then the envelope."""
    r, w = os.pipe()
    p = subprocess.Popen([os.path.join(BIN, "qmail-queue")], stdin=subprocess.PIPE, stdout=r, env={"POSTERN_CONTROLDIR": house.path("control")})
    os.close(r)
    p.stdin.write(message)
    p.stdin.close()
    with os.fdopen(w, "wb") as f:
        f.write(envelope)
    return p.wait(30)


def test_a_list_of_qmails_programs_has_a_return_path_for_each_subscriber(house):
    before = {user: len(house.mailbox(user)) for user in ("alice", "bob")}
    assert qmail_queue(house, b"Flist-return-3-@lists.example-@[]\0Talice@example.test\0Tbob@example.test\0\0", b"Subject: verp\n\nx\n") == 0
    for user in before:
        messages = house.wait_messages(before[user] + 1, user)
        (mine,) = [m for m in messages if b"Subject: verp\n" in m]
        assert mine.startswith(b"Return-Path: <list-return-3-%s=example.test@lists.example>\n" % user.encode())


def test_a_program_may_wish_for_a_return_path_for_each_recipient(house):
    message = deliver(house, "postern-inject", "alice@example.test", message=b"Subject: r\n\nx\n", env={"QMAILINJECT": "r", "USER": "carol", "QMAILHOST": "b.test"})
    assert message.startswith(b"Return-Path: <carol-alice=example.test@b.test>\n")


def test_no_other_host_may_wish_for_one(house):
    with smtplib.SMTP("127.0.0.1", house.port, timeout=20) as s:
        s.ehlo("client.test")
        assert s.docmd("MAIL FROM:<list-@b.test> XVERP")[0] == 555


def test_qmail_queue_keeps_its_interface(house):
    before = len(house.mailbox("bob"))
    assert qmail_queue(house, b"Fa@b.test\0Tbob@example.test\0\0") == 0
    house.wait_messages(before + 1, "bob")
    assert qmail_queue(house, b"Fa@b.test\0Tnobody@example.test\0\0") == 31
    assert qmail_queue(house, b"Fa@b.test\0T" + b"x" * 1004 + b"\0\0") == 11
    for bad in (b"", b"Fa@b.test\0\0", b"Tx\0\0", b"Fa@b.test\0Tb@c.test", b"Fa@b.test\0Tb@c.test\0\0x"):
        assert qmail_queue(house, bad) == 91


def test_a_message_to_more_than_a_peer_may_name_is_taken_from_a_program():
    with Instance({"virtualusers": ["alice@example.test:alice/Maildir"], "locals": ["other.test"], "rcpthosts": ["example.test", "far.test"]},
                  services=("send", "inject")) as house:
        many = [b"u%d@far.test" % i for i in range(1200)] + [b"alice@example.test"]
        assert qmail_queue(house, b"Fa@b.test\0" + b"".join(b"T%s\0" % m for m in many) + b"\0") == 0
        house.wait_messages(1)
        house.control("inject/maxrcpt", "1000")
        house.stop("inject")
        house.start("inject")
        wait_for(lambda: qmail_queue(house, b"Fa@b.test\0Talice@example.test\0\0") == 0, what="the service again")
        assert qmail_queue(house, b"Fa@b.test\0" + b"".join(b"T%s\0" % m for m in many) + b"\0") == 31  # for good: there will never be fewer


def test_a_message_larger_than_a_pipe_reaches_qmail_queue(house):
    before = set(house.mailbox("bob"))
    body = (b"y" * 70 + b"\n") * 20000
    assert qmail_queue(house, b"Fa@b.test\0Tbob@example.test\0\0", b"Subject: large\n\n" + body) == 0
    house.wait_messages(len(before) + 1, "bob")
    with open((set(house.mailbox("bob")) - before).pop(), "rb") as f:
        assert f.read().endswith(b"\n\n" + body)


@pytest.mark.parametrize("text", [b"hello", b"hello\nworld\n", b"\nhello\n", b" indented\nmore\n", b"see http: //x\n", b"Subject: x\nhello there: you\n"])
def test_a_text_without_header_is_a_body(house, text):
    message = deliver(house, "sendmail", "alice@example.test", message=text)
    body = text.lstrip(b"\n").replace(b"Subject: x\n", b"")
    assert message.split(b"\n\n", 1)[1] == (body if body.endswith(b"\n") else body + b"\n")
    assert (b"\nSubject: x\n" in message) == text.startswith(b"Subject")


def test_qmail_injects_variables_are_heard(house):
    env = {"QMAILUSER": "u", "QMAILHOST": "h.test", "QMAILSUSER": "bounces", "QMAILSHOST": "list.test", "QMAILINJECT": "fi", "QMAILIDHOST": "id.test",
           "QMAILDEFAULTHOST": "d.test", "QMAILNAME": "A Name"}
    message = deliver(house, "postern-inject", "-A", "alice@example.test", env=env,
                      message=b"From: other@x.test\nMessage-ID: <other@x.test>\nTo: carol\n\nx\n")
    assert message.startswith(b"Return-Path: <bounces@list.test>\n")
    assert b"other@x.test" not in message and b'\nFrom: "A Name" <u@h.test>\n' in message
    assert b"\nTo: carol@d.test\n" in message and b"@id.test>\n" in message


def sender_of(message):
    return message.split(b"\n", 1)[0]


def test_the_sender_is_the_first_that_is_said(house):
    env = {"QMAILUSER": "joe user", "QMAILHOST": "h.test"}
    plain, written = b"Subject: x\n\nx\n", b"Return-Path: <r@back.test>\nSubject: x\n\nx\n"
    for words, message, variables, sender in [
        (["-f", "<f@opt.test>"], written, {}, b"<f@opt.test>"), (["-f", ""], written, {}, b"<>"), ([], written, {}, b"<r@back.test>"),
        ([], written, {"QMAILINJECT": "s"}, b'<"joe user"@h.test>'), ([], plain, {"QMAILSUSER": "su"}, b"<su@h.test>"), ([], plain, {}, b'<"joe user"@h.test>'),
    ]:
        got = deliver(house, "sendmail", *words, "<alice@example.test>", message=message, env={**env, **variables})
        assert sender_of(got) == b"Return-Path: " + sender and got.count(b"Return-Path") == 1
    got = deliver(house, "postern-inject", "alice@example.test", message=plain, env={**env, "QMAILINJECT": "m", "QMAILSUSER": "su"})
    assert re.fullmatch(rb"Return-Path: <su-\d+\.\d+\.@h\.test>", sender_of(got))


def test_a_list_of_lists_makes_a_followup_field(house, tmp_path):
    lists = tmp_path / "lists"
    lists.write_text("alice@example.test\n")
    r = run(house, "postern-inject", "-n", message=b"To: alice@example.test\nCc: x\n\nx\n",
            env={"QMAILMFTFILE": str(lists), "QMAILDEFAULTHOST": "d.test", "QMAILNAME": "J\u00f6rg"})
    assert b"\nMail-Followup-To: alice@example.test,\n x@d.test\n" in r.stdout and b"\nFrom: =?utf-8?B?SsO2cmc=?=\n <" in r.stdout


@pytest.mark.parametrize("words", [["-V", "x" * 300], ["-V", "a b"], ["-N", "never ORCPT=rfc822;x"], ["-R", "HDRS\r\nRSET"], ["-N", "NEVER" * 30], ["-V", "\xe9"]])
def test_a_parameter_is_one_parameter(house, words):
    assert run(house, "sendmail", *words, "alice@example.test", message=b"\nx\n").returncode == 100


def test_parameters_may_be_said_twice(house):
    deliver(house, "sendmail", *["-V", "v" * 100] * 9, "-R", "HDRS", "-R", "FULL", "-N", "never", "alice@example.test", message=b"Subject: v\n\nx\n")


def test_a_run_of_the_queue_needs_no_message(house):
    assert run(house, "sendmail", "-q").returncode == 0
    assert run(house, "sendmail", "-q15m").returncode == 0


def test_a_large_message_needs_little_memory(house):
    message = b"Subject: large\n\n" + (b"0123456789abcdef" * 60 + b"\n") * 20000
    assert len(deliver(house, "sendmail", "bob@example.test", message=message, user="bob")) > 19000000


def test_a_program_that_takes_its_time_keeps_no_session_waiting():
    """As cron does, whose jobs say something now and then."""
    with Instance({"inject/timeoutsmtpd": "1"}, services=("send", "inject")) as house:
        p = subprocess.Popen([os.path.join(BIN, "sendmail"), "alice@example.test"], stdin=subprocess.PIPE, env={"POSTERN_CONTROLDIR": house.path("control")})
        p.stdin.write(b"Subject: slow\n\none\n")
        p.stdin.flush()
        time.sleep(1.6)
        p.stdin.write(b"two\n")
        p.stdin.close()
        assert p.wait(30) == 0
        assert house.wait_messages(1)[0].endswith(b"\n\none\ntwo\n")


def test_without_a_service_it_is_a_temporary_failure(house):
    house.stop("inject")
    r = run(house, "sendmail", "alice@example.test", message=b"\nx\n")
    assert r.returncode == 111 and b"does not answer" in r.stderr
    house.start("inject")


HOLD = """import socket, sys
held = []
while True:
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(20)
    s.connect(sys.argv[1])
    if not s.recv(1):
        break
    held.append(s)
print(len(held), flush=True)
sys.stdin.read()
"""


def test_one_user_can_not_keep_out_the_others():
    with Instance({"inject/concurrencyincoming": "8"}, services=("send", "smtpd", "inject")) as house:
        os.chmod(house.path("control"), 0o755)
        hog = subprocess.Popen([sys.executable, "-c", HOLD, house.path("run/inject.socket")], user=64031, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            assert hog.stdout.readline() == b"4\n"
            assert b"for all that" in deliver(house, "sendmail", "alice@example.test", message=b"Subject: for all that\n\nx\n", uid=64032)
            assert run(house, "sendmail", "alice@example.test", message=b"Subject: no\n\nx\n", uid=64031).returncode == 111
            assert b"roots" in deliver(house, "sendmail", "alice@example.test", message=b"Subject: roots\n\nx\n")
            wait_for(lambda: "too many sessions of this user" in house.log("inject"), 20, "a line about it")
        finally:
            hog.communicate(b"")
