"""What no client should say to log in, and mailboxes that change under one's hands: refused or survived with a clear answer."""
import base64
import os
import shutil
import threading

import pytest
from pop3_rig import PASSWORD, Pop3
from tls_rig import Certificates

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
NAME = "alice@example.test"
MANY = 500


@pytest.fixture(scope="module")
def pop3(tmp_path_factory):
    certificates = Certificates(str(tmp_path_factory.mktemp("tls")))
    certificates.issue("p256", "DNS:mx.example.test")
    with Pop3(certificates, {"pop3/rules": [':allow,AUTHINCLEAR=""']}, services=("pop3",)) as i:
        i.n = 0
        i.fill("alice", 2)
        i.fill("bob", 1)
        yield i
        assert "session-killed" not in i.log() and "process-ended" not in i.log()


def connect(pop3):
    """From another network each time: no test waits for others' failures."""
    pop3.n += 1
    c = pop3.client("pop3", f"127.0.{pop3.n}.1")
    assert c.line().startswith(b"+OK")
    return c


@pytest.fixture
def client(pop3):
    with connect(pop3) as c:
        yield c


def b64(text):
    return base64.b64encode(text if isinstance(text, bytes) else text.encode())


def plain(name, password, other=""):
    return b64(f"{other}\0{name}\0{password}")


def log_in(client, user):
    for reply in client.say(f"USER {user}@example.test"), client.say("PASS " + PASSWORD):
        assert reply.startswith(b"+OK"), reply


def logs_in(client):
    """It is still a session like any other."""
    assert client.say(b"AUTH PLAIN " + plain(NAME, PASSWORD)).startswith(b"+OK")
    assert client.say("STAT").startswith(b"+OK 2 ")


@pytest.mark.parametrize("said", [
    f"\0{NAME}\0{PASSWORD}\0x", f"\0{NAME}\0\0{PASSWORD}", f"\0{NAME}\0", f"\0\0{PASSWORD}", "", f"{NAME}\0{PASSWORD}", f"\0{NAME}\0" + "x" * 321,
    f"bob@example.test\0{NAME}\0{PASSWORD}",
], ids=range(8))
def test_what_is_no_login_is_refused_and_the_session_goes_on(client, said):
    assert client.say(b"AUTH PLAIN " + (b64(said) or b"=")).startswith(b"-ERR")
    assert client.say("AUTH PLAIN") == b"+ "
    assert client.say(b64(said)).startswith(b"-ERR")
    assert client.say("STAT").startswith(b"-ERR")
    logs_in(client)


def test_a_password_with_a_zero_octet_is_none(pop3, client):
    client.say("USER " + NAME)
    assert client.say(b"PASS " + PASSWORD.encode() + b"\0") == b"-ERR a line has no CR or NUL in it"
    assert client.is_over()
    with connect(pop3) as c:
        assert c.say("AUTH LOGIN").startswith(b"+ ")
        assert c.say(b64(NAME)).startswith(b"+ ")
        assert c.say(b64(PASSWORD + "\0")).startswith(b"-ERR")
        logs_in(c)


def test_a_line_of_a_mebibyte_is_one_that_is_too_long(client):
    for before in b"AUTH PLAIN ", b"PASS ", b"":
        if not before:
            assert client.say("AUTH PLAIN") == b"+ "
        client.send(before + b"A" * (1 << 20) + b"\r\n")
        assert client.line().startswith(b"-ERR")
    assert client.say("STAT").startswith(b"-ERR")
    logs_in(client)


