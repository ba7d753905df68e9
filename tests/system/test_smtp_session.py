"""The SMTP front end as peers see it: what is accepted, what is refused, and that one session never hurts another."""
import socket
import subprocess
import time

import pytest
from instance import Instance, wait_for
from peers_rig import unpack


@pytest.fixture(scope="module")
def mx():
    with Instance({"smtpd/databytes": "1000000", "smtpd/maxrcpt": "100", "smtpd/maxerrors": "50", "smtpd/maxhops": "30"}) as i:
        yield i
        assert "session-killed" not in i.log()


def session(mx, **kw):
    s = mx.connect(**kw)
    s.ehlo()
    return s


def clean_after(mx):
    with mx.connect(timeout=5) as s:
        assert s.reply()[0] == 220
        assert s.say("EHLO again.test")[0] == 250
        assert s.say("NOOP")[0] == 250
        assert s.say("QUIT")[0] == 221


def body_of(message):
    return message.split(b"\n\n", 1)[1]


def deliver(mx, content, parameters=""):
    before = mx.mailbox()
    with session(mx) as s:
        s.transaction(parameters=parameters)
        code, text = s.data(content + b".\r\n")
        assert code == 250, text
    return mx.wait_new(before)


def test_extensions_are_those_that_are_there(mx):
    with mx.connect() as s:
        text = s.ehlo()
        for word in (b"PIPELINING", b"SIZE 1000000", b"8BITMIME", b"SMTPUTF8", b"ENHANCEDSTATUSCODES", b"CHUNKING", b"DSN", b"LIMITS RCPTMAX=100"):
            assert word in text
        assert b"STARTTLS" not in text and b"AUTH" not in text


def test_what_was_sent_is_octet_for_octet_in_the_maildir(mx):
    lines = [b"Subject: all kinds", b"", b"..two dots", b".", b"...", b"x" * 5000, bytes(range(1, 10)) + bytes(range(14, 32)), b"8-bit \xe4\xf6\xfc \xff", b"", b"end"]
    wire = b"".join((b"." + line if line.startswith(b".") else line) + b"\r\n" for line in lines)
    before = set(mx.mailbox())
    with session(mx) as s:
        s.transaction(parameters=" BODY=8BITMIME")
        assert s.data(wire + b".\r\n")[0] == 250
    wait_for(lambda: set(mx.mailbox()) - before, what="delivery")
    with open((set(mx.mailbox()) - before).pop(), "rb") as f:
        message = f.read()
    head, rest = message.split(b"Subject: all kinds\n", 1)
    assert b"Subject: all kinds\n" + rest == b"".join(line + b"\n" for line in lines)
    assert head.startswith(b"Return-Path: <you@sender.test>\nDelivered-To: alice@example.test\nReceived: from client.test (unknown [127.0.0.1])")
    assert b" with ESMTP id " in head and b"for <alice@example.test>" in head


SMUGGLED = b"MAIL FROM:<s@x.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n.\r\n"


@pytest.mark.parametrize("ending", [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\r.\n", b"\r\r\n.\r\r\n", b"\r\0\n.\r\n",
                                    b"\n\n", b"\0", b"\r\n\0.\r\n"])
def test_only_crlf_dot_crlf_ends_data(mx, ending):
    """attacks 3.1, 1: one reply for the whole, a refusal, and the session is over"""
    with session(mx) as s:
        s.transaction()
        code, _ = s.data(b"Subject: x\r\n\r\nbody" + ending + SMUGGLED)
        assert code == 550
        assert s.is_over()
    clean_after(mx)
    assert mx.mailbox("bob") == []


@pytest.mark.parametrize("ending", [b"\v.\v", b"\f.\f", b"\x85.\x85", "\u2028.\u2028".encode()])
def test_odd_line_ends_are_no_line_ends(mx, ending):
    with session(mx) as s:
        s.transaction(parameters=" BODY=8BITMIME")
        code, _ = s.data(b"Subject: x\r\n\r\nbody" + ending + SMUGGLED)
        assert code == 250  # the whole of it was one message
    assert mx.mailbox("bob") == []


