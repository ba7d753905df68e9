"""After an exchange the password is in no process' memory: each mechanism that shows it to us, over STARTTLS, at once in TLS, and without TLS."""
import base64
import contextlib
import os
import subprocess

import pytest
from instance import BIN, Instance, free_port, wait_for
from pop3_rig import Client
from test_tls_keys import family, holds, plain_only
from tls_rig import Certificates

NAME = "alice@example.test"
PASSWORD = "Xq7-mellow-Walrus-93-pumice-Osprey"  # long enough to be found by any part of it
WRONG = "Zk4-gritty-Badger-58-cobalt-Heron!"


def b64(text):
    return base64.b64encode(text.encode())


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    c = Certificates(str(tmp_path_factory.mktemp("tls")))
    c.issue("p256", "DNS:mx.example.test,IP:127.0.0.1")
    table = str(tmp_path_factory.mktemp("passwords") / "passwords")
    subprocess.run([f"{BIN}/postern", "passwd", "-f", table, "set", NAME], input=PASSWORD + "\n", text=True, check=True, timeout=60)
    ports = {s: free_port() for s in ("submission", "smtps", "pop3", "pop3s")}
    with Instance({
        **{f"{s}/listen": f"127.0.0.1:{port}" for s, port in ports.items()},
        "smtps/variables": ["TLSATONCE=", f"CERTFILE={c.path('p256.pem')}", f"KEYFILE={c.path('p256.key')}"],
        "pop3s/variables": ["TLSATONCE=", f"CERTFILE={c.path('p256.pem')}", f"KEYFILE={c.path('p256.key')}"],
        "variables": [f"CERTFILE={c.path('p256.pem')}", f"KEYFILE={c.path('p256.key')}"],
        "rules": ['127.0.0.2:allow,AUTHINCLEAR=""', ":allow"],
        "virtualusers": [f"{NAME}:alice/Maildir"],
        "passwords": open(table).read().strip(),
    }, services=("send", "submission", "smtps", "pop3", "pop3s")) as i:
        i.ports, i.certificates = ports, c
        for s in ports:
            wait_for(lambda: len(connect(i, s, "127.0.0.1").line()) > 0, 20, "a greeting of " + s)
        yield i


def connect(house, service, address):
    s = Client(house.ports[service], address)
    if service in ("smtps", "pop3s"):
        s.secure(house.certificates)
    return s


def opened(house, service, way):
    """A session in which a password may be said."""
    s = connect(house, service, "127.0.0.2" if way == "clear" else "127.0.0.1")
    assert s.line()[:3] in (b"220", b"+OK")
    if way == "starttls":
        if service == "submission":
            say_ehlo(s)
        assert s.say({"submission": "STARTTLS", "pop3": "STLS"}[service])[:3] in (b"220", b"+OK")
        s.secure(house.certificates)
    if service in ("submission", "smtps"):
        say_ehlo(s)
    return s


def say_ehlo(s):
    line = s.say("EHLO client.test")
    while line[3:4] == b"-":
        line = s.line()
    assert line.startswith(b"250 "), line


def exchange(s, mechanism, password):
    """The answer at the end of it."""
    if mechanism == "PLAIN":
        return s.say(b"AUTH PLAIN " + b64(f"\0{NAME}\0{password}"))
    if mechanism == "PLAIN2":
        assert s.say("AUTH PLAIN")[:1] in (b"3", b"+")
        return s.say(b64(f"\0{NAME}\0{password}"))
    if mechanism == "LOGIN":
        assert s.say("AUTH LOGIN")[:1] in (b"3", b"+")
        assert s.say(b64(NAME))[:1] in (b"3", b"+")
        return s.say(b64(password))
    assert s.say(f"USER {NAME}").startswith(b"+OK")
    return s.say(f"PASS {password}")


def needles(password):
    """Itself, as PLAIN and as LOGIN has it, in pieces: a rest of it is a find too."""
    said = [password.encode(), b64(f"\0{NAME}\0{password}")[28:], b64(password)]
    return [text[at:at + 14] for text in said for at in (2, len(text) - 18)]


SAID = {
    "submission": [("starttls", m) for m in ("PLAIN", "PLAIN2", "LOGIN")] + [("clear", m) for m in ("PLAIN", "LOGIN")],
    "smtps": [("tls", "PLAIN"), ("tls", "LOGIN")],
    "pop3": [("starttls", "USER"), ("starttls", "PLAIN"), ("clear", "USER")],
    "pop3s": [("tls", "USER"), ("tls", "PLAIN2")],
}


@plain_only
@pytest.mark.parametrize("service", SAID)
def test_after_the_exchange_nobody_has_it(house, service):
    with contextlib.ExitStack() as stack:
        for way, mechanism in SAID[service]:
            for password, answers in (WRONG, (b"535", b"-ERR")), (PASSWORD, (b"235", b"+OK")):
                s = stack.enter_context(opened(house, service, way))  # and it stays open
                answer = exchange(s, mechanism, password)
                assert answer.startswith(answers), answer
        found, looked = set(), set()
        for pid in family([house.wardens[service].pid, house.wardens["send"].pid]):
            try:
                with open(f"/proc/{pid}/comm") as f:
                    name = f.read().strip()
                found |= {f"{name} {pid} {k}" for k, password in (("right", PASSWORD), ("wrong", WRONG)) if holds(pid, needles(password))}
            except OSError:
                pass  # it has ended
            else:
                looked.add(name)
        assert not found
        assert {"policy", "auth", "warden", "smtpd" if service in ("submission", "smtps") else "pop3d", "tls"} <= looked
    assert holds(os.getpid(), needles(PASSWORD))  # the search would find them
