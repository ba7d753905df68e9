"""remote alone, with the test as `send`: the dialogue with good peers and with bad ones."""
import base64
import os
import socket
import struct
import threading
import time

import pytest

from instance import free_port, wait_for
from remote_rig import AUTH, AUTH_SAID, DELIVERED, EIGHT_BIT, MANDATORY, OF_PEER, OF_RECIPIENT, OPPORTUNISTIC, PERMANENT, SMTPUTF8, TEMPORARY, UNTRIED, Remote
from sink import CLOSE, Sink

EVERY = ("PIPELINING", "8BITMIME", "SIZE 10000000", "DSN", "SMTPUTF8")


@pytest.fixture(scope="module")
def remote():
    with Remote() as r:
        yield r
        assert r.process.poll() is None, r.log()


def one(remote, sink, **how):
    """What became of one message."""
    peer = {k: how.pop(k) for k in list(how) if k in ("tls", "auth", "auth_plain", "relay", "destination", "idle_ms", "connect_ms", "local")}
    s = remote.session().peer(sink if isinstance(sink, int) else sink.port, **peer)
    s.message(**how)
    done = s.done()
    s.close()
    return done


@pytest.mark.parametrize("ehlo", [(), ("PIPELINING",), ("PIPELINING", "CHUNKING"), ("CHUNKING",), EVERY])
def test_a_message_is_delivered(remote, ehlo):
    with Sink(ehlo=ehlo) as sink:
        done = one(remote, sink, to=["bob@example.com", "carol@example.com"], trace=b"Received: by us\r\n")
        assert (done.outcome, done.address, done.results) == (DELIVERED, "127.0.0.1", {})
        assert "250 2.0.0 kept" in done.text and done.from_peer
        (m,) = sink.messages
        assert m.content == b"Received: by us\r\nSubject: x\r\n\r\nbody\r\n"
        assert [r.split()[0] for r in m.recipients] == [b"TO:<bob@example.com>", b"TO:<carol@example.com>"]
        assert m.sender.startswith(b"FROM:<alice@example.test>")


@pytest.mark.parametrize("ehlo", [(), ("PIPELINING",), ("PIPELINING", "CHUNKING")])
def test_many_messages_use_one_connection(remote, ehlo):
    with Sink(ehlo=ehlo) as sink:
        s = remote.session().peer(sink.port)
        for i in range(40):
            s.message(content=b"Subject: %d\r\n\r\n%s\r\n" % (i, b"x" * i))
            if i >= 3:
                assert s.done().outcome == DELIVERED
        for _ in range(3):
            assert s.done().outcome == DELIVERED
        s.close()
        wait_for(lambda: sink.ends, what="QUIT")
        assert [m.content.split(b"\r\n")[0] for m in sink.messages] == [b"Subject: %d" % i for i in range(40)]
        assert len(sink.connections) == 1 and sink.commands[-1][1] == b"QUIT"


def test_commands_of_the_next_message_go_with_the_content(remote):
    with Sink() as sink:
        s = remote.session().peer(sink.port)
        for i in range(4):
            s.message()
        for i in range(4):
            assert s.done().outcome == DELIVERED
        s.close()
        assert len(sink.messages) == 4


def test_parameters_are_said_where_the_peer_knows_them(remote):
    with Sink(ehlo=EVERY) as sink:
        done = one(remote, sink, flags=EIGHT_BIT | SMTPUTF8 | 8, sender="ä@example.test", to=["ö@example.com"], envid="id+3D1", notify=2 | 4, orcpt="utf-8;o@x")
        assert done.outcome == DELIVERED and done.dsn
        line = sink.messages[0].mail_line
        for word in (b"BODY=8BITMIME", b"SMTPUTF8", b"RET=HDRS", b"ENVID=id+3D1", b"SIZE="):
            assert word in line
        assert sink.messages[0].rcpt_lines[0] == "RCPT TO:<ö@example.com> NOTIFY=SUCCESS,FAILURE ORCPT=utf-8;o@x".encode()
    with Sink(ehlo=()) as sink:
        assert one(remote, sink, flags=EIGHT_BIT, envid="x", notify=2).outcome == DELIVERED
        assert sink.messages[0].mail_line == b"MAIL FROM:<alice@example.test>"


