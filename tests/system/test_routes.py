"""What the tables for mail to other hosts do when a service starts: certificates and CAs that they name reach keyring."""
import os

from instance import Instance, wait_for
from tls_rig import Certificates


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
