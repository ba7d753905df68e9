"""What printers, RAID controllers, UPSs and old libraries say: each dialect to port 25 as a stranger, as a client that may relay, from a
network of such devices, and on the submission port. What can be understood is taken where the client is known; nothing but
CRLF.CRLF ever ends a message."""
import base64
import time

import pytest
from instance import Instance, Session, free_port, wait_for

STRANGER, RELAY, DEVICE, STRICT, SUBMITS = "127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4", "submission"
NAME, PASSWORD = "alice@example.test", "secret"
LOGIN = "AUTH PLAIN " + base64.b64encode(f"\0{NAME}\0{PASSWORD}".encode()).decode()


@pytest.fixture(scope="module")
def mx():
    port = free_port()
    with Instance({
        "envnoathost": "example.test",
        "smtpd/rules": ['127.0.0.2:allow,RELAYCLIENT=""', '127.0.0.4:allow,HELOCHECK="."', ":allow"],
        "smtpd/lenientnetworks": ["127.0.0.3"],
        "submission/listen": f"127.0.0.1:{port}",
        "submission/rules": [':allow,AUTHINCLEAR="",LOCALMFCHECK=""'],
        "users/authuser": [f"{NAME}:{PASSWORD}"],
    }, services=("send", "smtpd", "submission")) as i:
        i.submission = port
        wait_for(i.answers, 15, "a greeting")
        yield i


def connect(mx, who):
    if who != SUBMITS:
        return mx.connect_from(who)
    mx.port, smtp = mx.submission, mx.port
    try:
        return mx.connect()
    finally:
        mx.port = smtp


def begin(mx, who, hello="EHLO client.test"):
    s = connect(mx, who)
    assert s.reply()[0] == 220
    if hello is not None:
        assert s.say(hello)[0] == 250
    if who == SUBMITS:
        assert s.say(LOGIN)[0] == 235
    return s


ALL = (STRANGER, RELAY, DEVICE, STRICT, SUBMITS)
KNOWN = (RELAY, DEVICE, SUBMITS)


@pytest.mark.parametrize("who", ALL)
@pytest.mark.parametrize("name, shown", [
    (b"", b"unknown"), (b" ", b"unknown"), (b"my printer", b"my?printer"), (b"my_printer", b"my_printer"), (b"[192.168.1.7]", b"[192.168.1.7]"),
    (b"192.168.1.7", b"192.168.1.7"), (b"(none)", b"?none?"), (b"<printer>", b"?printer?"), (b"B\xfcro-Drucker", b"B?ro-Drucker"), (b"a;b,c", b"a?b?c"),
    (b"\x01\x02", b"??"), (b"localhost.", b"localhost."), (b"-", b"-"),
])
@pytest.mark.parametrize("verb", [b"EHLO", b"HELO"])
def test_a_name_of_any_form_is_taken_and_forges_nothing(mx, who, name, shown, verb):
    before = mx.mailbox()
    with connect(mx, who) as s:
        assert s.reply()[0] == 220
        assert s.say(verb + b" " + name)[0] == 250
        if who == SUBMITS:
            assert s.say(LOGIN)[0] == 235
        assert s.say(f"MAIL FROM:<{NAME}>")[0] == 250
        code = s.say(f"RCPT TO:<{NAME}>")[0]
        if who == STRICT and shown == b"unknown":
            assert code == 550
            return
        assert code == 250
        assert s.data(b"Subject: x\r\n\r\nx\r\n.\r\n")[0] == 250
    head = mx.wait_new(before, "alice").split(b"\n\n")[0]
    assert b"\nReceived: from " + shown + b" (" in head, head


@pytest.mark.parametrize("who", ALL)
def test_no_name_at_all_is_refused_only_where_helocheck_says_so(mx, who):
    with begin(mx, who, None) as s:
        assert s.say(f"MAIL FROM:<{NAME}>")[0] == (503 if who == STRICT else 250)


@pytest.mark.parametrize("who", ALL)
def test_a_name_longer_than_any_is_refused(mx, who):
    with connect(mx, who) as s:
        assert s.reply()[0] == 220
        assert s.say(b"EHLO " + b"x" * 256)[0] == 501


@pytest.mark.parametrize("who", ALL)
@pytest.mark.parametrize("mail, everybody", [
    (f"MAIL FROM:{NAME}", False), (f"MAIL FROM: {NAME}", False), (f"mail from: {NAME} SIZE=100", False), (f"MAIL FROM: <{NAME}>", True),
    ("MAIL FROM:<alice>", False), ("MAIL FROM: alice", False), (f"MAIL FROM:<{NAME}>  ", True), (f"MAIL FROM:<{NAME}> BODY=8BITMIME", True),
])
def test_brackets_and_a_domain_may_be_missing_where_the_client_is_known(mx, who, mail, everybody):
    with begin(mx, who) as s:
        assert s.say(mail)[0] == (250 if everybody or who in KNOWN else 501)


