"""Mailboxes that can't be used: what the delivery says in log and queue, and what POP3 says to the user."""
import base64
import os

import pytest
from instance import wait_for
from pop3_rig import PASSWORD, Pop3
from tls_rig import Certificates

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

# user: what both say
STATES = {
    "alice": "alice/Maildir is no directory",
    "bob": "bob/Maildir belongs to uid 4100099",
    "carol": "carol/Maildir leads out of the home directory, by a symbolic link",
    "dave": "new is a symbolic link; expected a directory",
    "erin": None,  # a link that stays below the home: both take it
}
HOMES = "grace", "heidi", "ivan"


def spoil(mail):
    for user in STATES:
        os.makedirs(f"{mail}/{user}")
    open(f"{mail}/alice/Maildir", "w").close()
    os.mkdir(f"{mail}/bob/Maildir", 0o777)
    os.symlink("/tmp", f"{mail}/carol/Maildir")
    for name in "dave/Maildir", "dave/Maildir/tmp", "dave/new", "erin/real", "erin/real/tmp", "erin/real/new", "erin/real/cur":
        os.mkdir(f"{mail}/{name}", 0o700)
    os.symlink("../new", f"{mail}/dave/Maildir/new")
    os.symlink("real", f"{mail}/erin/Maildir")


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    certificates = Certificates(str(tmp_path_factory.mktemp("tls")))
    certificates.issue("p256", "DNS:mx.example.test,DNS:localhost")
    clear = "clear=" + base64.b64encode(PASSWORD.encode()).decode()
    i = Pop3(certificates, services=("send", "smtpd", "pop3s"))
    i.control("passwords", [f"{u}@example.test:{clear}" for u in [*STATES, *HOMES]])
    i.control("users/assign", [f"={u}:{u}:{i.uid + 15}:{i.uid + 15}:{i.path('home/' + u)}:::" for u in HOMES] + ["."])
    for user in HOMES:
        os.makedirs(i.path("home/" + user), 0o700)
        os.chown(i.path("home/" + user), i.uid + 15, i.uid + 15)
    mail = i.path("mail")
    spoil(mail)
    for top, directories, files in os.walk(mail):
        for name in directories + files:
            os.chown(os.path.join(top, name), i.uid + 19, i.uid + 19, follow_symlinks=False)
    os.chown(f"{mail}/bob/Maildir", 4100099, 4100099)
    i.greets = lambda service: service != "pop3s" or Pop3.greets(i, service)
    with i:
        yield i


def login(house, user):
    """What POP3 says to the login."""
    with house.client("pop3s") as c:
        c.line()
        c.say(f"USER {user}@example.test")
        return c.say("PASS " + PASSWORD)


def submit(house, users):
    with house.connect() as s:
        s.ehlo()
        s.transaction("you@sender.test", [f"{u}@example.test" for u in users])
        assert s.data(b"Subject: x\r\n\r\nx\r\n.\r\n")[0] == 250


def said(house, *words):
    wait_for(lambda: any(all(w in line for w in words) for line in house.log("send").splitlines()), what=f"a line with {words}")


def test_a_delivery_that_fails_says_why_and_pop3_ends_with_the_same_reason(house):
    submit(house, STATES)
    for user, reason in STATES.items():
        if reason is not None:
            said(house, f"{user}@example.test", reason)
            reply = login(house, user)
            assert reply.startswith(b"-ERR [SYS/") and reason.encode() in reply, (user, reply)


def test_what_local_takes_behind_a_link_pop3_can_read(house):
    submit(house, ["erin"])
    wait_for(lambda: os.listdir(house.path("mail/erin/real/new")), what="the message")
    assert login(house, "erin").startswith(b"+OK")


def test_a_home_that_can_not_be_used_is_named_in_log_and_pop3(house):
    reasons = {"grace": "can't be used: Permission denied", "heidi": "belongs to uid 0; it must belong to its user",
               "ivan": "can't be used: No such file"}
    home = {user: house.path("home/" + user) for user in reasons}
    with house.connect() as s:
        s.ehlo()
        s.transaction("you@sender.test", [f"{u}@example.test" for u in reasons])
        os.chmod(home["grace"], 0)  # while the message comes in
        os.chown(home["heidi"], 0, 0)
        os.chmod(home["heidi"], 0o755)
        os.rmdir(home["ivan"])
        assert s.data(b"Subject: x\r\n\r\nx\r\n.\r\n")[0] == 250
    for user, reason in reasons.items():
        said(house, f"{user}@example.test", "the home directory " + home[user], reason)
        reply = login(house, user)
        assert reply.startswith(b"-ERR [SYS/TEMP]") and reason.encode() in reply, reply
