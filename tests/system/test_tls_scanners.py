"""The defaults as scanners see them: sslscan and testssl.sh."""
import json
import subprocess

import pytest

from instance import BIN, Instance
from tls_rig import Certificates

DEPENDS_ON_THE_CERTIFICATE = ("cert_", "DNS_CAA", "OCSP", "engine_problem", "cert")


@pytest.fixture(scope="module")
def mx(tmp_path_factory):
    c = Certificates(str(tmp_path_factory.mktemp("scan")))
    kinds = ("rsa", "p256", "ed25519")
    for kind in kinds:
        c.issue(kind, kind=kind, days=180)
    names = [":".join(c.path(k + end) for k in kinds) for end in (".pem", ".key")]
    with Instance({"smtpd/variables": [f"CERTFILE={names[0]}", f"KEYFILE={names[1]}"]}) as i:
        i.ca = c.path("ca.pem")
        yield i


def test_sslscan_finds_what_is_meant_and_no_more(mx):
    out = subprocess.run(["sslscan", "--starttls-smtp", "--no-colour", f"127.0.0.1:{mx.port}"], capture_output=True, text=True, timeout=120,
                         stdin=subprocess.DEVNULL).stdout
    protocols = dict(line.split() for line in out.split("SSL/TLS Protocols:")[1].split("\n\n")[0].strip().splitlines())
    assert protocols == {"SSLv2": "disabled", "SSLv3": "disabled", "TLSv1.0": "disabled", "TLSv1.1": "disabled", "TLSv1.2": "enabled", "TLSv1.3": "enabled"}
    suites = [line.split()[4] for line in out.splitlines() if line.startswith(("Preferred", "Accepted"))]
    assert len(suites) >= 6 and all(s.startswith("TLS_") or (s.startswith("ECDHE-") and ("GCM" in s or "CHACHA20" in s)) for s in suites), suites
    assert "renegotiation not supported" in out and "ffdhe" not in out
    assert "TLSv1.2 not vulnerable to heartbleed" in out and "TLSv1.3 not vulnerable to heartbleed" in out


@pytest.mark.skipif("asan" in BIN, reason="a minute of handshakes")
def test_testssl_finds_nothing_above_low(mx, tmp_path):
    report = tmp_path / "report.json"
    subprocess.run(["testssl", "--quiet", "--color", "0", "--warnings", "off", "-t", "smtp", "--add-ca", mx.ca, "--jsonfile", str(report), "-p", "-s", "-f", "-U",
                    "--openssl-timeout", "10", f"127.0.0.1:{mx.port}"], capture_output=True, timeout=600, stdin=subprocess.DEVNULL)
    findings = json.loads(report.read_text())
    seen = {f["id"] for f in findings}
    assert {"heartbleed", "BEAST", "TLS1_3", "SSLv2", "ROBOT"} <= seen, seen
    bad = [(f["severity"], f["id"], f["finding"]) for f in findings if f["severity"] not in ("OK", "INFO", "LOW")
           and not f["id"].startswith(DEPENDS_ON_THE_CERTIFICATE)]
    assert bad == []
