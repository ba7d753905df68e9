"""Stores per connection: CAs in files and directories, revocation lists, chains, staples. Each rule changes the outcome for one address only."""
import os
import signal
import ssl
import subprocess

import pytest

from instance import Instance, wait_for
from tls_rig import Certificates, SecureSession, context, openssl, s_client

CONFIG = """[ca]
default_ca = x
[x]
database = {dir}/{name}.index
serial = {dir}/{name}.serial
default_md = sha256
default_crl_days = 30
crlnumber = {dir}/{name}.number
"""


class Authority(Certificates):
    """Also makes CAs below its own, revocation lists and OCSP responses."""

    def below(self, name, by="ca"):
        """A CA certified by another one."""
        openssl("req", "-new", *self.KINDS["p256"], "-nodes", "-keyout", self.path(name + ".key"), "-out", self.path(name + ".csr"), "-subj", "/CN=" + name)
        with open(self.path(name + ".ext"), "w") as f:
            f.write("basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign,cRLSign\n")
        self.sign(name, by)

    def sign(self, name, by):
        openssl("x509", "-req", "-in", self.path(name + ".csr"), "-CA", self.path(by + ".pem"), "-CAkey", self.path(by + ".key"), "-days", "30",
                "-extfile", self.path(name + ".ext"), "-out", self.path(name + ".pem"))

    def leaf(self, name, by, chain=(), extra=""):
        """A client's certificate, with the certificates of its chain behind it."""
        openssl("req", "-new", *self.KINDS["p256"], "-nodes", "-keyout", self.path(name + ".key"), "-out", self.path(name + ".csr"), "-subj", "/CN=" + name)
        with open(self.path(name + ".ext"), "w") as f:
            f.write(f"subjectAltName=email:{name}@peer.test\n" + extra)
        self.sign(name, by)
        with open(self.path(name + ".pem"), "a") as out:
            for c in chain:
                with open(self.path(c + ".pem")) as f:
                    out.write(f.read())

    def configure(self, name):
        with open(self.path(name + ".cnf"), "w") as f:
            f.write(CONFIG.format(dir=self.dir, name=name))
        for suffix, text in (("index", ""), ("number", "01\n"), ("serial", "01\n")):
            with open(self.path(f"{name}.{suffix}"), "w") as f:
                f.write(text)

    def revoke(self, name, by="ca"):
        openssl("ca", "-config", self.path(by + ".cnf"), "-revoke", self.path(name + ".pem"), "-keyfile", self.path(by + ".key"), "-cert", self.path(by + ".pem"))

    def crl(self, by="ca"):
        openssl("ca", "-config", self.path(by + ".cnf"), "-gencrl", "-keyfile", self.path(by + ".key"), "-cert", self.path(by + ".pem"),
                "-out", self.path(by + ".crl"))
        return self.path(by + ".crl")

    def staple(self, name, at="now"):
        """An OCSP response of that time, good for a week, that calls the certificate good."""
        serial = openssl("x509", "-in", self.path(name + ".pem"), "-noout", "-serial").decode().strip().split("=")[1]
        with open(self.path(name + ".index"), "w") as f:
            f.write(f"V\t351231235959Z\t\t{serial}\tunknown\t/CN=x\n")
        request = self.path(name + ".request")
        openssl("ocsp", "-issuer", self.path("ca.pem"), "-cert", self.path(name + ".pem"), "-reqout", request, "-no_nonce")
        subprocess.run(["faketime", at, "openssl", "ocsp", "-index", self.path(name + ".index"), "-rsigner", self.path("ca.pem"), "-rkey", self.path("ca.key"),
                        "-CA", self.path("ca.pem"), "-reqin", request, "-respout", self.path(name + ".pem.ocsp"), "-no_nonce", "-ndays", "7"],
                       check=True, capture_output=True, timeout=30)


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    c = Authority(str(tmp_path_factory.mktemp("stores")))
    for name in ("server", "stapled", "stale", "plain"):
        c.issue(name)
    c.staple("stapled")
    c.staple("stale", "30 days ago")
    c.configure("ca")
    c.leaf("good", "ca")
    c.leaf("revoked", "ca")
    c.leaf("wrongpurpose", "ca", extra="extendedKeyUsage=serverAuth\n")
    c.revoke("revoked")
    c.crl()
    c.below("middle")
    c.below("lower", "middle")
    c.leaf("deep", "lower", ["lower", "middle"])
    other = Authority(c.path("other"))
    other.leaf("foreign", "ca")
    c.other = other
    os.mkdir(c.path("dir"))
    for i, a in enumerate((c, other)):
        with open(a.path("ca.pem")) as f, open(c.path(f"dir/{i}.pem"), "w") as out:
            out.write(f.read())
    return c