def test_the_end_of_data_may_be_cut_anywhere(mx):
    end = b"text\r\n.\r\n"
    for cut in range(1, len(end)):
        with session(mx) as s:
            s.transaction()
            assert s.say("DATA")[0] == 354
            s.send(b"Subject: cut\r\n\r\n" + end[:cut])
            time.sleep(0.05)
            s.send(end[cut:])
            assert s.reply()[0] == 250
            assert s.say("NOOP")[0] == 250


@pytest.mark.parametrize("n", [510, 998, 4095, 4096, 8191, 32767, 32768, 65536])
def test_a_long_line_with_a_dot_behind_it_is_no_end(mx, n):
    with session(mx) as s:
        s.transaction()
        assert s.say("DATA")[0] == 354
        s.send(b"Subject: long\r\n\r\n" + b"a" * n + b".\r\nQUIT\r\n")
        s.send(b".\r\n")
        assert s.reply()[0] == 250


def test_commands_behind_the_end_of_data_are_run(mx):
    with session(mx) as s:
        s.transaction()
        assert s.say("DATA")[0] == 354
        s.send(b"Subject: p\r\n\r\nx\r\n.\r\nNOOP\r\nMAIL FROM:<b@c.test>\r\n" + b"NOOP\r\n" * 200)
        assert [s.reply()[0] for _ in range(203)] == [250] * 203


@pytest.mark.parametrize("line", [b"NOOP\nNOOP\r\n", b"NOOP\rNOOP\r\n", b"NO\0OP\r\n", b'RCPT TO:<"x\nRCPT TO:<r>\r\n', b"\n", b"NOOP\r\r\n"])
def test_a_command_with_a_bare_line_end_or_nul_ends_the_session(mx, line):
    with session(mx) as s:
        s.send(line)
        assert s.reply()[0] == 500
        assert s.is_over()
    clean_after(mx)


@pytest.mark.parametrize("n", [505, 2047, 3061, 3062, 3071, 3073, 4095, 4096, 4097, 65536, 1 << 20])
def test_the_tail_of_an_overlong_line_is_never_run(mx, n):
    with session(mx) as s:
        s.send(b"NOOP " + b"x" * n + b"QUIT\r\nNOOP\r\n")
        assert s.reply()[0] == (250 if n < 3062 else 500)
        assert s.reply()[0] == 250


@pytest.mark.parametrize("command,code", [
    ("MAIL FROM:<a@b.test> SIZE=18446744073709551616", 552), ("MAIL FROM:<a@b.test> SIZE=" + "9" * 21, 501), ("MAIL FROM:<a@b.test> SIZE=" + "9" * 20, 552),
    ("MAIL FROM:<a@b.test> SIZE=" + "0" * 20, 250), ("MAIL FROM:<a@b.test> SIZE=" + "0" * 21, 501),
    ("MAIL FROM:<a@b.test> SIZE=4294967296", 552), ("MAIL FROM:<a@b.test> SIZE=-1", 501), ("MAIL FROM:<a@b.test> SIZE=0x10", 501),
    ("MAIL FROM:<a@b.test> SIZE=1 SIZE=1", 501), ("MAIL FROM:<a@b.test> BODY=BINARYMIME", 501), ("MAIL FROM:<a@b.test> FOO=1", 555),
    ("MAIL FROM:<a@b.test> RET=ALL", 501), ("MAIL FROM:<a@b.test> ENVID=a+0D+0Ab", 501), ("MAIL FROM:<a@b.test> AUTH", 501),
    ("MAIL FROM:a@b.test", 501), ("MAIL FROM:<a@b.test", 501), ("MAIL FROM:<a@b.test>X", 501), ("MAIL", 501), ("MAIL FROM:<a>", 501),
    ("MAIL FROM:<;for i in 0 1 2;do read r;done;sh;exit 0;>", 501), ("MAIL FROM:<a@-b.test>", 501), ("MAIL FROM:<a@" + "b" * 64 + ".test>", 501),
    ("MAIL FROM:<" + "a" * 300 + "@b.test>", 501), ("MAIL FROM:<a b@c.test>", 501), ("MAIL FROM:<a@[1.2.3]>", 501),
    ("MAIL FROM:<\u00e4@b.test>", 550), ('MAIL FROM:<"unclosed@b.test>', 501),
    ("MAIL FROM:<>", 250), ("MAIL FROM:<a@b.test> SIZE=100 BODY=8BITMIME RET=HDRS ENVID=x+2By", 250), ("mail from:<a@[192.0.2.1]>", 250),
    ("MAIL FROM:<a@[IPv6:2001:db8::1]>", 250), ('MAIL FROM:<"a b\\"c"@d.test>', 250), ("MAIL FROM:<@x.test,@y.test:a@b.test>", 250),
    ("MAIL FROM:<\u00e4@\u00fc.test> SMTPUTF8", 250), ("MAIL FROM:<" + "a" * 64 + "@b.test>", 250),
])
def test_mail_has_an_answer_for_every_form(mx, command, code):
    with session(mx) as s:
        assert s.say(command)[0] == code
        assert s.say("NOOP")[0] == 250


