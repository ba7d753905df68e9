"""Certificates for a test, and peers that speak TLS with them."""
import os
import socket
import ssl
import subprocess

from instance import Session


def openssl(*words, text=None):
    done = subprocess.run(["openssl", *words], input=text, capture_output=True, timeout=30)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


class Certificates:
    """A CA, and certificates of it in files below a directory."""

    KINDS = {
        "rsa": ["-newkey", "rsa:2048"],
        "weak": ["-newkey", "rsa:1024"],
        "p256": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
        "p384": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
        "ed25519": ["-newkey", "ed25519"],
    }

    def __init__(self, dir):
        self.dir = dir
        os.makedirs(dir, exist_ok=True)
        self.self_signed("ca", "Test CA", ["basicConstraints=critical,CA:TRUE", "keyUsage=keyCertSign,cRLSign"])

    def path(self, name):
        return os.path.join(self.dir, name)

    def self_signed(self, name, subject, extensions):
        words = [w for e in extensions for w in ("-addext", e)]
        openssl("req", "-x509", *self.KINDS["p256"], "-nodes", "-keyout", self.path(name + ".key"), "-out", self.path(name + ".pem"),
                "-days", "30", "-subj", "/CN=" + subject, *words)

    def issue(self, name, names="DNS:mx.example.test", kind="p256", subject="mx.example.test", days=30, passphrase=None, by="ca", extensions=()):
        lock = ["-passout", "pass:" + passphrase] if passphrase else ["-nodes"]
        openssl("req", "-new", *self.KINDS[kind], *lock, "-keyout", self.path(name + ".key"), "-out", self.path(name + ".csr"),
                "-subj", "/CN=" + subject)
        with open(self.path(name + ".ext"), "w") as f:
            f.write("\n".join(["subjectAltName=" + names, *extensions]) + "\n")
        openssl("x509", "-req", "-in", self.path(name + ".csr"), "-CA", self.path(by + ".pem"), "-CAkey", self.path(by + ".key"),
                "-days", str(days), "-extfile", self.path(name + ".ext"), "-out", self.path(name + ".pem"))
        return self.path(name + ".pem")

    def fingerprint(self, name):
        return ssl.PEM_cert_to_DER_cert(open(self.path(name + ".pem")).read())


def server_context(certificates, name, chain=(), asks=False, version=None, ciphers=None):
    """Of a peer that shows the certificate, with issuers behind it; None: it has none. asks: for the client's."""
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if name is None:
        c.maximum_version = ssl.TLSVersion.TLSv1_2
        c.set_ciphers("AECDH:@SECLEVEL=0")
        return c
    if ciphers:
        c.set_ciphers(ciphers)
    file = certificates.path(f"{name}.chain.pem")
    with open(file, "w") as f:
        for n in (name, *chain):
            f.write(open(certificates.path(n + ".pem")).read())
    c.load_cert_chain(file, certificates.path(name + ".key"))
    if asks:
        c.load_verify_locations(certificates.path("ca.pem"))
        c.verify_mode = ssl.CERT_REQUIRED
    if version:
        c.maximum_version = version
    return c


def context(certificates, version=None, own=None):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.load_verify_locations(certificates.path("ca.pem"))
    c.check_hostname = False
    if version:
        c.minimum_version = c.maximum_version = version
    if own:
        c.load_cert_chain(certificates.path(own + ".pem"), certificates.path(own + ".key"))
    return c


class SecureSession(Session):
    """An SMTP session from a given address, that may go on in TLS."""

    def __init__(self, mx, address="127.0.0.1", timeout=10):
        self.socket = socket.socket()
        self.socket.settimeout(timeout)
        self.socket.bind((address, 0))
        self.socket.connect(("127.0.0.1", mx.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def secure(self, how, name="mx.example.test"):
        assert self.buffer == b""
        self.socket = how.wrap_socket(self.socket, server_hostname=name)
        return self

    def starttls(self, how, name="mx.example.test"):
        self.ehlo()
        assert self.say("STARTTLS")[0] == 220
        return self.secure(how, name)

    def peer(self):
        return self.socket.getpeercert(True)


def s_client(mx, *words, say=b"QUIT\r\n"):
    """What openssl s_client has to say of a STARTTLS connection."""
    done = subprocess.run(["openssl", "s_client", "-starttls", "smtp", "-connect", f"127.0.0.1:{mx.port}", *words], input=say,
                          capture_output=True, timeout=30)
    return (done.stdout + done.stderr).decode("utf-8", "replace")
