"""How much one user of the submission service may send in an hour: in all his sessions together, and nobody else's business."""
import os
import subprocess

import pytest
from instance import BIN, Instance, free_port, wait_for
from test_auth import plain

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
PASSWORD = "correct horse"
ALICE, BOB = "alice@example.test", "bob@example.test"


@pytest.fixture
def mx(tmp_path):
    port, table = free_port(), str(tmp_path / "passwords")
    for name in ALICE, BOB:
        subprocess.run([f"{BIN}/postern", "passwd", "-f", table, "set", name], input=PASSWORD + "\n", text=True, check=True, timeout=60)
    with Instance({"submission/listen": f"127.0.0.1:{port}", "submission/rules": [':allow,AUTHINCLEAR=""'], "submission/usermessages": "3",
                   "submission/userrecipients": "5", "passwords": open(table).read().strip(), "submission/concurrencyaddress": "100",
                   "submission/concurrencynetwork": "100"}, services=("send", "submission")) as i:
        i.port = port
        wait_for(i.answers, 20, "a greeting")
        yield i


def logged_in(mx, name):
    s = mx.connect()
    s.ehlo()
    assert s.say(f"AUTH PLAIN {plain(name, PASSWORD)}")[0] == 235
    return s


def send(s, sender):
    """The code that ends it: of a recipient, of DATA, or of the message."""
    assert s.say(f"MAIL FROM:<{sender}>")[0] == 250
    for answer in s.say("RCPT TO:<alice@example.test>"), s.say("DATA"):
        if answer[0] not in (250, 354):
            assert s.say("RSET")[0] == 250
            return answer[0]
    s.send(b"Subject: x\r\n\r\nx\r\n.\r\n")
    return s.reply()[0]


def test_a_user_sends_so_many_messages_in_an_hour(mx):
    with logged_in(mx, ALICE) as one, logged_in(mx, ALICE) as two, logged_in(mx, BOB) as bob:
        assert [send(s, ALICE) for s in (one, two, one)] == [250, 250, 250]
        assert 450 <= send(two, ALICE) < 460 and 450 <= send(one, ALICE) < 460
        with logged_in(mx, ALICE.upper()) as three:  # another session, and another case, are no other user
            assert 450 <= send(three, ALICE) < 460
        assert [send(bob, BOB) for _ in range(3)] == [250, 250, 250]
    mx.wait_messages(6)


def test_a_user_has_so_many_recipients_in_an_hour(mx):
    with logged_in(mx, ALICE) as s, logged_in(mx, BOB) as bob:
        assert s.say(f"MAIL FROM:<{ALICE}>")[0] == 250
        codes = [s.say("RCPT TO:<bob@example.test>")[0] for _ in range(7)]
        assert codes[:5] == [250] * 5 and all(450 <= c < 460 for c in codes[5:]), codes
        assert s.data(b"Subject: x\r\n\r\nx\r\n.\r\n")[0] == 250  # to those who were taken
        assert 450 <= send(s, ALICE) < 460
        assert send(bob, BOB) == 250