@pytest.mark.parametrize("what", [{"sender": "ä@example.test"}, {"to": ["bob@example.com", "ö@example.com"]}, {"content": "Subject: ü\r\n\r\nx\r\n".encode()},
                                  {"trace": "Received: for <ö@example.com>\r\n".encode()}])
def test_a_peer_without_smtputf8_gets_no_such_mail(remote, what):
    with Sink(ehlo=("8BITMIME",)) as sink:
        done = one(remote, sink, flags=SMTPUTF8, **what)
        assert (done.outcome, done.status, done.scope) == (PERMANENT, "5.6.7", OF_RECIPIENT)
        assert not sink.messages


@pytest.mark.parametrize("ehlo", [("8BITMIME",), EVERY])
def test_a_word_of_the_client_alone_does_not_make_mail_need_smtputf8(remote, ehlo):
    with Sink(ehlo=ehlo) as sink:
        done = one(remote, sink, flags=EIGHT_BIT | SMTPUTF8, content="Subject: x\r\n\r\nschön\r\n".encode())
        assert done.outcome == DELIVERED and b"SMTPUTF8" not in sink.messages[0].mail_line


def test_what_is_too_large_is_not_sent(remote):
    with Sink(ehlo=("SIZE 1000",)) as sink:
        done = one(remote, sink, content=b"x" * 2000 + b"\r\n")
        assert (done.outcome, done.status) == (PERMANENT, "5.3.4")
        assert not any(c.startswith(b"MAIL") for _, c in sink.commands)


@pytest.mark.parametrize("ehlo", [("PIPELINING",), ("PIPELINING", "CHUNKING")])
@pytest.mark.parametrize("content", [b".\r\n..\r\n.x\r\n", b"a\nb\n.\nc", b"a\rb\r\n", b"\r\n.\r\nRSET\r\n", b"x", b"", b"a\r\r\nb\n\r\n", b"." * 3000])
def test_no_content_ends_itself(remote, ehlo, content):
    with Sink(ehlo=ehlo) as sink:
        s = remote.session().peer(sink.port)
        s.message(content=content)
        s.message(content=b"second\r\n")
        assert s.done().outcome == DELIVERED and s.done().outcome == DELIVERED
        s.close()
        lines = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        expected = b"\r\n".join(lines if lines[-1] == b"" else lines + [b""])
        assert [m.content for m in sink.messages] == [expected, b"second\r\n"]


@pytest.mark.parametrize("ehlo", [(), ("PIPELINING", "CHUNKING")])
def test_a_large_message_comes_through_whole(remote, ehlo):
    content = b"".join(b"%d %s\r\n" % (i, b"." * (i % 90)) for i in range(60000))
    with Sink(ehlo=ehlo) as sink:
        assert one(remote, sink, content=content).outcome == DELIVERED
        assert sink.messages[0].content == content


def refuse(who, reply):
    return lambda c, argument: reply if who in argument else None


@pytest.mark.parametrize("ehlo", [(), ("PIPELINING",), ("PIPELINING", "CHUNKING")])
def test_each_recipient_has_its_own_result(remote, ehlo):
    with Sink(ehlo=ehlo, on={"RCPT": refuse(b"bad", b"550 5.1.1 no such\r\n")}) as sink:
        done = one(remote, sink, to=["bad1@x.test", "good@x.test", "bad2@x.test"])
        assert done.outcome == DELIVERED
        assert done.results == {0: (PERMANENT, "5.1.1", "550 5.1.1 no such"), 2: (PERMANENT, "5.1.1", "550 5.1.1 no such")}
        assert len(sink.messages) == 1


@pytest.mark.parametrize("ehlo", [(), ("PIPELINING",), ("PIPELINING", "CHUNKING")])
@pytest.mark.parametrize("reply, outcome", [(b"550 5.1.1 no\r\n", PERMANENT), (b"450 4.2.0 later\r\n", TEMPORARY)])
def test_a_session_goes_on_after_a_refusal(remote, ehlo, reply, outcome):
    with Sink(ehlo=ehlo, on={"RCPT": refuse(b"bad", reply)}) as sink:
        s = remote.session().peer(sink.port)
        for who in ("bad@x.test", "good@x.test", "bad@x.test", "good@x.test"):
            s.message(to=[who])
        got = [s.done() for _ in range(4)]
        assert [g.results.get(0, (g.outcome,))[0] for g in got] == [outcome, DELIVERED, outcome, DELIVERED]
        s.close()
        assert len(sink.messages) == 2 and len(sink.connections) == 1