@pytest.fixture(scope="module")
def mx(ca):
    p, asks = ca.path, f'CCAFILE="{ca.path("ca.pem")}",CCAVERIFY=""'
    own = ca.path("own.pem")
    with open(p("ca.pem")) as a, open(p("other/ca.pem")) as b, open(own, "w") as out:
        out.write(a.read() + b.read())
    rules = [
        f"127.0.0.21:allow,{asks}", f'127.0.0.22:allow,{asks},CRLFILE="{p("ca.crl")}"', f'127.0.0.23:allow,{asks},CAFILE="{own}"',
        f'127.0.0.24:allow,{asks},CADIR="{p("dir")}"', f'127.0.0.25:allow,{asks},VERIFYDEPTH="1"', f'127.0.0.26:allow,{asks},VERIFYDEPTH="2"',
        f'127.0.0.27:allow,CCAFILE="{p("ca.pem")}",CCAVERIFY="-"', f'127.0.0.28:allow,CERTFILE="{p("stapled.pem")}",KEYFILE="{p("stapled.key")}"',
        f'127.0.0.29:allow,CERTFILE="{p("stale.pem")}",KEYFILE="{p("stale.key")}"', f'127.0.0.30:allow,CCAFILE="{p("ca.pem")}"', ":allow",
    ]
    with Instance({"smtpd/rules": rules, "smtpd/variables": [f"CERTFILE={p('server.pem')}", f"KEYFILE={p('server.key')}"]}) as i:
        yield i


def enters(mx, ca, address, own=None, whose=None):
    """Whether this address gets into TLS with that certificate."""
    how = context(ca)
    if own:
        how.load_cert_chain((whose or ca).path(own + ".pem"), (whose or ca).path(own + ".key"))
    try:
        with SecureSession(mx, address).starttls(how) as s:
            return s.say("EHLO x.test")[0] == 250  # in TLS 1.3 the refusal comes after the client's part
    except (OSError, AssertionError, IndexError, ValueError):
        return False


@pytest.mark.parametrize("address, own, result", [
    ("127.0.0.21", "good", True), ("127.0.0.21", "revoked", True), ("127.0.0.22", "good", True), ("127.0.0.22", "revoked", False),
    ("127.0.0.21", "wrongpurpose", False), ("127.0.0.21", "deep", True), ("127.0.0.25", "deep", False), ("127.0.0.26", "deep", True),
    ("127.0.0.25", "good", True), ("127.0.0.21", None, False), ("127.0.0.27", None, True), ("127.0.0.30", None, True), ("127.0.0.1", None, True)])
def test_whose_certificate_is_taken(mx, ca, address, own, result):
    assert enters(mx, ca, address, own) == result, mx.log("smtpd")[-2000:]


@pytest.mark.parametrize("address, result", [("127.0.0.21", False), ("127.0.0.23", True), ("127.0.0.24", True)])
def test_more_cas_for_one_address(mx, ca, address, result):
    assert enters(mx, ca, address, "foreign", ca.other) == result