def test_a_mebibyte_in_pieces_ends_at_the_number_of_errors(client):
    """Each as long as a response may be."""
    answers = []
    for _ in range((1 << 20) // 2900 + 1):
        try:
            client.send(b"AUTH PLAIN\r\n" + b"A" * 2900 + b"\r\n")
            answers += [client.line(), client.line()]
        except OSError:
            break
        if None in answers:
            break
    assert 4 < len(answers) < 200 and None in answers[-2:]
    assert all(a is None or a == b"+ " or a.startswith(b"-ERR") for a in answers), answers


def test_what_is_pipelined_is_a_response_where_one_is_due(pop3):
    with connect(pop3) as c:
        c.send(b"AUTH LOGIN\r\nSTAT\r\nLIST\r\nAUTH PLAIN\r\n*\r\nNOOP\r\n")
        assert c.line().startswith(b"+ ")
        answers = []
        while (line := c.line()) is not None:
            answers.append(line)
            if line.startswith(b"-ERR log in"):
                break
        assert not any(a.startswith(b"+OK") for a in answers), answers
    with connect(pop3) as c:
        c.send(b"AUTH PLAIN\r\n" + plain(NAME, PASSWORD) + b"\r\nSTAT\r\nQUIT\r\n")
        assert c.line() == b"+ " and c.line().startswith(b"+OK") and c.line().startswith(b"+OK 2 ") and c.line().startswith(b"+OK")


def test_abandoned_exchanges_cost_nothing(pop3, client):
    for said in b"AUTH PLAIN\r\n", b"AUTH LOGIN\r\n" + b64(NAME) + b"\r\n", b"AUTH PLAIN " + plain(NAME, "x")[:9], b"USER " + NAME.encode() + b"\r\nPASS x":
        for _ in range(5):
            with connect(pop3) as c:
                c.send(said)
    assert client.say("AUTH PLAIN") == b"+ "
    assert client.say("*").startswith(b"-ERR")
    logs_in(client)


@pytest.mark.parametrize("name", ["../alice", "alice/../bob@example.test", "/alice@example.test", "bob@example.test/", "..", ".", "/", "a\\b",
                                  "alice@example.test\n", "bob@example.test\0", "*", "@example.test", "!alice", "%2e%2e/bob"])
def test_a_name_is_no_path(pop3, client, name):
    assert client.say(b"AUTH PLAIN " + plain(name, PASSWORD)).startswith(b"-ERR")
    if not set(name) & set("\n\0"):
        client.say(f"USER {name}")
        assert client.say("PASS " + PASSWORD).startswith(b"-ERR")
    assert client.say("STAT").startswith(b"-ERR")
    assert not os.path.exists(pop3.path("mail/../alice")) and sorted(os.listdir(pop3.path("mail"))) == ["alice", "bob"] + MADE


MADE = []  # mailboxes that a test has made meanwhile


def test_messages_may_vanish_while_they_are_listed(pop3):
    """Each that is listed has one size; those that are not there any more are left out, or said to be gone."""
    names = [f"{1700000000 + n}.M1P1Q{n}R1.host" for n in range(MANY)]
    pop3.fill("carol", 1)
    MADE.append("carol")
    for n, name in enumerate(names):
        with open(pop3.maildir("carol", "new/" + name), "w") as f:
            f.write(f"Subject: message {n}\n\nx\n")
    pop3.give("carol")
    with connect(pop3) as c:
        log_in(c, "carol")
        stop = threading.Event()

        def remove():
            for name in names[::2]:
                os.unlink(pop3.maildir("carol", "new/" + name))
                if stop.is_set():
                    return

        remover = threading.Thread(target=remove)
        remover.start()
        try:
            lists = [c.ask("LIST"), c.ask("UIDL"), c.ask("LIST")]
        finally:
            remover.join(60)
            stop.set()
        for lines in lists:
            numbers = [int(line.split()[0]) for line in lines]
            assert numbers == sorted(set(numbers)) and set(range(2, MANY + 1, 2)) <= set(numbers) <= set(range(1, MANY + 1))
        assert c.say(f"RETR {MANY - 1}") == b"-ERR that message is not there any more"
        assert c.ask("RETR 2")[0] == b"Subject: message 1"
        assert c.say("DELE 2").startswith(b"+OK") and c.say("QUIT").startswith(b"+OK")
    assert len(pop3.stored("carol")) == MANY // 2 - 1


def test_a_maildir_that_goes_away_under_a_session_is_said(pop3):
    pop3.fill("dave", 2)
    MADE.append("dave")
    with connect(pop3) as c:
        log_in(c, "dave")
        shutil.rmtree(pop3.maildir("dave"))
        assert c.say("RETR 1") == b"-ERR that message is not there any more"
        assert c.say("DELE 2").startswith((b"+OK", b"-ERR"))
        assert c.say("QUIT").startswith((b"+OK", b"-ERR"))
    with connect(pop3) as c:
        log_in(c, "dave")
        assert c.say("STAT") == b"+OK 0 0"