@pytest.mark.parametrize("verb", ["MAIL", "DATA", "DOT"])
@pytest.mark.parametrize("reply, outcome", [(b"552 5.3.4 no\r\n", PERMANENT), (b"451 later\r\n", TEMPORARY), (b"451-later\r\n451 on\r\n", TEMPORARY)])
@pytest.mark.parametrize("ehlo", [(), ("PIPELINING",)])
def test_refusals_of_a_message(remote, ehlo, verb, reply, outcome):
    with Sink(ehlo=ehlo, on={verb: reply}) as sink:
        s = remote.session().peer(sink.port)
        s.message()
        s.message()
        first, second = s.done(), s.done()
        s.close()
        assert (first.outcome, second.outcome) == (outcome, outcome)
        assert first.text.startswith(reply[:3].decode()) and first.scope == OF_RECIPIENT
        assert len(sink.connections) == 1


def test_a_thousand_recipients_in_one_transaction(remote):
    for ehlo in ((), ("PIPELINING",)):
        with Sink(ehlo=ehlo, on={"RCPT": refuse(b"<77", b"550 no\r\n")}) as sink:
            done = one(remote, sink, to=[f"{i}@x.test" for i in range(1000)])
            assert done.outcome == DELIVERED and len(done.results) == 11
            assert len(sink.messages[0].recipients) == 989


# ---- peers that misbehave ----

@pytest.mark.parametrize("greeting, outcome, status", [
    (b"554 5.7.1 go away\r\n", PERMANENT, "5.7.1"), (b"421 busy\r\n", TEMPORARY, "4.3.2"), (b"450 greylisted\r\n", TEMPORARY, "4.3.2"),
    (b"hello\r\n", TEMPORARY, "4.4.2"), (b"\x00\xff\x16\x03\r\n", TEMPORARY, "4.4.2"), (CLOSE, TEMPORARY, "4.4.2"), (b"99 x\r\n", TEMPORARY, "4.4.2"),
    (b"250 2.0.0 early\r\n", TEMPORARY, "4.3.2"), (b"x" * 1048576 + b"\r\n", TEMPORARY, "4.4.2"), (b"220-a\r\n" * 5000, TEMPORARY, "4.4.2"),
    (b"220-a\r\n250 b\r\n", TEMPORARY, "4.3.2")])
def test_greetings_that_are_none(remote, greeting, outcome, status):
    with Sink(on={"GREETING": greeting}) as sink:
        done = one(remote, sink, idle_ms=300)
        assert (done.outcome, done.status, done.scope) == (outcome, status, OF_PEER)
        assert not sink.messages


@pytest.mark.parametrize("verb", ["GREETING", "EHLO", "MAIL", "RCPT", "DATA", "DOT"])
def test_a_peer_that_never_answers_is_left(remote, verb):
    with Sink(on={verb: b""}) as sink:
        began = time.monotonic()
        done = one(remote, sink, idle_ms=400)
        assert done.outcome == TEMPORARY and "timed out" in done.text
        assert bool(done.duplicate) == (verb == "DOT")
        assert time.monotonic() - began < 8


@pytest.mark.parametrize("verb", ["EHLO", "MAIL", "RCPT", "DATA", "DOT"])
@pytest.mark.parametrize("ehlo", [(), ("PIPELINING",), ("PIPELINING", "CHUNKING")])
def test_a_peer_may_close_anywhere(remote, verb, ehlo):
    chunk = "CHUNKING" in ehlo and verb in ("DATA", "DOT")
    with Sink(ehlo=ehlo, on={"CHUNK" if chunk else verb: CLOSE}) as sink:
        done = one(remote, sink)
        assert done.outcome == TEMPORARY
        assert bool(done.duplicate) == (verb == "DOT" or chunk)


def test_an_answer_without_end_is_ended(remote):
    def drip(c, _):
        for _ in range(600):
            c.say(b"2")
            time.sleep(0.05)

    with Sink(on={"EHLO": drip}) as sink:
        began = time.monotonic()
        assert one(remote, sink, idle_ms=500).outcome == TEMPORARY
        assert time.monotonic() - began < 5


