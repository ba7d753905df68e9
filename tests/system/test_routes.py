"""The tables for mail to other hosts in a whole instance: the way that mail takes, and the certificates, CAs and revocation lists that reach the engines."""
import contextlib
import os
import socket

import pytest

from instance import Instance, wait_for
from sink import Sink
from test_tls_stores import Authority
from tls_rig import Certificates, server_context


def test_certificates_and_cas_of_the_tables_are_taken_in(tmp_path):
    made = Certificates(str(tmp_path))
    made.issue("locked", passphrase="two|words")
    made.issue("open")
    with open(made.path("both.pem"), "w") as f:
        f.write(open(made.path("open.pem")).read() + open(made.path("open.key")).read())
    os.makedirs(made.path("cas/below"))
    os.rename(made.path("ca.pem"), made.path("cas/ca.pem"))
    control = {
        "send/domaincerts": [f"locked.test:{made.path('locked.pem')}|{made.path('locked.key')}|two|words", f".one.test:{made.path('both.pem')}",
                             f"wrong.test:{made.path('open.pem')}|{made.path('locked.key')}|other", "*:/nonexistent/cert.pem"],
        "send/tlsdestinations": [f"a.test:{made.path('cas')}/|2", f"=b.test:{made.path('cas/ca.pem')}", f"c.test:{made.path('gone.pem')}", "*:"],
        "send/cafile": made.path("locked.key"),
    }
    with Instance(control, services=["send"]) as mx:
        log = wait_for(lambda: "event=generation" in mx.log() and mx.log(), what="the service send")

        def told(event, file):
            return any(f"event={event} " in line and file in line for line in log.splitlines())

        assert told("certificate", "/locked.pem") and told("certificate", "/both.pem"), log
        assert told("certificate-refused", "/open.pem") and told("certificate-refused", "/nonexistent/cert.pem"), log
        assert told("file-unreadable", "/gone.pem") and told("ca-file-refused", "/locked.key"), log
        assert not told("ca-file-refused", "/cas/") and not told("file-unreadable", "/cas/"), log
        assert "two|words" not in log


def test_a_certificate_that_its_ca_has_revoked_proves_nothing(tmp_path):
    """The list is a file beside the CA's in the directory that the policy names."""
    ca = Authority(str(tmp_path / "ca"))
    ca.configure("ca")
    ca.issue("good")
    ca.issue("revoked")
    ca.revoke("revoked")
    os.mkdir(ca.path("store"))
    os.rename(ca.crl(), ca.path("store/ca.crl"))
    os.link(ca.path("ca.pem"), ca.path("store/ca.pem"))
    with contextlib.ExitStack() as stack:
        sinks = {name: stack.enter_context(Sink(tls=server_context(ca, name), address=address)) for name, address in (("good", "127.0.0.2"), ("revoked", "127.0.0.3"))}
        mx = stack.enter_context(Instance({
            "send/smtproutes": [f"{name}.pn:{address};{sinks[name].port}" for name, address in (("good", "127.0.0.2"), ("revoked", "127.0.0.3"))],
            "send/tlsdestinations": [f"{address}:{ca.path('store')}/" for address in ("127.0.0.2", "127.0.0.3")]}, services=["send", "inject"]))
        with mx.connect(family=socket.AF_UNIX) as s:
            s.ehlo()
            s.transaction(recipients=["bob@good.pn", "bob@revoked.pn"])
            assert s.data(b"Subject: x\r\n\r\nbody\r\n.\r\n")[0] == 250

        def line(domain):
            return next((x for x in mx.log("send").splitlines() if "event=delivery " in x and domain in x), "")

        wait_for(lambda: line("good.pn") and line("revoked.pn"), 30, "two deliveries")
        assert "result=delivered" in line("good.pn") and "verified=ca" in line("good.pn")
        assert "result=deferred status=4.7.5" in line("revoked.pn") and "does not verify: certificate revoked" in line("revoked.pn"), line("revoked.pn")
        assert len(sinks["good"].messages) == 1 and sinks["revoked"].messages == []


