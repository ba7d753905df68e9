"""What has broken other mail servers, said to this one: framing at the edges of buffers, numbers that wrap, addresses with two
readings, peers that are slow, states that are left over. Each test ends with a clean session."""
import os
import random
import socket
import time

import pytest
from instance import Instance, wait_for


@pytest.fixture(scope="module")
def mx():
    with Instance({"locals": ["example.test", "mx.example.test", "xn--bcher-kva.test"], "smtpd/databytes": "2000000", "smtpd/maxrcpt": "100",
                   "smtpd/maxerrors": "500",
                   "virtualusers": ["alice@example.test:alice/Maildir", "bob@example.test:bob/Maildir", "postmaster@example.test:postmaster/Maildir",
                                    "u@xn--bcher-kva.test:u/Maildir"]}) as i:
        yield i
        for trouble in ("session-killed", "session-broken", "queue-gone"):
            assert trouble not in i.log()


@pytest.fixture(scope="module")
def impatient():
    items = {"smtpd/timeoutsmtpd": "1", "smtpd/sessionseconds": "10", "smtpd/barelfnetworks": ["127.0.0.0/8"], "smtpd/maxerrors": "30"}
    with Instance(items) as i:
        yield i
        assert "session-killed" not in i.log()


def session(mx, **kw):
    s = mx.connect(**kw)
    s.ehlo()
    return s


@pytest.fixture(autouse=True)
def clean_after(request):
    yield
    name = next((n for n in ("mx", "impatient") if n in request.fixturenames), None)
    if name is None:
        return
    with request.getfixturevalue(name).connect(timeout=5) as s:
        assert s.reply()[0] == 220
        for word, code in (("EHLO again.test", 250), ("NOOP", 250), ("QUIT", 221)):
            assert s.say(word)[0] == code


def begin_data(s, parameters=""):
    s.transaction(parameters=parameters)
    assert s.say("DATA")[0] == 354


def is_alive(s):
    return s.say("NOOP")[0] == 250


# ---- framing ----

def test_the_end_of_data_may_lie_across_any_buffer(mx):
    """what comes before it fills a buffer of any size but for a few octets"""
    with session(mx) as s:
        for size in (512, 1024, 2048, 4096, 8192, 16384, 32768, 65536):
            for n in range(size - 5, size + 5):
                begin_data(s)
                s.send(b"a" * (n - 2) + b"\r\n.\r\nNOOP\r\n")
                assert s.reply()[0] == 250 and s.reply()[0] == 250, n


@pytest.mark.parametrize("n", [510, 512, 998, 1000, 2048, 4095, 4096, 8192, 32767, 32768, 65536, 65537])
def test_no_line_is_so_long_that_it_begins_anew(mx, n):
    with session(mx) as s:
        begin_data(s)
        s.send(b"a" * n + b".\r\n")
        time.sleep(0.02)
        s.send(b"a" * n)
        time.sleep(0.02)
        s.send(b".\r\nMAIL FROM:<x@y.test>\r\n.\r\n")
        assert s.reply()[0] == 250
        assert is_alive(s)


def test_a_dot_at_once_is_an_empty_message(mx):
    with session(mx) as s:
        begin_data(s)
        s.send(b".\r\n")
        assert s.reply()[0] in (250, 554)
        assert is_alive(s)


@pytest.mark.parametrize("first", [b".\n", b".\r", b"\n.\n", b"\n.\r\n", b"\r.\r\n", b".\0\r\n", b".\r\r\n"])
def test_what_only_looks_like_an_end_is_none_at_the_start(mx, first):
    with session(mx) as s:
        begin_data(s)
        s.send(first + b"MAIL FROM:<x@y.test>\r\nRCPT TO:<bob@example.test>\r\n")
        s.socket.settimeout(0.3)
        with pytest.raises((TimeoutError, socket.timeout)):
            s.reply()
        s.socket.settimeout(10)
        s.send(b"\r\n.\r\n")
        assert s.reply()[0] == 550
        assert s.is_over()


@pytest.mark.parametrize("n", [2047, 2048, 2049, 4095, 4096, 4097, 9000])
def test_an_overlong_line_with_a_bare_lf_leaves_no_command_behind(mx, n):
    with session(mx) as s:
        s.send(b"NOOP " + b"x" * n + b"\nQUIT\r\nMAIL FROM:<a@b.test>\r\n")
        assert s.reply()[0] == 500
        assert s.is_over()