@pytest.mark.parametrize("who", KNOWN)
@pytest.mark.parametrize("rcpt", [f"RCPT TO:{NAME}", f"RCPT TO: {NAME}", "RCPT TO:<alice>", "RCPT TO: alice", f"rcpt to:{NAME} NOTIFY=NEVER"])
def test_what_a_device_leaves_out_is_put_in(mx, who, rcpt):
    before = mx.mailbox()
    with begin(mx, who) as s:
        assert s.say("MAIL FROM: alice")[0] == 250
        assert s.say(rcpt)[0] == 250
        assert s.data(b"Subject: scan\r\n\r\nx\r\n.\r\n")[0] == 250
    message = mx.wait_new(before, "alice")
    assert message.startswith(b"Return-Path: <alice@example.test>\nDelivered-To: alice@example.test\n")


@pytest.mark.parametrize("who", [STRANGER, STRICT])
@pytest.mark.parametrize("rcpt", [f"RCPT TO:{NAME}", f"RCPT TO: {NAME}", "RCPT TO:<alice>"])
def test_a_stranger_says_it_as_the_standard_has_it(mx, who, rcpt):
    with begin(mx, who) as s:
        assert s.say(f"MAIL FROM:<{NAME}>")[0] == 250
        assert s.say(rcpt)[0] == 501
        assert s.say("RCPT TO:<Postmaster>")[0] == 250


def test_parameters_after_helo_are_for_known_clients(mx):
    for who in (STRANGER, *KNOWN):
        with begin(mx, who, "HELO printer") as s:
            assert s.say(f"MAIL FROM:<{NAME}> SIZE=10")[0] == (555 if who == STRANGER else 250)


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_a_device_may_end_its_lines_as_it_likes(mx, end):
    before = mx.mailbox()
    with connect(mx, DEVICE) as s:
        assert s.reply()[0] == 220
        for line, code in ((b"HELO ups", 250), (b"MAIL FROM: alice", 250), (b"RCPT TO: alice", 250), (b"DATA", 354)):
            s.send(line + end)
            assert s.reply()[0] == code
        s.send(b"Subject: battery" + end + end + b"low" + end + b"..dots" + end + b"\r\n.\r\n")
        assert s.reply()[0] == 250
        s.send(b"QUIT" + end)
        assert s.reply()[0] == 221
    head, body = mx.wait_new(before, "alice").split(b"\n\n", 1)
    assert head.endswith(b"Subject: battery") and body.startswith(b"low\n.dots\n")


def test_pipelined_lines_of_a_device_are_each_obeyed(mx):
    with connect(mx, DEVICE) as s:
        assert s.reply()[0] == 220
        s.send(b"HELO ups\nNOOP\rNOOP\r\nRSET\n")
        assert [s.reply()[0] for _ in range(4)] == [250, 250, 250, 250]


@pytest.mark.parametrize("end", [b"\n.\n", b"\r.\r", b"\n.\r\n", b"\r\n.\n", b"\r.\r\n", b"\r\n.\r", b"\r\n.\r\r\n"])
def test_nothing_but_crlf_dot_crlf_ends_a_message_of_a_device(mx, end):
    before = mx.mailbox()
    smuggled = b"MAIL FROM:<evil@example.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n"
    with begin(mx, DEVICE) as s:
        s.transaction()
        assert s.data(b"Subject: outer\r\n\r\nx" + end + smuggled + b"\r\n.\r\n")[0] == 250
        assert s.say("QUIT")[0] == 221
    message = mx.wait_new(before, "alice")
    assert b"smuggled" in message and b"\n.\n" in message
    time.sleep(0.2)
    assert len(mx.mailbox()) == len(before) + 1


@pytest.mark.parametrize("who", [STRANGER, RELAY, STRICT, SUBMITS])
@pytest.mark.parametrize("line", [b"NOOP\n", b"NO\rOP\r\n", b"NOOP\n\r\n"])
def test_others_end_their_commands_with_crlf(mx, who, line):
    with begin(mx, who) as s:
        s.send(line)
        assert s.reply()[0] == 500 and s.is_over()


def test_a_nul_in_a_command_is_nobody_s(mx):
    with begin(mx, DEVICE) as s:
        s.send(b"NO\0OP\n")
        assert s.reply()[0] == 500 and s.is_over()
