"""remote with its engine, with the test as `send`: what each TLS policy makes of good peers and bad ones, and whose certificate a peer sees."""
import ssl

import pytest

from engine_rig import Engine
from instance import wait_for
from remote_rig import CA, CERTIFICATE, DELIVERED, MANDATORY, NAME, NEVER, OPPORTUNISTIC, PIN, TEMPORARY, WILDCARD, Remote
from sink import CLOSE, Sink
from tls_rig import Certificates, openssl, server_context

HOST = "mx.example.test"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    c = Certificates(str(tmp_path_factory.mktemp("tls")))
    c.issue("good", "DNS:first.example.test,DNS:MX.example.TEST")
    c.issue("wild", "DNS:*.example.test")
    c.issue("other", "DNS:mx.example.org")
    c.issue("literal", "IP:127.0.0.1")
    c.issue("expired", days=-1)
    c.issue("sub1", subject="sub1", extensions=["basicConstraints=critical,CA:TRUE"])
    c.issue("sub2", subject="sub2", extensions=["basicConstraints=critical,CA:TRUE"], by="sub1")
    c.issue("deep", by="sub2")
    c.issue("weak", kind="weak")
    c.self_signed("self", HOST, ["subjectAltName=DNS:" + HOST])
    c.issue("own", "email:us@example.test", subject="our domain", kind="rsa")
    c.issue("another", "email:them@example.test", subject="another domain")
    return c


@pytest.fixture(scope="module")
def engine(certificates):
    path = certificates.path
    files = {path("ca.pem"): [path("ca.pem")], path("self.pem"): [path("self.pem")], "system": ["/etc/ssl/certs/ca-certificates.crt"]}
    with Engine(files, [(path(n + ".pem"), path(n + ".key")) for n in ("own", "another")]) as e:
        yield e
        assert [p.poll() for p in e.processes] == [0, None, None], e.log()


@pytest.fixture(scope="module")
def remote(engine):
    with Remote(engine=engine) as r:
        yield r
        assert r.process.poll() is None, r.log()


def deliver(remote, sink, tls, destination=HOST, **how):
    s = remote.session().peer(sink.port, tls=tls, destination=destination, **how)
    s.message()
    done = s.done()
    s.close()
    return done


def fingerprint(certificates, name, digest):
    text = openssl("x509", "-in", certificates.path(name + ".pem"), "-noout", "-fingerprint", "-" + digest).decode()
    return bytes.fromhex(text.strip().split("=")[1].replace(":", ""))


# ---- what is proven ----

PROVEN = [
    (CA, "good", "ca"), (CA, "other", "ca"), (WILDCARD, "good", "ca+name"), (WILDCARD, "wild", "ca+name"), (NAME, "good", "ca+name"),
    (NAME, "literal", "ca+name"), (MANDATORY, "expired", "mandatory"), (MANDATORY, "self", "mandatory"), (MANDATORY, None, "mandatory"),
    (CERTIFICATE, "self", "opportunistic"), (OPPORTUNISTIC, None, "opportunistic"),
]


@pytest.mark.parametrize("version", [None, ssl.TLSVersion.TLSv1_2])
@pytest.mark.parametrize("tls, shown, how", PROVEN)
def test_a_policy_that_is_met(remote, certificates, tls, shown, how, version):
    with Sink(tls=server_context(certificates, shown, version=version)) as sink:
        done = deliver(remote, sink, tls, ca=certificates.path("ca.pem"))
        assert (done.outcome, done.how) == (DELIVERED, how), done.text
        assert done.protocol == sink.handshakes[0][0] == sink.messages[0].tls and done.cipher


@pytest.mark.parametrize("tls, shown, words", [
    (CA, "expired", "expired"), (CA, "self", "self-signed"), (WILDCARD, "other", "for mx.example.org, not for 127.0.0.1"), (NAME, "wild", "for *.example.test"),
    (NAME, "other", "not for 127.0.0.1"), (NAME, "expired", "expired"), (WILDCARD, "self", "self-signed"), (NAME, None, "nothing shared"), (PIN, "good", "fingerprint")])