@pytest.mark.parametrize("path,code", [
    ("alice@example.test", 250), ("ALICE@EXAMPLE.TEST", 250), ('"alice"@example.test', 250), ('"\\a\\l\\i\\c\\e"@example.test', 250),
    ("postmaster", 250), ("Postmaster@example.test", 250), ("nobody@example.test", 550), ("alice@elsewhere.test", 553),
    ("alice%elsewhere.test@example.test", 550), ('"alice@elsewhere.test"@example.test', 550), ("@example.test:alice@elsewhere.test", 553),
    ("elsewhere.test!alice@example.test", 550), ("alice/../../x@example.test", 550), ('"alice\0"@example.test', 500), ("", 501),
    ("alice", 501), ("a" * 2000 + "@example.test", 501), ("../../etc/passwd@example.test", 550), ("-oQ/tmp@example.test", 550),
])
def test_rcpt_relays_for_nobody(mx, path, code):
    with session(mx) as s:
        assert s.say("MAIL FROM:<you@sender.test>")[0] == 250
        assert s.say(f"RCPT TO:<{path}>")[0] == code


def test_the_order_of_commands(mx):
    with mx.connect() as s:
        assert s.reply()[0] == 220
        assert s.say("EHLO x.test")[0] == 250
        for command in ("RCPT TO:<alice@example.test>", "DATA"):
            assert s.say(command)[0] == 503
        assert s.say("MAIL FROM:<a@b.test>")[0] == 250
        assert s.say("MAIL FROM:<a@b.test>")[0] == 503
        assert s.say("DATA")[0] == 503
        assert s.say("RSET")[0] == 250
        assert s.say("RCPT TO:<alice@example.test>")[0] == 503
        assert s.say("VRFY alice")[0] == 252
        assert s.say("EXPN alice")[0] == 502
        assert s.say("HELP")[0] == 214
        assert s.say("STARTTLS")[0] == 502
        assert s.say("FROBNICATE")[0] == 500
        assert s.say("QUIT")[0] == 221
        assert s.is_over()


def test_somebody_who_speaks_http_is_sent_away(mx):
    for first in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"POST / HTTP/1.1\r\n", b"CONNECT x:25 HTTP/1.1\r\n"):
        with mx.connect() as s:
            assert s.reply()[0] == 220
            s.send(first + b"EHLO x.test\r\nMAIL FROM:<a@b.test>\r\n")
            assert s.reply()[0] == 421
            assert s.is_over()
    clean_after(mx)


def test_three_unknown_commands_before_ehlo_end_the_session(mx):
    with mx.connect() as s:
        assert s.reply()[0] == 220
        for _ in range(3):
            assert s.say("WHAT")[0] == 500
        assert s.reply()[0] == 421


def test_recipients_beyond_the_limit_are_told_to_come_again(mx):
    with session(mx) as s:
        assert s.say("MAIL FROM:<a@b.test>")[0] == 250
        s.send(b"RCPT TO:<alice@example.test>\r\n" * 1000)
        codes = [s.reply() for _ in range(1000)]
        assert [c for c, _ in codes[:100]] == [250] * 100
        assert {c for c, _ in codes[100:]} == {452} and b"4.5.3" in codes[100][1]
        assert s.say("NOOP")[0] == 250