def test_a_helo_of_a_megabyte(mx):
    with mx.connect() as s:
        assert s.reply()[0] == 220
        s.send(b"EHLO " + b"a" * (1 << 20) + b"\r\n")
        assert s.reply()[0] == 500
        for bad in (b"a\xc3\xbc.test", b"a\xe2\x80\xa8X-Inj: 1", b"a\x85b", b"a(comment)", b"a;b"):
            assert s.say(b"EHLO " + bad)[0] == 250, bad  # what becomes of it: test_dialects.py
        s.send(b"EHLO a\rX-Inj: 1\r\n")
        assert s.reply()[0] == 500
        assert s.is_over()


def test_a_line_of_another_protocol_ends_the_session_at_any_time(mx):
    for before in ([], ["EHLO x.test"], ["EHLO x.test", "MAIL FROM:<a@b.test>", "RCPT TO:<alice@example.test>"]):
        for line in ("Host: mx.example.test", "Host:mx.example.test", "GET /", "content-length:5"):
            with mx.connect() as s:
                assert s.reply()[0] == 220
                for word in before:
                    assert s.say(word)[0] == 250
                s.send(line.encode() + b"\r\nDATA\r\n")
                assert s.reply()[0] == 421
                assert s.is_over()


# ---- states ----

def test_vrfy_in_utf8_harms_no_transaction(mx):
    with session(mx) as s:
        s.transaction()
        assert s.say("VRFY \u00e4@\u00fc.test".encode())[0] == 252
        assert s.data(b"Subject: after vrfy\r\n\r\nx\r\n.\r\n")[0] == 250


def test_a_message_refused_at_its_end_leaves_no_transaction(mx):
    with session(mx) as s:
        s.transaction()
        assert s.data(b"Received: x\r\n" * 200 + b"\r\n.\r\n")[0] == 554
        assert s.say("DATA")[0] == 503
        assert s.say("RCPT TO:<alice@example.test>")[0] == 503
        s.send(b"BDAT 2 LAST\r\n\r\n")
        assert s.reply()[0] == 503
        s.transaction()
        assert s.data(b"Subject: next\r\n\r\nx\r\n.\r\n")[0] == 250


def test_a_chunk_that_was_refused_is_not_data_later(mx):
    with session(mx) as s:
        s.transaction()
        s.send(b"BDAT 2000100\r\n" + b"y" * 2000098 + b"\r\n")
        assert s.reply()[0] == 552
        for word in ("DATA", "RCPT TO:<alice@example.test>", "MAIL FROM:<a@b.test>"):
            assert s.say(word)[0] == 503
        assert s.say("EHLO anew.test")[0] == 250
        s.transaction()
        assert s.data(b"Subject: next\r\n\r\nx\r\n.\r\n")[0] == 250


def test_ehlo_in_the_middle_forgets_everything(mx):
    with session(mx) as s:
        for words in (["MAIL FROM:<a@b.test>"], ["MAIL FROM:<a@b.test>", "RCPT TO:<alice@example.test>"]):
            for word in words:
                assert s.say(word)[0] == 250
            assert s.say("HELO anew.test")[0] == 250
            assert s.say("RCPT TO:<alice@example.test>")[0] == 503
            assert s.say("DATA")[0] == 503
        assert s.say("MAIL FROM:<a@b.test> SIZE=1")[0] == 555  # HELO has no extensions


def test_all_recipients_refused_leaves_no_data(mx):
    with session(mx) as s:
        assert s.say("MAIL FROM:<a@b.test>")[0] == 250
        for _ in range(3):
            assert s.say("RCPT TO:<nobody@example.test>")[0] == 550
        assert s.say("DATA")[0] == 503
        s.send(b"BDAT 4 LAST\r\nQUIT")
        assert s.reply()[0] == 503
        assert s.say("RCPT TO:<alice@example.test>")[0] == 250
        assert s.data(b"Subject: one was right\r\n\r\nx\r\n.\r\n")[0] == 250


WORDS = [b"EHLO a.test", b"HELO b.test", b"MAIL FROM:<a@b.test>", b"MAIL FROM:<>", b"MAIL FROM:<a@b.test> SIZE=9999999", b"MAIL FROM:<a", b"RCPT TO:<bob@example.test>",
         b"RCPT TO:<nobody@example.test>", b"RCPT TO:<x@elsewhere.test>", b"RSET", b"NOOP", b"VRFY x", b"EXPN x", b"HELP", b"AUTH PLAIN", b"STARTTLS", b"FOO",
         b"BDAT 0", b"BDAT 3\r\na\r\n", b"BDAT 3 LAST\r\na\r\n", b"BDAT 0 LAST"]