def test_a_policy_that_is_not(remote, certificates, tls, shown, words):
    with Sink(tls=server_context(certificates, shown)) as sink:
        done = deliver(remote, sink, tls, ca=certificates.path("ca.pem"), pin=fingerprint(certificates, "other", "sha256") if tls == PIN else b"")
        assert (done.outcome, done.status) == (TEMPORARY, "4.7.5"), done.text
        assert words in done.text
        assert not sink.messages and not any(line.startswith(b"MAIL") for _, line in sink.commands)


@pytest.mark.parametrize("digest", ["sha1", "sha224", "sha256", "sha512"])
def test_a_pin_looks_at_nothing_else(remote, certificates, digest):
    with Sink(tls=server_context(certificates, "expired")) as sink:
        done = deliver(remote, sink, PIN, pin=fingerprint(certificates, "expired", digest))
        assert (done.outcome, done.how) == (DELIVERED, "pin"), done.text


def test_without_a_ca_file_the_hosts_store_decides(remote, certificates):
    with Sink(tls=server_context(certificates, "good")) as sink:
        done = deliver(remote, sink, NAME)
        assert done.outcome == TEMPORARY and "does not verify" in done.text, done.text


def test_a_ca_file_that_could_not_be_read_verifies_nobody(remote, engine, certificates):
    with Sink(tls=server_context(certificates, "good")) as sink:
        done = deliver(remote, sink, CA, ca="/nowhere/ca.pem")
        assert done.outcome == TEMPORARY and "/nowhere/ca.pem could not be read" in done.text, done.text
        assert deliver(remote, sink, CA, ca=certificates.path("ca.pem")).outcome == DELIVERED


def test_the_depth_of_a_chain_is_bounded(remote, certificates):
    with Sink(tls=server_context(certificates, "deep", chain=("sub2", "sub1"))) as sink:
        assert deliver(remote, sink, CA, ca=certificates.path("ca.pem"), depth=2).outcome == DELIVERED
        done = deliver(remote, sink, CA, ca=certificates.path("ca.pem"), depth=1)
        assert done.outcome == TEMPORARY and "chain too long" in done.text, done.text


