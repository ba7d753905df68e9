"""What the tables for mail to other hosts do when a service starts: certificates, CAs and revocation lists that they name reach the engines."""
import contextlib
import os
import socket

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
    os.mkdir(made.path("cas"))
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
        assert told("file-unreadable", "/gone.pem") and told("ca-file-refused", "file=system"), log
        assert not told("ca-file-refused", "/cas/"), log
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