def test_what_was_not_begun_is_untried(remote):
    n = []

    def once(c, _):
        n.append(1)
        return None if len(n) == 1 else CLOSE

    with Sink(ehlo=(), on={"MAIL": once}) as sink:
        s = remote.session().peer(sink.port)
        for _ in range(3):
            s.message()
        got = [s.done() for _ in range(3)]
        assert [g.outcome for g in got] == [DELIVERED, UNTRIED, UNTRIED] and got[2].closing
        assert s.done() is None


def test_421_ends_the_connection(remote):
    both = threading.Event()
    with Sink(on={"RCPT": lambda *_: both.wait(10) and b"421 4.3.2 going down\r\n"}) as sink:
        s = remote.session().peer(sink.port)
        s.message()
        s.message()
        both.set()
        first, second = s.done(), s.done()
        assert first.results[0][0] == TEMPORARY and first.closing
        assert second.outcome == UNTRIED and s.done() is None


def test_a_reply_before_its_command_is_no_reply_in_tls(remote):
    with Sink(ehlo=("STARTTLS",), on={"STARTTLS": b"220 go\r\n250 2.0.0 injected\r\n", "EHLO": b"250-x\r\n250 STARTTLS\r\n"}) as sink:
        done = one(remote, sink, tls=MANDATORY)
        assert done.outcome == TEMPORARY and "before TLS" in done.text and not sink.messages


def test_tls_is_demanded_or_not(remote):
    with Sink() as sink:
        done = one(remote, sink, tls=MANDATORY)
        assert (done.outcome, done.status, done.scope) == (TEMPORARY, "4.7.4", OF_PEER)
        assert not any(c.startswith(b"MAIL") for _, c in sink.commands)
        assert one(remote, sink, tls=OPPORTUNISTIC).outcome == DELIVERED
    with Sink(on={"STARTTLS": b"454 4.7.0 not now\r\n", "EHLO": b"250-x\r\n250 STARTTLS\r\n"}) as sink:
        done = one(remote, sink, tls=OPPORTUNISTIC)
        assert done.outcome == DELIVERED and done.how.startswith("plain") and "454" in done.how
        assert one(remote, sink, tls=MANDATORY).outcome == TEMPORARY


def test_plain_text_is_not_for_what_this_host_can_not(remote):
    def begin(connection, _):
        connection.say(b"220 go on\r\n")
        connection.socket.recv(5)
        return CLOSE

    with Sink(on={"STARTTLS": begin, "EHLO": b"250-x\r\n250 STARTTLS\r\n"}) as sink:
        done = one(remote, sink, tls=OPPORTUNISTIC)
        assert (done.outcome, done.status) == (TEMPORARY, "4.7.5") and "no engine" in done.text, done.text
        assert not sink.messages and len(sink.connections) == 1


@pytest.mark.parametrize("ehlo", [(), ("CHUNKING",), ("PIPELINING",), ("PIPELINING", "CHUNKING"), EVERY])
def test_nothing_is_sent_ahead_that_was_not_offered(remote, ehlo):
    content = b"".join(b"%d %s\r\n" % (i, b"x" * 70) for i in range(2000))  # several chunks
    with Sink(ehlo=ehlo, on={"RCPT": refuse(b"bad", b"550 5.1.1 no\r\n")}, strict=True) as sink:
        s = remote.session().peer(sink.port)
        for to in (["a@x.test", "b@x.test"], ["bad@x.test"], ["c@x.test"]):  # the second leaves something to reset
            s.message(content=content, to=to)
        done = [s.done() for _ in range(3)]
        s.close()
        wait_for(lambda: sink.ends, what="QUIT")
        assert not sink.early and [d.outcome for d in done] == [DELIVERED, TEMPORARY, DELIVERED], [d.text for d in done]
        assert [m.content for m in sink.messages] == [content] * 2


@pytest.mark.parametrize("ehlo", [(), ("CHUNKING",), ("PIPELINING", "CHUNKING")])
@pytest.mark.parametrize("reply", [b"250", b"250_ok", b"250\tok", b"  250 ok", b"note: kept\r\n250 2.0.0 ok", b"250-a\r\nb\r\n250 c", b"250-a\r\n251 b", b"251 ok",
                                   b"299 ok", b"550-a\r\n250 b"])
