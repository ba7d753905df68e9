"""Checks of a sender, a HELO name and of who guesses or hurries: against a name server of the test's own."""
import os
import signal
import subprocess
import time

import pytest
from dns import Server
from instance import BIN, Instance, wait_for

RECORDS = {  # not below .test, of which libunbound knows itself that it is empty
    ("good.example.net", "MX"): ["10 mx.good.example.net"],
    ("plain.example.net", "A"): ["192.0.2.7"],
    ("nomail.example.net", "MX"): ["0 ."],
    ("silent.example.net", "MX"): None,
    ("helo.example.net", "A"): ["192.0.2.8"],
    ("2.0.0.127.bl.example.net", "A"): ["127.0.0.2"],
    ("20.0.0.127.bl.example.net", "A"): ["127.0.0.4"],
    ("20.0.0.127.bl.example.net", "TXT"): ["you are in my list"],
    ("21.0.0.127.bl.example.net", "A"): ["127.0.0.4"],
    ("21.0.0.127.wl.example.net", "A"): ["127.0.9.1"],
    ("spf.example.net", "TXT"): ["v=spf1 mx ip4:127.0.0.30 -all"],
    ("spf.example.net", "MX"): ["10 mx1.example.net", "10 mx2.example.net"],
    ("mx1.example.net", "A"): ["192.0.2.1"],
    ("mx2.example.net", "A"): ["127.0.0.31"],
    ("22.0.0.127.bl.example.net", "A"): None,
}
RECORDS |= {(f"s{i}.slow{i % 9}.example.org", "MX"): None for i in range(60)}
RECORDS |= {(f"g{i}.example.net", "MX"): ["10 mx.good.example.net"] for i in range(5)}
RULES = [
    '127.0.0.3:allow,HELOCHECK="A"',
    '127.0.0.4:allow,GREETDELAY="2"',
    '127.0.0.5:allow,TARPITCOUNT="2",TARPITDELAY="2"',
    '127.0.0.20:allow,DNSLISTS="b"',
    '127.0.0.21-22:allow',
    '127.0.0.30-32:allow,SPF="3"',
    ':allow,MFDNSCHECK=""',
]


@pytest.fixture(scope="module")
def mx():
    server = Server(RECORDS)
    items = {"resolve/forwarders": f"127.0.0.1@{server.port}", "trustanchor": "", "smtpd/rules": RULES, "peernames": "no",
             "smtpd/dnslists": "bl.example.net", "smtpd/dnsallowlists": "wl.example.net=127.0.0.0/16"}
    with Instance(items, services=("send", "resolve", "smtpd")) as i:
        def has_doorway():  # smtpd may have started before resolve: then it is started anew
            return os.readlink(f"/proc/{i.pids('smtpd')['policy']}/fd/8").startswith("socket:")  # else it is /dev/null
        wait_for(has_doorway, what="a doorway to resolve")
        wait_for(lambda: rcpt(i, "127.0.0.1", "a@good.example.net").startswith("250"), 20, "an answer about a sender")
        yield i
        assert "session-broken" not in i.log()
    server.close()


def begin(mx, address, sender="a@good.example.net", helo="peer.test", timeout=40):
    s = mx.connect_from(address, timeout)
    assert s.reply()[0] == 220
    assert s.say(f"EHLO {helo}")[0] == 250
    assert s.say(f"MAIL FROM:<{sender}>")[0] == 250
    return s


def rcpt(mx, address, sender, helo="peer.test", to="alice@example.test"):
    try:
        with begin(mx, address, sender, helo) as s:
            return " ".join(s.say(f"RCPT TO:<{to}>")[1].decode().split()[:2])
    except (OSError, AssertionError):  # a generation that is being replaced
        return ""


@pytest.mark.parametrize("sender,reply", [("a@good.example.net", "250 2.1.5"), ("a@plain.example.net", "250 2.1.5"), ("", "250 2.1.5"),
                                          ("a@gone.example.net", "553 5.1.8"), ("a@nomail.example.net", "550 5.7.27")])
def test_a_sender_must_exist(mx, sender, reply):
    assert rcpt(mx, "127.0.0.1", sender) == reply


def test_a_domain_whose_servers_are_silent_is_put_off_and_holds_up_nobody(mx):
    with begin(mx, "127.0.0.1", "a@silent.example.net") as slow:
        slow.send(b"RCPT TO:<alice@example.test>\r\n")
        began = time.monotonic()
        for _ in range(5):
            assert rcpt(mx, "127.0.0.1", "a@good.example.net") == "250 2.1.5"
        assert time.monotonic() - began < 8  # the other one takes ten
        assert slow.reply()[1].startswith(b"451 4.4.3")


def test_many_who_wait_for_silent_servers_leave_others_their_answers(mx):
    slow = [begin(mx, "127.0.0.1", f"a@s{i}.slow{i % 9}.example.org") for i in range(60)]
    for s in slow:
        s.send(b"RCPT TO:<alice@example.test>\r\n")
    began = time.monotonic()
    assert [rcpt(mx, "127.0.0.1", f"a@g{i}.example.net") for i in range(5)] == ["250 2.1.5"] * 5
    assert time.monotonic() - began < 8
    for s in slow:
        s.socket.close()


@pytest.mark.parametrize("helo,reply", [("helo.example.net", "250 2.1.5"), ("gone.example.net", "550 5.7.1"), ("[127.0.0.3]", "250 2.1.5")])
def test_a_helo_name_must_exist(mx, helo, reply):
    assert rcpt(mx, "127.0.0.3", "a@good.example.net", helo) == reply