class Post:
    """An instance with a relay for each line of its routes: all hosts are addresses of this one."""

    RELAYS = {"named": "127.0.0.2", "suffix": "127.0.0.3", "rest": "127.0.0.4", "reports": "127.0.0.5", "vip": "127.0.0.6", "corp": "127.0.0.7"}

    def __init__(self, stack):
        refuse = {"RCPT": lambda connection, argument: b"550 5.1.1 not here\r\n" if b"bad@" in argument else None}
        self.sinks = {name: stack.enter_context(Sink(ehlo=["PIPELINING", "AUTH PLAIN"], on=refuse if name == "named" else None, address=address))
                      for name, address in self.RELAYS.items()}
        at = {name: f"{address};{self.sinks[name].port}" for name, address in self.RELAYS.items()}
        self.mx = stack.enter_context(Instance({
            "send/smtproutes": [f"a.pn:{at['named'].replace(';', ':')}", f".b.pn:{at['suffix']}", f":{at['rest']}", f"!@:{at['reports']}"],
            "send/qmtproutes": ["q.pn:127.0.0.9"],
            "send/authsenders": [f"vip@one.test:!{at['vip']}|joe|a|b", f"@corp.test:{at['corp']}"],
            "send/domainips": ["one.test:127.0.0.11|mail.one.test", ".two.test:127.0.0.12", "*:127.0.0.13|others.test"],
            "send/helohost": "helo.example.test",
        }, services=["send", "inject"]))

    def send(self, sender, recipient):
        with self.mx.connect(family=socket.AF_UNIX) as s:
            s.ehlo()
            s.transaction(sender, [recipient])
            assert s.data(b"Subject: x\r\n\r\nbody\r\n.\r\n")[0] == 250

    def received(self, name, recipient):
        return next((m for m in self.sinks[name].messages if f"<{recipient}>".encode() in b" ".join(m.recipients)), None)

    def line(self, recipient):
        return next((x for x in self.mx.log("send").splitlines() if "event=delivery " in x and f"rcpt={recipient} " in x), None)


@pytest.fixture(scope="module")
def post():
    with contextlib.ExitStack() as stack:
        yield Post(stack)


@pytest.mark.parametrize("sender, recipient, relay, peer, helo", [
    ("you@one.test", "a1@a.pn", "named", "127.0.0.11", "mail.one.test"),
    ("you@x.two.test", "a2@a.pn", "named", "127.0.0.12", "helo.example.test"),
    ("you@two.test", "b1@x.b.pn", "suffix", "127.0.0.13", "others.test"),
    ("you@one.test", "b2@b.pn", "rest", "127.0.0.11", "mail.one.test"),
    ("you@one.test", "c1@c.pn", "rest", "127.0.0.11", "mail.one.test"),
    ("vip@one.test", "a3@a.pn", "vip", "127.0.0.11", "mail.one.test"),
    ("ann@corp.test", "a4@a.pn", "corp", "127.0.0.13", "others.test"),
    ("ann@sub.corp.test", "a5@a.pn", "named", "127.0.0.13", "others.test"),
])
def test_mail_takes_the_way_of_its_line_and_comes_from_where_its_sender_is(post, sender, recipient, relay, peer, helo):
    post.send(sender, recipient)
    message = wait_for(lambda: post.received(relay, recipient), 30, "a delivery")
    assert (message.peer, message.helo.decode()) == (peer, helo)


def test_a_login_without_tls_where_its_line_says_so(post):
    post.send("vip@one.test", "login@a.pn")
    wait_for(lambda: post.received("vip", "login@a.pn"), 30, "a delivery")
    assert post.sinks["vip"].logins[-1] == [b"joe", b"a|b"]


def test_reports_have_a_route_of_their_own(post):
    post.send("back@away.pn", "bad@a.pn")
    report = wait_for(lambda: post.received("reports", "back@away.pn"), 30, "a report")
    assert report.sender.startswith(b"FROM:<>") and b"550 5.1.1 not here" in report.content
    assert report.helo == b"others.test"


def test_mail_for_a_relay_that_speaks_qmtp_waits_and_says_why(post):
    post.send("you@one.test", "bob@q.pn")
    line = wait_for(lambda: post.line("bob@q.pn"), 30, "a line about it")
    assert "result=deferred" in line and "QMTP" in line


def test_what_needs_smtputf8_goes_back_where_a_peer_has_none(post):
    before = post.mx.mailbox()
    with post.mx.connect(family=socket.AF_UNIX) as s:
        s.ehlo()
        s.transaction("alice@example.test", ["jürgen@x.b.pn"], " SMTPUTF8")
        assert s.data(b"Subject: x\r\n\r\nbody\r\n.\r\n")[0] == 250
    report = post.mx.wait_new(before).decode()
    assert "Status: 5.6.7" in report and "SMTPUTF8" in report and "jürgen@x.b.pn" in report
    assert post.received("suffix", "jürgen@x.b.pn") is None
