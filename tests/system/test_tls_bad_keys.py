"""Certificates and keys that are none: keyring and postern check say what is wrong with each, wait for nothing, and what is good is used."""
import os
import subprocess
import time

import pytest
from instance import BIN, Instance, wait_for
from tls_rig import Certificates, SecureSession, context, openssl

HUGE = 3 << 20
# what the certificate file is, what the key file is, the passphrase file or None, what keyring says of it
OPENED = "can't be opened"
CASES = {
    "key-directory": ("good.pem", "directory", None, OPENED),
    "key-fifo": ("good.pem", "fifo", None, OPENED),
    "key-device": ("good.pem", "zero", None, OPENED),
    "key-socket": ("good.pem", "socket", None, OPENED),
    "key-loop": ("good.pem", "loop", None, OPENED),
    "key-dangling": ("good.pem", "dangling", None, OPENED),
    "key-empty": ("good.pem", "empty", None, "no private key in the file"),
    "key-huge": ("good.pem", "huge", None, "larger than"),
    "key-noise": ("good.pem", "noise", None, "no private key in the file"),
    "key-bad-base64": ("good.pem", "base64", None, "damaged"),
    "key-cut": ("good.pem", "cut", None, "damaged"),
    "key-public": ("good.pem", "public", None, "no private key in the file"),
    "key-of-another": ("good.pem", "other.key", None, "does not belong"),
    "key-unusual": ("unusual.pem", "unusual.key", None, "certificate-refused"),
    "key-weak": ("weak.pem", "weak.key", None, "certificate-refused"),
    "locked-without": ("locked.pem", "locked.key", None, "no passphrase is given"),
    "locked-wrong": ("locked.pem", "locked.key", "wrong", "the passphrase is wrong"),
    "locked-empty": ("locked.pem", "locked.key", "empty", "the passphrase is wrong"),
    "locked-fifo": ("locked.pem", "locked.key", "fifo", OPENED),
    "locked-huge": ("locked.pem", "locked.key", "huge", "larger than"),
    "certificate-directory": ("directory", "good.key", None, OPENED),
    "certificate-fifo": ("fifo", "good.key", None, OPENED),
    "certificate-empty": ("empty", "good.key", None, "no certificate in the file"),
    "certificate-huge": ("huge", "good.key", None, "larger than"),
    "certificate-der": ("der", "good.key", None, "no certificate in the file"),
    "certificate-cut": ("cut.pem", "good.key", None, "line 1: this CERTIFICATE has no end"),
    "certificate-many": ("many", "good.key", None, "more than 10 certificates"),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    c = Certificates(str(tmp_path_factory.mktemp("bad")))
    for name, more in (("good", {}), ("other", {}), ("weak", {"kind": "weak"}), ("locked", {"passphrase": "sesame"})):
        c.issue(name, **more)
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp256k1", "-nodes", "-keyout", c.path("unusual.key"), "-out",
            c.path("unusual.pem"), "-subj", "/CN=x")
    pem, key = (open(c.path("good." + e), "rb").read() for e in ("pem", "key"))
    os.mkdir(c.path("directory"))
    os.mkfifo(c.path("fifo"))
    for name, to in (("zero", "/dev/zero"), ("socket", "/dev/log.none"), ("loop", "loop"), ("dangling", "nowhere")):
        os.symlink(to, c.path(name))
    for name, what in (("empty", b""), ("huge", b"A" * HUGE), ("noise", os.urandom(4096)), ("wrong", b"open\n"), ("cut", key[:len(key) // 2]),
                       ("cut.pem", pem[:len(pem) // 2]), ("many", pem * 11), ("public", openssl("pkey", "-in", c.path("good.key"), "-pubout")),
                       ("base64", b"-----BEGIN PRIVATE KEY-----\n!!!!\n-----END PRIVATE KEY-----\n"),
                       ("der", openssl("x509", "-in", c.path("good.pem"), "-outform", "DER"))):
        with open(c.path(name), "wb") as f:
            f.write(what)
    with open(c.path("vast"), "wb") as f:
        f.truncate(9 << 20)
    # each case needs a certificate of a name of its own, since pairs are known by it
    for name, (certificate, *_) in CASES.items():
        os.symlink(certificate, c.path(name + ".case"))
    return c


def rules(c):
    lines = []
    for i, (name, (_, key, passphrase, _)) in enumerate(CASES.items()):
        more = f',KEYPASSFILE="{c.path(passphrase)}"' if passphrase else ""
        lines.append(f'127.0.1.{i + 1}:allow,CERTFILE="{c.path(name + ".case")}",KEYFILE="{c.path(key)}"{more}')
    return lines + [f'127.0.2.1:allow,CERTFILE="{c.path("good.pem")}",KEYFILE="{c.path("good.key")}",CCAFILE="{c.path("fifo")}"',
                    f'127.0.2.2:allow,CERTFILE="{c.path("good.pem")}",KEYFILE="{c.path("good.key")}",CCAFILE="{c.path("good.key")}"',
                    f'127.0.2.3:allow,CERTFILE="{c.path("good.pem")}",KEYFILE="{c.path("good.key")}",CCAFILE="{c.path("ca.pem")}",CRLFILE="{c.path("vast")}"', ":allow"]


@pytest.fixture(scope="module")
def mx(files):
    c = files
    with Instance({"smtpd/rules": rules(c), "smtpd/variables": [f"CERTFILE={c.path('good.pem')}", f"KEYFILE={c.path('good.key')}"]}) as i:
        yield i


def said_of(mx, file):
    return [line for line in mx.log("smtpd").split("\n") if f"file={file} " in line]


@pytest.mark.parametrize("name", CASES)
def test_what_is_no_pair_is_named_with_the_reason(mx, files, name):
    said = said_of(mx, files.path(name + ".case"))
    assert said and "event=certificate-refused" in said[0] and CASES[name][3] in said[0], said


def test_their_addresses_have_no_tls_and_the_others_have(mx, files):
    for i, name in list(enumerate(CASES))[::9]:
        with SecureSession(mx, f"127.0.1.{i + 1}") as s:
            s.ehlo()
            assert s.say("STARTTLS")[0] == 454, name
    with SecureSession(mx).starttls(context(files)) as s:
        assert s.say("EHLO x.test")[0] == 250


@pytest.mark.parametrize("address, file, words", [("127.0.2.1", "fifo", "can't be opened"), ("127.0.2.2", "good.key", "private key"),
                                                  ("127.0.2.3", "vast", "larger than")])
def test_a_file_of_cas_or_revocations_that_is_none_is_told_and_lets_nobody_in(mx, files, address, file, words):
    assert any(words in line for line in said_of(mx, files.path(file)))
    with pytest.raises(OSError):
        SecureSession(mx, address).starttls(context(files))
    wait_for(lambda: any("event=tls-failed" in line and "could not be read when the service started" in line for line in mx.log("smtpd").split("\n")),
             what="the reason")


def test_check_waits_for_none_of_them(mx, files):
    before = time.monotonic()
    done = subprocess.run([f"{BIN}/postern", "check", mx.path("control")], capture_output=True, text=True, timeout=60)
    told = done.stdout + done.stderr
    assert time.monotonic() - before < 30
    for name, (certificate, key, passphrase, words) in CASES.items():
        files_of = [name + ".case", key] + ([passphrase] if passphrase else [])
        assert any(files.path(f) in line for f in files_of for line in told.split("\n")), (name, told)
    for name in ("fifo", "directory", "huge", "vast"):
        assert any(files.path(name) in line for line in told.split("\n")), (name, told)