def test_errors_without_end_are_ended(mx):
    with session(mx) as s:
        s.send(b"FOO\r\n" * 200)
        codes = []
        while True:
            code = s.reply()[0]
            if code == 0:
                break
            codes.append(code)
        assert codes == [500] * 50 + [421]


def test_a_message_larger_than_the_limit_is_refused_while_it_comes(mx):
    with session(mx) as s:
        s.transaction()
        code, text = s.data(b"Subject: big\r\n\r\n" + (b"x" * 998 + b"\r\n") * 1500 + b".\r\n")
        assert code == 552 and b"5.3.4" in text
        assert s.say("NOOP")[0] == 250
        s.transaction()
        assert s.data(b"Subject: small\r\n\r\nok\r\n.\r\n")[0] == 250


def test_a_message_that_goes_in_circles_is_refused(mx):
    for n, code in ((30, 250), (31, 554), (1000, 554)):
        with session(mx) as s:
            s.transaction()
            assert s.data(b"Received: by x; y\r\n" * n + b"Subject: loop\r\n\r\nReceived: in the body\r\n.\r\n")[0] == code


def test_bdat_takes_chunks_as_they_are(mx):
    content = b"Subject: chunks\r\n\r\n.\r\n..\r\nlast line"
    with session(mx) as s:
        s.transaction()
        for i in range(0, len(content), 7):
            piece = content[i : i + 7]
            s.send(b"BDAT %d\r\n" % len(piece) + piece)
            assert s.reply()[0] == 250
        assert s.say("BDAT 0 LAST")[0] == 250
        assert s.say("NOOP")[0] == 250
    mine = wait_for(lambda: [m for m in mx.messages() if b"Subject: chunks" in m], what="delivery")  # others' come late, too
    assert body_of(mine[0]) == b".\n..\nlast line\n"


def test_bdat_out_of_place_eats_its_octets(mx):
    with session(mx) as s:
        s.send(b"BDAT 6\r\nQUIT\r\nNOOP\r\n")
        assert s.reply()[0] == 503
        assert s.reply()[0] == 250
        assert s.say("BDAT 18446744073709551617 LAST")[0] == 501
        assert s.is_over()
    clean_after(mx)


def test_data_after_bdat_and_chunks_after_a_refusal(mx):
    with session(mx) as s:
        s.transaction()
        s.send(b"BDAT 4\r\nab\r\n")
        assert s.reply()[0] == 250
        assert s.say("DATA")[0] == 503
        assert s.say("RCPT TO:<alice@example.test>")[0] == 503
        assert s.say("RSET")[0] == 250
        s.transaction()
        s.send(b"BDAT 1000100\r\n" + b"y" * 998 + b"\r\n" + b"z" * 999100)
        assert s.reply()[0] == 552
        s.send(b"BDAT 3 LAST\r\nabc")
        assert s.reply()[0] == 503
        assert s.say("DATA")[0] == 503
        assert s.say("RSET")[0] == 250
        s.transaction()
        assert s.data(b"Subject: after\r\n\r\nx\r\n.\r\n")[0] == 250


def test_very_many_tiny_chunks_cost_no_memory(mx):
    with session(mx, timeout=30) as s:
        s.transaction()
        n = 20000
        s.send(b"BDAT 1\r\nx" * n)
        for _ in range(n):
            assert s.reply()[0] == 250
        assert s.say("RSET")[0] == 250


def test_a_bare_lf_in_a_chunk_is_refused(mx):
    with session(mx) as s:
        s.transaction()
        s.send(b"BDAT 4 LAST\r\na\nb\n")
        assert s.reply()[0] == 550
        assert s.is_over()
    clean_after(mx)


def test_a_session_that_breaks_off_leaves_nothing(mx):
    files = len(mx.queued())
    for stop in (b"", b"MAIL FROM:<a@b.test>\r\n", b"MAIL FROM:<a@b.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\nSubject: half\r\n\r\nhalf"):
        s = session(mx)
        s.send(stop)
        time.sleep(0.1)
        s.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset
        s.socket.close()
    clean_after(mx)
    assert len(mx.queued()) <= files and mx.mailbox("bob") == []