def test_ciphers_are_the_destinations(remote, certificates):
    with Sink(tls=server_context(certificates, "good", version=ssl.TLSVersion.TLSv1_2)) as sink:
        done = deliver(remote, sink, MANDATORY, ciphers="ECDHE-ECDSA-CHACHA20-POLY1305")
        assert (done.outcome, done.cipher) == (DELIVERED, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"), done.text
        assert "no cipher in the list" in deliver(remote, sink, MANDATORY, ciphers="nonsense").text


@pytest.mark.parametrize("tls, outcome", [(OPPORTUNISTIC, DELIVERED), (CERTIFICATE, DELIVERED), (MANDATORY, DELIVERED), (CA, TEMPORARY), (NAME, TEMPORARY)])
def test_weak_encryption_is_more_than_none_and_less_than_proof(remote, certificates, tls, outcome):
    """A short RSA key, key exchange by it, CBC."""
    weak = server_context(certificates, "weak", version=ssl.TLSVersion.TLSv1_2, ciphers="AES128-SHA:@SECLEVEL=0")
    with Sink(tls=weak) as sink:
        done = deliver(remote, sink, tls, ca=certificates.path("ca.pem"))
        assert done.outcome == outcome, done.text
        assert [m.tls for m in sink.messages] == (["TLSv1.2"] if outcome == DELIVERED else [])


def test_tls_from_the_first_octet(remote, certificates):
    with Sink(tls=server_context(certificates, "good"), implicit=True) as sink:
        done = deliver(remote, sink, NAME, ca=certificates.path("ca.pem"), implicit=1)
        assert (done.outcome, done.how) == (DELIVERED, "ca+name"), done.text
        assert b"STARTTLS" not in [line for _, line in sink.commands]


# ---- what falls back to plain text, and what does not ----

def broken_handshake(connection, argument):
    connection.say(b"220 go on\r\n")
    connection.socket.recv(5)
    connection.say(b"this is no TLS\r\n")
    return CLOSE


@pytest.mark.parametrize("how", [{"STARTTLS": b"454 4.7.0 not now\r\n"}, {"STARTTLS": broken_handshake}, {"STARTTLS": CLOSE}])
@pytest.mark.parametrize("tls, outcome", [(OPPORTUNISTIC, DELIVERED), (CERTIFICATE, DELIVERED), (MANDATORY, TEMPORARY), (CA, TEMPORARY), (PIN, TEMPORARY)])
def test_plain_text_comes_only_where_nothing_forbids_it(remote, certificates, tls, outcome, how):
    with Sink(tls=server_context(certificates, "good"), on=how) as sink:
        done = deliver(remote, sink, tls, ca=certificates.path("ca.pem"), pin=b"x" * 20 if tls == PIN else b"")
        assert done.outcome == outcome, done.text
        assert [m.tls for m in sink.messages] == ([None] if outcome == DELIVERED else [])
        if outcome == DELIVERED:
            assert done.how.startswith("plain, since ") and done.protocol == ""


def test_a_certificate_that_is_demanded_of_an_anonymous_peer_keeps_mail_back(remote, certificates):
    """s/qmail's mode 2: no TLS will do, TLS without a certificate will not."""
    with Sink(tls=server_context(certificates, None)) as sink:
        done = deliver(remote, sink, CERTIFICATE)
        assert (done.outcome, done.status) == (TEMPORARY, "4.7.5") and "shows no certificate" in done.text, done.text
        assert sink.messages == []


def test_never_means_plain_text(remote, certificates):
    with Sink(tls=server_context(certificates, "good")) as sink:
        assert deliver(remote, sink, NEVER).outcome == DELIVERED
        assert sink.messages[0].tls is None and not sink.handshakes


def test_many_messages_go_through_one_handshake(remote, certificates):
    with Sink(tls=server_context(certificates, "good")) as sink:
        s = remote.session().peer(sink.port, tls=NAME, destination=HOST, ca=certificates.path("ca.pem"))
        for i in range(20):
            s.message(content=b"Subject: %d\r\n\r\n%s\r\n" % (i, b"x" * 5000 * i))
            assert s.done().outcome == DELIVERED
        s.close()
        wait_for(lambda: sink.ends, what="QUIT")
        assert len(sink.handshakes) == 1 and len(sink.messages) == 20


# ---- our own certificate ----

@pytest.mark.parametrize("version", [None, ssl.TLSVersion.TLSv1_2])
@pytest.mark.parametrize("name", ["own", "another"])
def test_a_peer_that_asks_sees_the_senders_certificate(remote, certificates, name, version):
    with Sink(tls=server_context(certificates, "good", asks=True, version=version)) as sink:
        done = deliver(remote, sink, NAME, ca=certificates.path("ca.pem"), certificate=certificates.path(name + ".pem"))
        assert done.outcome == DELIVERED, done.text
        assert sink.messages[0].certificate == certificates.fingerprint(name)


def test_a_peer_that_asks_in_vain_is_told_of(remote, certificates):
    with Sink(tls=server_context(certificates, "good", asks=True, version=ssl.TLSVersion.TLSv1_2)) as sink:
        done = deliver(remote, sink, MANDATORY)
        assert done.outcome == TEMPORARY, done.text


def test_a_signer_bought_for_another_certificate_signs_nothing(remote, engine, certificates):
    with Sink(tls=server_context(certificates, "good", asks=True)) as sink:
        done = deliver(remote, sink, MANDATORY, certificate=certificates.path("own.pem"), bought=certificates.path("another.pem"))
        assert done.outcome == TEMPORARY and "another certificate was shown" in done.text, done.text
        wait_for(lambda: "event=sign-refused" in engine.log(), what="a line of keyload")
        assert not sink.messages


def test_a_certificate_whose_key_is_missing_is_told_of(remote, certificates):
    with Sink(tls=server_context(certificates, "good", asks=True)) as sink:
        done = deliver(remote, sink, MANDATORY, certificate=certificates.path("good.pem"))
        assert done.outcome == TEMPORARY and "no usable certificate was found in" in done.text, done.text