def test_reasons_are_told(mx, ca):
    enters(mx, ca, "127.0.0.22", "revoked")
    enters(mx, ca, "127.0.0.25", "deep")
    enters(mx, ca, "127.0.0.21", "wrongpurpose")
    for words in ("revoked", "chain too long", "unsuitable certificate purpose"):
        wait_for(lambda: words in mx.log("smtpd"), what=words)


def test_names_of_cas_are_sent_to_whom_they_are_asked_of(mx, ca):
    def hello(address):
        return subprocess.run(["openssl", "s_client", "-starttls", "smtp", "-connect", f"127.0.0.1:{mx.port}", "-bind", address], input=b"QUIT\r\n",
                              capture_output=True, timeout=30).stdout.decode()

    assert "CN = Test CA" in hello("127.0.0.30").split("Acceptable client certificate CA names")[1]
    assert "No client certificate CA names sent" in hello("127.0.0.1")


def test_a_fresh_response_is_stapled_a_stale_one_is_not(mx, ca):
    def status(address):
        return s_client(mx, "-status", "-bind", address)

    assert "OCSP Response Status: successful" in status("127.0.0.28")
    for address in ("127.0.0.29", "127.0.0.1"):
        assert "OCSP response: no response sent" in status(address)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_an_optional_certificate_is_a_fact_for_the_log(mx, ca, version):
    how = context(ca, version)
    how.load_cert_chain(ca.path("good.pem"), ca.path("good.key"))
    with SecureSession(mx, "127.0.0.30").starttls(how) as s:
        assert s.say("EHLO x.test")[0] == 250
    wait_for(lambda: "certificate=verified name=good" in mx.log("smtpd"), what="the fact")


def test_a_damaged_list_never_lets_in_whom_it_revokes_and_what_was_whole_stays(ca):
    """Cut in the second of two: the readers of before took the first for all."""
    p = ca.path
    with open(p("other/ca.pem"), encoding="ascii") as f:
        foreign = f.read()
    with open(p("ca.crl"), encoding="ascii") as f:
        whole = f.read()
    with open(p("ca.pem"), encoding="ascii") as f:
        cas = f.read()

    def put(crl, store):
        for name, text in (("changing.crl", crl), ("changing.pem", store)):
            with open(p(name), "w", encoding="ascii") as out:
                out.write(text)

    put(whole + whole[:-40], cas)
    rule = f'127.0.0.41:allow,CCAFILE="{p("changing.pem")}",CCAVERIFY="",CRLFILE="{p("changing.crl")}"'
    with Instance({"smtpd/rules": [rule, ":allow"], "smtpd/variables": [f"CERTFILE={p('server.pem')}", f"KEYFILE={p('server.key')}"]}) as i:
        def change(crl, store, words):
            before = len(i.log("smtpd"))
            put(crl, store)
            i.wardens["smtpd"].send_signal(signal.SIGHUP)
            wait_for(lambda: "event=generation" in i.log("smtpd")[before:], what="the next generation")
            assert (words is None or words in i.log("smtpd")[before:]), i.log("smtpd")[before:]
            return enters(i, ca, "127.0.0.41", "good"), enters(i, ca, "127.0.0.41", "revoked"), enters(i, ca, "127.0.0.41", "foreign", ca.other)

        assert "event=ca-file-refused" in i.log("smtpd") and 'changing.crl why="line ' in i.log("smtpd")
        assert not enters(i, ca, "127.0.0.41", "good") and not enters(i, ca, "127.0.0.41", "revoked")
        assert enters(i, ca, "127.0.0.1")
        assert change(whole, cas + foreign, None) == (True, False, False)  # foreign has no list of its own
        assert change(whole[:-40], cas + foreign[:-40], "event=ca-file-stays") == (True, False, False)
        os.remove(p("changing.crl"))
        i.wardens["smtpd"].send_signal(signal.SIGHUP)
        assert change(whole[:10], cas[:-40], "event=ca-file-stays") == (True, False, False)