def memory_kib(pid):
    with open(f"/proc/{pid}/status") as f:
        return sum(int(line.split()[1]) for line in f if line.startswith(("RssAnon", "VmSwap")))


def test_memory_stays_bounded_whatever_comes(mx):
    pids = mx.pids("smtpd")
    before = {name: memory_kib(pid) for name, pid in pids.items()}
    with session(mx, timeout=60) as s:
        s.transaction()
        assert s.say("DATA")[0] == 354
        s.send(b"X: " + b"h" * (8 << 20) + b"\r\n")
        s.send(b"A: b\r\n" * 100000)
        s.send(b"\r\n" * 500000)
        s.send(b"l" * (8 << 20) + b"\r\n.\r\n")
        assert s.reply()[0] == 552
    for name, pid in pids.items():
        assert memory_kib(pid) - before[name] < 8192, name


def test_idle_and_slow_sessions_do_not_hurt_others(mx):
    idle = [mx.connect() for _ in range(200)]
    for s in idle:
        assert s.reply()[0] == 220
    clean_after(mx)
    for s in idle:
        s.socket.close()
    for _ in range(300):
        mx.connect().socket.close()
    clean_after(mx)


def test_ten_thousand_commands_unread_do_not_grow(mx):
    s = session(mx)
    s.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.socket.settimeout(1)
    try:
        s.send(b"NOOP\r\n" * 200000)
    except (TimeoutError, socket.timeout):
        pass
    clean_after(mx)
    assert memory_kib(mx.pids("smtpd")["policy"]) < 20000
    s.socket.close()


def test_smtputf8_mail_is_delivered_with_its_keyword(mx):
    before = set(mx.mailbox())
    with session(mx) as s:
        s.transaction(sender="j\u00f6rg@b\u00fccher.test", parameters=" SMTPUTF8")
        assert s.data("Subject: gr\u00fc\u00dfe\r\n\r\n\u00e4\r\n.\r\n".encode())[0] == 250
    wait_for(lambda: set(mx.mailbox()) - before, what="delivery")
    with open((set(mx.mailbox()) - before).pop(), "rb") as f:
        message = f.read()
    assert message.startswith("Return-Path: <j\u00f6rg@xn--bcher-kva.test>\n".encode()) and b" with UTF8SMTP id " in message


def test_swaks_delivers(mx):
    before = set(mx.mailbox())
    r = subprocess.run(["swaks", "--server", f"127.0.0.1:{mx.port}", "--from", "you@sender.test", "--to", "alice@example.test", "--body", "by swaks"],
                       capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)
    assert r.returncode == 0, r.stdout
    wait_for(lambda: set(mx.mailbox()) - before, what="delivery")


def test_smtp_source_delivers(mx, tmp_path):
    """Postfix's, with ten sessions at a time."""
    unpack(tmp_path, "postfix")
    before = set(mx.mailbox())
    for options in (["-d"], []):  # -d: it stays connected for more than one message
        r = subprocess.run([tmp_path / "usr/sbin/smtp-source", *options, "-s", "10", "-m", "50", "-l", "4096", "-S", "by smtp-source", "-f", "you@sender.test",
                            "-t", "alice@example.test", "-M", "client.test", f"inet:127.0.0.1:{mx.port}"], timeout=60, stdin=subprocess.DEVNULL,
                           env={"LD_LIBRARY_PATH": tmp_path / "usr/lib/postfix"}, capture_output=True)
        assert r.returncode == 0 and r.stderr == b"", r
    wait_for(lambda: len(set(mx.mailbox()) - before) == 100, 60, "delivery of all")
    bodies = set()
    for name in set(mx.mailbox()) - before:
        with open(name, "rb") as f:
            head, body = f.read().split(b"\n\n", 1)
        assert b"\nSubject: by smtp-source" in head
        bodies.add(body)
    assert len(bodies) == 1 and len(body) > 3500, bodies