def test_who_speaks_before_the_greeting_is_refused(mx):
    with mx.connect_from("127.0.0.4") as s:
        s.send(b"EHLO hasty.test\r\n")
        assert s.reply()[1].startswith(b"554 5.5.0")
        assert s.is_over()
    wait_for(lambda: "spoke before the greeting" in mx.log("smtpd"), what="the line about it")


def test_who_waits_is_greeted(mx):
    began = time.monotonic()
    with mx.connect_from("127.0.0.4", 20) as s:
        assert s.reply()[0] == 220
        assert time.monotonic() - began >= 1.9
        assert s.say("EHLO patient.test")[0] == 250


def test_who_guesses_is_slowed_down(mx):
    with begin(mx, "127.0.0.5") as s:
        assert s.say("RCPT TO:<one@example.test>")[0] == 550
        began = time.monotonic()
        assert s.say("RCPT TO:<two@example.test>")[0] == 550
        assert time.monotonic() - began >= 1.9
        assert s.say("RCPT TO:<alice@example.test>")[1].startswith(b"452 4.5.3")


def test_who_is_in_a_dns_list_is_refused_with_its_words(mx):
    with begin(mx, "127.0.0.20") as s:
        assert s.say("RCPT TO:<alice@example.test>") == (553, b"553 5.7.1 your address is refused: you are in my list")
    wait_for(lambda: "event=dnslist " in mx.log("smtpd"), what="the line about it")


def test_who_is_in_another_list_is_let_in(mx):
    assert rcpt(mx, "127.0.0.21", "a@good.example.net") == "250 2.1.5"


def test_a_list_that_is_silent_costs_its_peer_seconds_and_others_nothing(mx):
    with begin(mx, "127.0.0.22") as slow:
        slow.send(b"RCPT TO:<alice@example.test>\r\n")
        assert rcpt(mx, "127.0.0.21", "a@good.example.net") == "250 2.1.5"
        assert slow.reply()[0] == 250
    wait_for(lambda: "dnslist-trouble" in mx.log("smtpd"), what="the line about it")


def test_a_sender_s_domain_says_who_may_send_for_it(mx):
    assert rcpt(mx, "127.0.0.30", "a@spf.example.net") == "250 2.1.5"
    with begin(mx, "127.0.0.32", "a@spf.example.net") as s:
        code, text = s.say("RCPT TO:<alice@example.test>")
        assert text.startswith(b"550 5.7.23") and b"127.0.0.32 is not one of the hosts of spf.example.net" in text
    with mx.connect_from("127.0.0.31") as s:
        s.ehlo()
        s.transaction("a@spf.example.net")
        assert s.data(b"Subject: spf\r\n\r\nx\r\n.\r\n")[0] == 250
    mine = wait_for(lambda: [m for m in mx.messages() if b"Subject: spf" in m], what="delivery")
    assert mine[0].index(b"Received-SPF: pass receiver=mx.example.test; client-ip=127.0.0.31;") < mine[0].index(b"\nReceived: ")


def test_tables_of_recipients_are_made_and_read_again_after_a_hangup():
    i = Instance({"smtpd/rcpthosts": ["example.test", "backup.test"], "smtpd/recipients": ["@backup.test:users/backup.cdb", "!example.test"]})
    os.mkdir(i.path("control/users"), 0o755)
    table = i.path("control/users/backup.cdb")

    def make(text):
        return subprocess.run([f"{BIN}/postern", "recipients", table], input=text, text=True, capture_output=True)

    assert make("Ann@Backup.test\n# nobody else\n\nlist-@backup.test\n").returncode == 0
    with i:
        assert rcpt(i, "127.0.0.1", "a@b.test", to="ann@backup.test") == "250 2.1.5"
        assert rcpt(i, "127.0.0.1", "a@b.test", to="list-x-y@backup.test") == "250 2.1.5"
        assert rcpt(i, "127.0.0.1", "a@b.test", to="bob@backup.test") == "550 5.1.1"
        assert rcpt(i, "127.0.0.1", "a@b.test", to="alice@example.test") == "250 2.1.5"
        failed = make("bob@backup.test\nno address\n")
        assert failed.returncode == 101 and "line 2" in failed.stderr
        assert make("bob@backup.test\n").returncode == 0 and not os.path.exists(table + ".tmp")
        i.wardens["smtpd"].send_signal(signal.SIGHUP)
        wait_for(lambda: rcpt(i, "127.0.0.1", "a@b.test", to="bob@backup.test") == "250 2.1.5", 20, "the new table")
        assert rcpt(i, "127.0.0.1", "a@b.test", to="ann@backup.test") == "550 5.1.1"
        with open(table, "w") as f:
            f.write("no cdb")
        i.wardens["smtpd"].send_signal(signal.SIGHUP)
        wait_for(lambda: "backup.cdb: expected a cdb" in i.log("smtpd"), what="a refusal to change")
        assert rcpt(i, "127.0.0.1", "a@b.test", to="bob@backup.test") == "250 2.1.5"


def test_a_resolver_that_was_stopped_and_started_is_asked_again():
    server = Server({("good.example.net", "MX"): ["10 mx.good.example.net"]})
    items = {"resolve/forwarders": f"127.0.0.1@{server.port}", "trustanchor": "", "smtpd/rules": [':allow,MFDNSCHECK=""'], "peernames": "no"}
    with Instance(items, services=("send", "resolve", "smtpd")) as i:
        def answer():
            return rcpt(i, "127.0.0.1", "a@good.example.net")
        wait_for(lambda: answer() == "250 2.1.5", 20, "an answer")
        i.stop("resolve")
        wait_for(lambda: answer() == "451 4.4.3", 20, "a failure")
        i.start("resolve")
        wait_for(lambda: answer() == "250 2.1.5", 20, "an answer again")
    server.close()
