"""What policy decides, seen by peers of a running instance: who may send what to whom, and what stays true when others fail."""
import os
import signal
import time

import pytest
from instance import Instance, wait_for

RULES = [
    "127.0.0.2:deny",
    '127.0.0.3:allow,RELAYCLIENT=""',
    '127.0.0.4:allow,DATABYTES="100",MAXRECIPIENTS="2",REPLY_MAILBOX="ask hostmaster"',
    ":allow",
]


@pytest.fixture(scope="module")
def mx():
    items = {
        "smtpd/rules": RULES,
        "smtpd/rcpthosts": ["example.test", ".sub.test"],
        "smtpd/badmailfrom": ["spammer@bad.test", "@worse.test", "*@*.worst.test", "!fine@ok.worst.test"],
        "smtpd/badrcptto": ["bob@example.test"],
        "smtpd/badhelo": ["localhost", "*.dyn.test"],
    }
    i = Instance(items)
    os.mkdir(i.path("joe"), 0o700)
    os.chown(i.path("joe"), 4000000, 4000000)
    i.control("users/assign", [f"=joe:joe:4000000:4000000:{i.path('joe')}:::", f"+joe-:joe:4000000:4000000:{i.path('joe')}:-::", "."])
    with i:
        yield i
        assert "session-broken" not in i.log()


def begin(mx, sender="a@peer.test", helo="peer.test"):
    s = mx.connect()
    assert s.reply()[0] == 220
    assert s.say(f"EHLO {helo}")[0] == 250
    assert s.say(f"MAIL FROM:<{sender}>")[0] == 250
    return s


def rcpt(s, address):
    return " ".join(s.say(f"RCPT TO:<{address}>")[1].decode().split()[:2])


def test_only_our_domains_and_their_users_are_taken(mx):
    with begin(mx) as s:
        assert rcpt(s, "alice@example.test") == "250 2.1.5"
        assert rcpt(s, "ALICE@Example.TEST") == "250 2.1.5"
        assert rcpt(s, "nobody@example.test") == "550 5.1.1"
        assert rcpt(s, "alice@elsewhere.test") == "553 5.7.1"
        assert rcpt(s, "x@deep.sub.test") == "250 2.1.5"
        assert rcpt(s, "x@sub.test") == "553 5.7.1"
        assert rcpt(s, "joe@example.test") == "250 2.1.5"
        assert rcpt(s, "joe-anything@example.test") == "250 2.1.5"
        assert rcpt(s, '"joe"@example.test') == "250 2.1.5"
        assert rcpt(s, "postmaster") == "250 2.1.5"
        assert rcpt(s, "POSTMASTER@example.test") == "250 2.1.5"
        assert rcpt(s, "joe-a/../../b@example.test") == "550 5.1.1"


@pytest.mark.parametrize("address", ["victim%target.test@elsewhere.test", '"victim@target.test"@elsewhere.test',
                                     "target.test!victim@elsewhere.test", "@example.test:victim@target.test"])
def test_no_form_of_an_address_relays(mx, address):
    with begin(mx) as s:
        assert rcpt(s, address).startswith("5")


def test_percent_and_bang_are_octets_of_a_local_part(mx):
    with begin(mx) as s:
        assert rcpt(s, "victim%target.test@example.test") == "550 5.1.1"
        assert rcpt(s, "target.test!victim@example.test") == "550 5.1.1"


@pytest.mark.parametrize("sender,reply", [("spammer@bad.test", "553 5.7.1"), ("SPAMMER@BAD.test", "553 5.7.1"),
                                          ("any@worse.test", "553 5.7.1"), ("x@y.worst.test", "553 5.7.1"),
                                          ("fine@ok.worst.test", "250 2.1.5"), ("", "250 2.1.5"), ("good@bad.test", "250 2.1.5")])
def test_unwanted_senders_are_refused_with_the_recipient(mx, sender, reply):
    with begin(mx, sender) as s:
        assert rcpt(s, "alice@example.test") == reply


def test_unwanted_recipients_and_names_are_refused(mx):
    with begin(mx) as s:
        assert rcpt(s, "bob@example.test") == "553 5.7.1"
    with begin(mx, helo="LocalHost") as s:
        assert rcpt(s, "alice@example.test") == "550 5.7.1"
    with begin(mx, helo="1-2-3.dyn.test") as s:
        assert rcpt(s, "alice@example.test") == "550 5.7.1"


def from_address(mx, address):
    import socket
    from instance import Session

    class Bound(Session):
        def __init__(self):
            self.socket = socket.create_connection(("127.0.0.1", mx.port), 10, source_address=(address, 0))
            self.buffer = b""

    return Bound()