def run_states(mx, seed):
    """Says random words at random moments and follows, by the replies alone, what must be true."""
    r = random.Random(seed)
    mail = n = accepted = 0
    chunked = refused = False
    with session(mx) as s:
        for _ in range(60):
            word = r.choice(WORDS + [b"DATA"] * 2 + WORDS[2:4] * 2 + WORDS[6:7] * 3)
            chunk = word.startswith(b"BDAT") and b"\r\n" in word
            s.send(word if chunk else word + b"\r\n")
            code, text = s.reply()
            verb = word[:4]
            assert code // 100 in (2, 3, 5), (seed, word, text)
            if verb == b"RCPT":
                assert code != 250 or (mail and not chunked), (seed, text)
                n += code == 250
            elif verb == b"MAIL":
                assert code != 250 or not mail, seed
                mail = mail or code == 250
            elif verb == b"DATA":
                assert (code == 354) == (mail and n > 0 and not chunked and not refused), (seed, code)
                if code == 354:
                    s.send(r.choice([b"Subject: s\r\n\r\nMAIL FROM:<x@y.test>\r\n.\r\n", b".\r\n", b"Received: x\r\n" * 120 + b"\r\n.\r\n"]))
                    code, text = s.reply()
                    assert code in (250, 554), (seed, code)
                    accepted += code == 250
                    mail = n = 0
            elif verb == b"BDAT":
                assert (code == 250) == (mail and n > 0), (seed, code, text)
                chunked = code == 250 and b"LAST" not in word
                if code == 250 and not chunked:
                    accepted += 1
                    mail = n = 0
            elif verb in (b"RSET", b"EHLO", b"HELO"):
                assert code == 250
                mail = n = 0
                chunked = False
    return accepted