def test_what_says_yes_to_a_message_is_a_yes(remote, ehlo, reply):
    with Sink(ehlo=ehlo, on={"DOT": reply + b"\r\n", "CHUNK": reply + b"\r\n", "EHLO": lambda c, _: c.ehlo_reply().replace(b" ", b"_", 1)}) as sink:
        done = one(remote, sink)
        assert (done.outcome, done.duplicate) == (DELIVERED, 0), done.text


@pytest.mark.parametrize("said", [b"OK, taken\r\n", b"\x01\x02\x03", b"250-half\r\n", b"354 go on\r\n"])
def test_garbage_after_a_message_is_a_doubt_and_is_told(remote, said):
    def garble(connection, _):
        connection.say(said)
        return CLOSE

    with Sink(on={"DOT": garble}) as sink:
        done = one(remote, sink)
        assert (done.outcome, done.duplicate, done.closing, done.scope) == (TEMPORARY, 1, 2, OF_RECIPIENT)
        assert "may come twice" in done.text and (b"taken" not in said or "OK, taken" in done.text)


def test_a_status_of_three_digits_is_told(remote):
    with Sink(on={"RCPT": refuse(b"bad", b"550 5.7.509 Access denied\r\n"), "DOT": b"451 4.255.256 no\r\n"}) as sink:
        done = one(remote, sink, to=["bad@x.test", "good@x.test"])
        assert (done.status, done.results[0][1]) == ("4.255.256", "5.7.509")


def at_most(n, reply):
    """Takes n recipients of a transaction."""
    return lambda c, _: reply if len(c.recipients) >= n else None


@pytest.mark.parametrize("ehlo", [(), ("PIPELINING",), ("PIPELINING", "CHUNKING")])
@pytest.mark.parametrize("reply", [b"452 too many\r\n", b"552 too many\r\n", b"452 4.5.3 too many\r\n", b"552 5.5.3 too many\r\n", b"550 5.5.3 too many\r\n"])
def test_too_many_recipients_may_come_again(remote, ehlo, reply):
    with Sink(ehlo=ehlo, on={"RCPT": at_most(2, reply)}) as sink:
        done = one(remote, sink, to=["a@x.test", "b@x.test", "c@x.test", "d@x.test"])
        assert done.outcome == DELIVERED
        assert {i: r[:2] for i, r in done.results.items()} == {2: (TEMPORARY, "4.5.3"), 3: (TEMPORARY, "4.5.3")}


@pytest.mark.parametrize("reply, result", [(b"552 5.2.2 full\r\n", (PERMANENT, "5.2.2")), (b"452 4.2.2 full\r\n", (TEMPORARY, "4.2.2")), (b"552 full\r\n", (PERMANENT, "5.1.0"))])
def test_a_mailbox_that_is_full_is_not_too_many_recipients(remote, reply, result):
    with Sink(on={"RCPT": refuse(b"full", reply)}) as sink:
        done = one(remote, sink, to=["full@x.test", "good@x.test"])
        assert done.outcome == DELIVERED and done.results[0][:2] == result


@pytest.mark.parametrize("ehlo", [("LIMITS RCPTMAX=2",), ("LIMITS RCPTMAX=2", "PIPELINING"), ("PIPELINING", "CHUNKING", "LIMITS RCPTMAX=2 XMAX=1")])
def test_no_peer_hears_more_recipients_than_it_says(remote, ehlo):
    with Sink(ehlo=ehlo) as sink:
        s = remote.session().peer(sink.port)
        for _ in range(2):  # the second is said ahead
            s.message(to=["a@x.test", "b@x.test", "c@x.test"])
        for _ in range(2):
            done = s.done()
            assert done.outcome == DELIVERED and {i: r[:2] for i, r in done.results.items()} == {2: (TEMPORARY, "4.5.3")}
        s.close()
        assert [len(m.recipients) for m in sink.messages] == [2, 2]