def test_a_rule_makes_a_relay(mx):
    with from_address(mx, "127.0.0.3") as s:
        assert s.reply()[0] == 220
        s.say("EHLO localhost")  # badhelo is not for those who may relay
        s.say("MAIL FROM:<a@example.test>")
        assert rcpt(s, "anyone@elsewhere.test") == "250 2.1.5"
        assert rcpt(s, "nobody@example.test") == "550 5.1.1"


def test_a_rule_sets_limits_and_words(mx):
    with from_address(mx, "127.0.0.4") as s:
        assert s.reply()[0] == 220
        assert b"SIZE 100" in s.say("EHLO peer.test")[1]
        assert s.say("MAIL FROM:<a@peer.test> SIZE=101")[0] == 552
        assert s.say("MAIL FROM:<a@peer.test> SIZE=100")[0] == 250
        code, text = s.say("RCPT TO:<nobody@example.test>")
        assert code == 550 and b"ask hostmaster" in text
        assert [rcpt(s, "alice@example.test") for _ in range(3)] == ["250 2.1.5", "250 2.1.5", "452 4.5.3"]
        assert s.data(b"x" * 200 + b"\r\n.\r\n")[0] == 552


def test_a_denied_peer_gets_no_session(mx):
    with from_address(mx, "127.0.0.2") as s:
        assert s.line().startswith(b"554 5.7.1 ")  # a name might have changed it, so it is policy that says so
        assert s.line() is None


def test_the_trace_field_says_who_and_how(mx):
    before = mx.mailbox()
    with begin(mx) as s:
        rcpt(s, "alice@example.test")
        assert s.data(b"Subject: x\r\n\r\n.\r\n")[0] == 250
    text = mx.wait_new(before)
    received = text.split(b"Received: ", 1)[1].split(b"Subject", 1)[0].decode()
    assert received.startswith("from peer.test (unknown [127.0.0.1])\n\tby mx.example.test with ESMTP id ")
    assert "\n\tfor <alice@example.test>;\n\t" in received
    assert received.endswith(" +0000\n")


def test_two_recipients_are_not_shown_to_each_other(mx):
    before = mx.mailbox()
    with begin(mx) as s:
        rcpt(s, "alice@example.test")
        rcpt(s, "postmaster@example.test")
        assert s.data(b"Subject: x\r\n\r\n.\r\n")[0] == 250
    assert b"postmaster" not in mx.wait_new(before)


def test_a_new_user_is_known_after_a_reload_and_no_session_is_lost():
    with Instance() as mx, begin(mx) as old:
        assert rcpt(old, "carol@example.test") == "550 5.1.1"
        first = mx.pids("smtpd")["policy"]
        mx.control("virtualusers", ["alice@example.test:alice/Maildir", "carol@example.test:carol/Maildir"])
        for service in mx.services:
            mx.wardens[service].send_signal(signal.SIGHUP)
        wait_for(lambda: mx.pids("smtpd").get("policy", first) != first, 10, "a new generation")
        assert rcpt(old, "carol@example.test") == "550 5.1.1"  # what it began with holds
        assert rcpt(old, "alice@example.test") == "250 2.1.5"
        with begin(mx) as new:
            assert rcpt(new, "carol@example.test") == "250 2.1.5"
        assert old.data(b"Subject: x\r\n\r\n.\r\n")[0] == 250
        old.socket.close()
        wait_for(lambda: not os.path.exists(f"/proc/{first}"), 10, "the end of the old policy")


def test_a_bad_item_changes_nothing():
    with Instance() as mx:
        first = mx.pids("smtpd")["policy"]
        mx.control("smtpd/maxhops", "many")
        mx.wardens["smtpd"].send_signal(signal.SIGHUP)
        wait_for(lambda: "reload-refused" in mx.log("smtpd"), 10, "a refusal")
        assert "smtpd/maxhops:1" in mx.log("smtpd") and "expected a number from 10 to 1000" in mx.log("smtpd")
        assert mx.pids("smtpd")["policy"] == first
        with begin(mx) as s:
            assert rcpt(s, "alice@example.test") == "250 2.1.5"


def test_what_queue_was_killed_with_is_451_and_the_next_is_taken():
    with Instance() as mx, begin(mx) as s:
        assert rcpt(s, "alice@example.test") == "250 2.1.5"
        assert s.say("DATA")[0] == 354
        os.kill(mx.pids("send")["queue"], signal.SIGKILL)
        time.sleep(0.2)
        s.send(b"Subject: lost\r\n\r\n.\r\n")
        code, text = s.reply()
        assert code == 451 and text.split()[1] == b"4.3.0"
        s.say("MAIL FROM:<a@peer.test>")
        assert rcpt(s, "alice@example.test") == "250 2.1.5"
        assert s.data(b"Subject: kept\r\n\r\n.\r\n")[0] == 250
        assert b"Subject: kept" in mx.wait_messages(1)[0]