def test_random_words_at_random_moments(mx):
    before = len(mx.mailbox("bob"))
    accepted = sum(run_states(mx, seed) for seed in range(60))
    assert accepted > 20
    time.sleep(0.5)
    mx.wait_messages(before + accepted // 2, "bob", 30)
    wait_for(lambda: not mx.queued(), 30, "delivery of all")
    assert len(mx.mailbox("bob")) >= before + accepted


# ---- numbers ----

@pytest.mark.parametrize("size,code", [("4294967297 LAST", 552), ("4294967296", 552), ("18446744073709551617", 501), ("9" * 1000, 501), ("-1", 501), ("0x10", 501), ("", 501)])
def test_chunk_sizes_never_wrap(mx, size, code):
    with session(mx) as s:
        s.transaction()
        s.send(b"BDAT " + size.encode() + b"\r\nx" + b"NOOP\r\n")
        if code == 501:
            assert s.reply()[0] == 501
            assert s.is_over()
            return
        s.socket.settimeout(0.3)
        with pytest.raises((TimeoutError, socket.timeout)):
            s.reply()  # it waits for the rest, and has taken the command for content


def test_two_thousand_refused_recipients_end_the_session(mx):
    with session(mx, timeout=20) as s:
        assert s.say("MAIL FROM:<a@b.test>")[0] == 250
        try:
            s.send(b"RCPT TO:<nobody@example.test>\r\n" * 2000)
        except (ConnectionError, BrokenPipeError):
            pass
        codes = []
        while True:
            code = s.reply()[0]
            if code == 0:
                break
            codes.append(code)
        assert set(codes[:-1]) == {550} and codes[-1:] == [421] and len(codes) == 501


# ---- addresses ----

@pytest.mark.parametrize("sender", ["you@sender.test", "", "alice@example.test"])
def test_no_sender_makes_a_relay(mx, sender):
    with session(mx) as s:
        for path in ("victim%target.test@example.test", '"victim@target.test"@example.test', "@example.test:victim@target.test", "target.test!victim@example.test",
                     "victim@target.test", "victim@target.test@example.test", '"victim"@target.test', "victim%target.test@[127.0.0.1]", "@mx.example.test,@a.test:victim@target.test",
                     "victim@[192.0.2.1]", "victim@target.test%example.test", "target.test!victim", "victim%target.test", "victim@example.test.", "victim@.example.test",
                     "example.test!victim@target.test", "victim@xn--example-.test"):
            assert s.say(f"MAIL FROM:<{sender}>")[0] == 250
            code, text = s.say(f"RCPT TO:<{path}>")
            assert code in (501, 550, 553), (path, text)
            assert s.say("RSET")[0] == 250


def test_a_domain_has_one_form_however_it_is_written(mx):
    with session(mx) as s:
        for path in ("u@b\u00fccher.test", "u@B\u00dcCHER.TEST", "u@bu\u0308cher.test", "u@xn--bcher-kva.test", "u@XN--BCHER-KVA.test", "u@b\u00fccher\u3002test"):
            assert s.say("MAIL FROM:<a@b.test> SMTPUTF8")[0] == 250
            assert s.say(f"RCPT TO:<{path}>".encode())[0] == 250, path
            assert s.say("RSET")[0] == 250


@pytest.mark.parametrize("path", ["a@evil\uff20own.test", "a@evil\uff1e.test", "a@\uff0fetc.test", "a@a\u2100.test", "a@\uff0e\uff0ea\u00fc.test"])
def test_what_looks_like_an_at_sign_or_a_bracket_is_no_domain(mx, path):
    with session(mx) as s:
        code = s.say(f"MAIL FROM:<{path}> SMTPUTF8".encode())[0]
        if code == 250:  # the sender is judged with the first recipient
            code = s.say("RCPT TO:<alice@example.test>")[0]
        assert code in (501, 550, 553)
        assert s.say("RSET")[0] == 250
        assert s.say("MAIL FROM:<a@b.test> SMTPUTF8")[0] == 250
        assert s.say(f"RCPT TO:<{path}>".encode())[0] in (501, 550, 553)


@pytest.mark.parametrize("octets", [b"\xff", b"\xc0\xaf", b"\xe0\x80\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc3", b"\xc2\x85", b"\xe2\x80\xa8"])
def test_octets_that_are_no_text_are_in_no_address(mx, octets):
    with session(mx) as s:
        for path in (b"a" + octets + b"@b.test", b'"a' + octets + b'"@b.test', b"a@b" + octets + b".test"):
            assert s.say(b"MAIL FROM:<" + path + b">")[0] in (501, 550)
            code = s.say(b"MAIL FROM:<" + path + b"> SMTPUTF8")[0]
            if code == 250:
                code = s.say(b"RCPT TO:<alice@example.test>")[0]
                assert s.say("RSET")[0] == 250
            assert code in (501, 550, 553), path


@pytest.mark.parametrize("parameter", [b"ORCPT=rfc822;a+0D+0AX-Inj:+201", b"ORCPT=rfc822;a+00b", b"ORCPT=rfc822;", b"ORCPT", b"ORCPT=", b"NOTIFY=,", b"NOTIFY=NEVER,DELAY", b"=", b"==", b"ORCPT=utf-8;\xc3\xa4"])
def test_no_parameter_writes_a_line_into_the_envelope(mx, parameter):
    with session(mx) as s:
        assert s.say("MAIL FROM:<a@b.test>")[0] == 250
        assert s.say(b"RCPT TO:<alice@example.test> " + parameter)[0] in (501, 555)
        assert is_alive(s)


# ---- time ----

def test_silence_is_ended_with_a_word(impatient):
    for words in ([], ["EHLO a.test"], ["EHLO a.test", "MAIL FROM:<a@b.test>", "RCPT TO:<alice@example.test>"],
                  ["EHLO a.test", "MAIL FROM:<a@b.test>", "RCPT TO:<alice@example.test>", "DATA"]):
        with impatient.connect() as s:
            assert s.reply()[0] == 220
            for word in words:
                assert s.say(word)[0] in (250, 354)
            begun = time.monotonic()
            code, text = s.reply()
            assert code == 421 and b"4.4.2" in text
            assert 0.8 < time.monotonic() - begun < 4
            assert s.is_over()
    assert impatient.mailbox() == []


def test_a_peer_that_says_an_octet_at_a_time_has_an_end(impatient):
    """in a command, in DATA and in a chunk; others are served meanwhile"""
    slow = []
    for words in ([], ["MAIL FROM:<a@b.test>", "RCPT TO:<alice@example.test>", "DATA"], ["MAIL FROM:<a@b.test>", "RCPT TO:<alice@example.test>"]):
        s = session(impatient)
        for word in words:
            assert s.say(word)[0] in (250, 354)
        if len(words) == 2:
            s.send(b"BDAT 100000\r\n")
        slow.append(s)
    begun, ended = time.monotonic(), {}
    while len(ended) < len(slow) and time.monotonic() - begun < 15:
        for i, s in enumerate(slow):
            if i in ended:
                continue
            s.socket.settimeout(0.01)
            try:
                s.send(b"x")
                code, text = s.reply()
                ended[i] = code, text, time.monotonic() - begun
            except (TimeoutError, socket.timeout):
                pass
            except (ConnectionError, BrokenPipeError):
                ended[i] = 0, b"", time.monotonic() - begun
        time.sleep(0.4)
        with impatient.connect() as other:
            assert other.reply()[0] == 220
    assert len(ended) == len(slow)
    for code, text, after in ended.values():
        assert code == 421 and b"4.4.2" in text and 7 < after < 13
    assert impatient.mailbox() == []


def test_a_peer_that_reads_nothing_has_an_end(impatient):
    s = session(impatient)
    s.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    s.socket.settimeout(0.2)
    begun, over = time.monotonic(), False
    while not over and time.monotonic() - begun < 20:
        try:
            s.socket.send(b"NOOP\r\n" * 100000)
        except (TimeoutError, socket.timeout):
            pass
        except (ConnectionError, BrokenPipeError):
            over = True
        time.sleep(0.1)
    assert over
    s.socket.close()


def test_excused_networks_end_lines_with_lf_but_never_messages(impatient):
    with session(impatient) as s:
        s.transaction()
        assert s.say("DATA")[0] == 354
        s.send(b"Subject: unix\n\n..two\n.\nMAIL FROM:<x@y.test>\n.\r\nRCPT TO:<bob@example.test>\r\n.\r\n")
        assert s.reply()[0] == 250
        assert is_alive(s)
    message = impatient.wait_messages(1)[0]
    assert message.endswith(b"Subject: unix\n\n.two\n.\nMAIL FROM:<x@y.test>\n.\nRCPT TO:<bob@example.test>\n")
    assert impatient.mailbox("bob") == []


# ---- neighbours ----

def test_when_policy_dies_the_session_says_so_and_the_next_is_served(mx):
    with Instance() as own:
        with session(own) as s, session(own) as t:
            s.transaction()
            begin_data(t)
            policy = own.pids("smtpd")["policy"]
            os.kill(policy, 9)
            code, text = s.say("RCPT TO:<bob@example.test>")
            assert code == 421 and b"4.3.2" in text
            assert s.is_over()
            t.send(b"Subject: half\r\n\r\nx\r\n.\r\n")
            assert t.reply()[0] == 421
            assert t.is_over()
        wait_for(lambda: own.pids("smtpd").get("policy", policy) != policy, 20, "a fresh policy")
        wait_for(own.answers, 20, "a new generation")
        with session(own) as s:
            s.transaction()
            assert s.data(b"Subject: after\r\n\r\nx\r\n.\r\n")[0] == 250
        assert b"Subject: after" in own.wait_messages(1)[0]
        assert len(own.mailbox()) == 1


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(n) for n in f.read().split()]


def test_a_session_that_is_killed_is_nobody_elses_end(mx):
    with Instance() as own:
        with session(own) as first, session(own) as second:
            begin_data(first)
            second.transaction()
            zygote = own.pids("smtpd")["smtpd"]
            wait_for(lambda: len(children_of(zygote)) == 2, 5, "the end of the session that only looked")
            victims = children_of(zygote)
            first.send(b"Subject: begun\r\n")
            os.kill(min(victims), 9)
            wait_for(lambda: own.pids("smtpd").get("smtpd", zygote) != zygote, 20, "a fresh zygote")
            wait_for(own.answers, 20, "somebody who answers")
            assert own.mailbox() == [] and own.queued() == []
            if first.is_over(1):
                assert second.data(b"Subject: other\r\n\r\nx\r\n.\r\n")[0] == 250
            else:
                assert second.is_over()
                first.send(b"\r\nother\r\n.\r\n")
                first.socket.settimeout(10)
                assert first.reply()[0] == 250
            assert len(own.wait_messages(1)) == 1
        with session(own) as s:
            s.transaction()
            assert s.data(b"Subject: after\r\n\r\nx\r\n.\r\n")[0] == 250