def test_no_connection_has_more_messages_than_the_peer_says(remote):
    with Sink(ehlo=("PIPELINING", "LIMITS MAILMAX=2")) as sink:
        s = remote.session().peer(sink.port)
        for _ in range(3):
            s.message()
        done = [s.done() for _ in range(3)]
        assert [d.outcome for d in done] == [DELIVERED, DELIVERED, UNTRIED] and [d.closing for d in done[:2]] == [0, 1]
        assert s.done() is None
        wait_for(lambda: sink.ends, what="the end")
        assert len([c for _, c in sink.commands if c.startswith(b"MAIL")]) == 2 and sink.commands[-1][1] == b"QUIT"


def test_nobody_there(remote):
    done = one(remote, free_port())
    assert (done.outcome, done.status, done.scope) == (TEMPORARY, "4.4.1", OF_PEER) and "refused" in done.text


def test_an_old_server_hears_helo(remote):
    with Sink(on={"EHLO": b"502 what?\r\n"}) as sink:
        assert one(remote, sink).outcome == DELIVERED
        assert [c.split()[0] for _, c in sink.commands][:2] == [b"EHLO", b"HELO"]


def test_an_idle_connection_that_the_peer_closes_ends_the_session(remote):
    with Sink() as sink:
        s = remote.session().peer(sink.port)
        s.message()
        assert s.done().outcome == DELIVERED
        sink.connections[0].socket.shutdown(socket.SHUT_RDWR)
        assert s.done() is None


def login(remote, sink, lines, **how):
    """A session in which the test says the passwords, as send does."""
    s = remote.session().peer(sink.port, auth=how.pop("auth", 15), **how)
    s.message()
    asked = []
    while True:
        kind, ref, body, fds = s.hear()
        if kind != AUTH:
            break
        mechanism, step = body[0], body[1]
        asked.append((mechanism, step, body[8:]))
        os.write(fds[0], lines[step])
        os.close(fds[0])
        s.say(AUTH_SAID, ref, struct.pack("<B7x", 1))
    s.close()
    return body, asked


def test_passwords_are_said_by_send(remote):
    with Sink(ehlo=("AUTH PLAIN LOGIN",)) as sink:
        body, asked = login(remote, sink, [b"AUTH PLAIN AHUAcA==\r\n"], auth_plain=1)
        assert body[6] == DELIVERED and sink.logins == [[b"u", b"p"]] and [a[:2] for a in asked] == [(0, 0)]
    with Sink(ehlo=("AUTH LOGIN",)) as sink:
        body, asked = login(remote, sink, [b"AUTH LOGIN\r\n", b"dQ==\r\n", b"cA==\r\n"], auth_plain=1)
        assert body[6] == DELIVERED and sink.logins == [[b"u", b"p"]]
    with Sink(ehlo=("AUTH PLAIN",), on={"AUTH": b"535 5.7.8 no\r\n"}) as sink:
        body, _ = login(remote, sink, [b"AUTH PLAIN AHUAcA==\r\n"], auth_plain=1)
        assert body[6] == TEMPORARY and not sink.messages


def test_no_password_without_tls(remote):
    with Sink(ehlo=("AUTH PLAIN LOGIN",)) as sink:
        body, asked = login(remote, sink, [])
        assert body[6] == TEMPORARY and not asked and not sink.logins
    with Sink(ehlo=()) as sink:
        body, asked = login(remote, sink, [], auth_plain=1)
        assert body[6] == TEMPORARY and not asked


SAID = {0: [b"AUTH PLAIN AHUAcA==\r\n"], 1: [b"AUTH LOGIN\r\n", b"dQ==\r\n", b"cA==\r\n"], 2: [b"AUTH CRAM-MD5\r\n", b"eA==\r\n"],
        3: [b"AUTH SCRAM-SHA-256 eA==\r\n", b"eQ==\r\n"]}


def log_in_by_any(remote, sink, auth=15):
    """What becomes of a message, and which mechanisms were begun; step 0 of CRAM-MD5 can't be said if it is not in SAID."""
    s = remote.session().peer(sink.port, auth=auth, auth_plain=1)
    s.message()
    begun = []
    while True:
        kind, ref, body, fds = s.hear()
        if kind != AUTH:
            break
        mechanism, step = body[0], body[1]
        if step == 0:
            begun.append(mechanism)
        os.write(fds[0], SAID[mechanism][step])
        os.close(fds[0])
        s.say(AUTH_SAID, ref, struct.pack("<B7x", 1) + (b"c2lnbmF0dXJl" if (mechanism, step) == (3, 1) else b""))
    s.close()
    return body[6], begun


def nonsense(connection, argument):
    """A challenge that can't be answered; the client must give it up with `*`, and not say QUIT or another AUTH into it."""
    connection.say(b"334 !!!!\r\n")
    return b"501 5.7.0 given up\r\n" if connection.line() == b"*" else CLOSE


def by_mechanism(**what):
    def reply(connection, argument):
        word = argument.split()[0].decode().replace("-", "_")
        return what[word](connection, argument) if callable(what.get(word)) else what.get(word)

    return reply


ALL_FOUR = ("AUTH SCRAM-SHA-256 CRAM-MD5 PLAIN LOGIN",)


@pytest.mark.parametrize("broken, begun", [
    ({"SCRAM_SHA_256": b"535 5.7.8 no\r\n"}, [3, 2]), ({"SCRAM_SHA_256": b"504 5.5.4 unknown\r\n", "CRAM_MD5": nonsense}, [3, 2, 0]),
    ({"SCRAM_SHA_256": nonsense, "CRAM_MD5": b"454 4.7.0 not now\r\n", "PLAIN": b"535 5.7.8 no\r\n"}, [3, 2, 0, 1])])
def test_the_next_mechanism_is_tried_after_one_that_fails(remote, broken, begun):
    good = {"CRAM_MD5": b"235 2.7.0 fine\r\n"}
    with Sink(ehlo=ALL_FOUR, on={"AUTH": by_mechanism(**(good | broken))}) as sink:
        assert log_in_by_any(remote, sink) == (DELIVERED, begun)
        assert len(sink.connections) == 1 and len(sink.messages) == 1


def test_only_mechanisms_of_the_item_are_tried(remote):
    with Sink(ehlo=ALL_FOUR, on={"AUTH": by_mechanism(CRAM_MD5=b"535 5.7.8 no\r\n", SCRAM_SHA_256=b"535 5.7.8 no\r\n")}) as sink:
        assert log_in_by_any(remote, sink, auth=1 << 2) == (TEMPORARY, [2]) and not sink.messages
        assert log_in_by_any(remote, sink, auth=1 << 2 | 1 << 1) == (DELIVERED, [2, 1])


def test_no_password_follows_to_a_relay_that_does_not_prove_that_it_knows_it(remote):
    def pretend(connection, argument):
        connection.say(b"334 " + base64.b64encode(b"r=" + b"n" * 30 + b",s=" + base64.b64encode(b"salt" * 4) + b",i=4096") + b"\r\n")
        connection.line()
        connection.say(b"334 " + base64.b64encode(b"v=wrong") + b"\r\n")
        connection.line()
        return b"235 2.7.0 fine\r\n"

    with Sink(ehlo=ALL_FOUR, on={"AUTH": by_mechanism(SCRAM_SHA_256=pretend)}) as sink:
        assert log_in_by_any(remote, sink) == (TEMPORARY, [3]) and not sink.messages


def test_a_relay_that_closes_after_a_refusal_is_left(remote):
    def close(connection, argument):
        connection.say(b"421 4.7.0 enough\r\n")
        return CLOSE

    with Sink(ehlo=ALL_FOUR, on={"AUTH": by_mechanism(SCRAM_SHA_256=close)}) as sink:
        assert log_in_by_any(remote, sink) == (TEMPORARY, [3]) and not sink.messages


def test_nonsense_from_send_ends_a_session_alone(remote):
    for packets in ([b"x"], [struct.pack("<HH4xQ", 1, 0, 0)], [struct.pack("<HH4xQ", 0, 96, 0) + b"\0" * 96]):
        s = remote.session()
        for p in packets:
            s.channel.send(p)
        assert s.hear() is None
    with Sink() as sink:
        s = remote.session().peer(sink.port)
        s.message(to=["a@x.test\r\nRSET"])
        assert s.hear() is None
        assert one(remote, sink).outcome == DELIVERED


def test_no_port_but_those_of_mail_and_of_the_routes():
    with Sink() as sink, Sink() as other:
        with Remote(ports=f"{sink.port},2525") as r:
            assert one(r, sink).outcome == DELIVERED
            done = one(r, other)
            assert (done.outcome, done.status) == (TEMPORARY, "4.4.1") and "Permission denied" in done.text
            assert not other.connections
