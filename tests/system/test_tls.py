"""TLS of a running instance, with OpenSSL's and Python's clients: which certificate, which peers, what is remembered."""
import os
import ssl
import time

import pytest
from instance import Instance, wait_for
from tls_rig import Certificates, SecureSession, context, s_client

KINDS = ["rsa", "p256", "p384", "ed25519"]
SCHEMES = {"rsa": "RSA-PSS+SHA256", "p256": "ECDSA+SHA256", "ed25519": "ed25519"}
MARK = b"Subject: x\r\n\r\nover TLS\r\n.\r\n"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    c = Certificates(str(tmp_path_factory.mktemp("tls")))
    for kind in KINDS:
        c.issue(kind, kind=kind)
    c.issue("other", "DNS:other.example.test", subject="other.example.test")
    c.issue("bad")
    c.issue("locked", kind="rsa", passphrase="sesame")
    with open(c.path("passphrase"), "w") as f:
        f.write("sesame\n")
    c.issue("client", "email:carol@peer.test,email:c@peer.test", subject="carol")
    c.self_signed("stranger", "stranger", ["subjectAltName=email:carol@peer.test"])
    os.mkdir(c.path("names"))
    for kind in ("rsa", "p256"):
        c.issue("names/" + kind, "DNS:by-name.test,DNS:*.many.test", kind=kind, subject="by-name.test")
    return c


def variables(c, **more):
    items = {"CERTFILE": f"{c.path('rsa.pem')}:{c.path('p256.pem')}:{c.path('ed25519.pem')}",
             "KEYFILE": f"{c.path('rsa.key')}:{c.path('p256.key')}:{c.path('ed25519.key')}", "CERTDIR": c.path("names")}
    items.update(more)
    return [f"{k}={v}" for k, v in items.items()]


def rules(c):
    return [
        '127.0.0.2:allow,UCSPITLS="-"',
        '127.0.0.3:allow,UCSPITLS="!"',
        f'127.0.0.4:allow,CERTFILE="{c.path("other.pem")}",KEYFILE="{c.path("other.key")}"',
        f'127.0.0.5:allow,CCAFILE="{c.path("ca.pem")}",CCAVERIFY=""',
        f'127.0.0.6:allow,CCAFILE="{c.path("ca.pem")}",UCSPITLS="?",LOCALMFCHECK="?"',
        '127.0.0.7:allow,CIPHERS="ECDHE-RSA-AES256-GCM-SHA384"',
        '127.0.0.8:allow,TLSATONCE=""',
        '127.0.0.20:allow,TLSATONCE="",GREETDELAY="1"',
        f'127.0.0.9:allow,CERTFILE="{c.path("locked.pem")}",KEYFILE="{c.path("locked.key")}",KEYPASSFILE="{c.path("passphrase")}"',
        f'127.0.0.10:allow,CERTFILE="{c.path("p384.pem")}",KEYFILE="{c.path("p384.key")}"',
        f'127.0.0.11:allow,CERTFILE="{c.path("bad.pem")}",KEYFILE="{c.path("other.key")}"',
        '127.0.0.12:allow,CIPHERS="TLS_CHACHA20_POLY1305_SHA256:ECDHE-RSA-AES256-GCM-SHA384"',
        '127.0.0.13:allow,CIPHERS="TLS_AES_128_GCM_SHA256"',
        '127.0.0.14:allow,CIPHERS="NONSENSE"',
        '127.0.0.15:allow,CIPHERS="TLS_NONSENSE:ECDHE-RSA-AES256-GCM-SHA384"',
        ":allow",
    ]


@pytest.fixture(scope="module")
def mx(certificates):
    with Instance({"smtpd/rules": rules(certificates), "smtpd/variables": variables(certificates)}) as i:
        yield i
        assert "session-killed" not in i.log()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_message_comes_over_starttls_and_says_so(mx, certificates, version):
    before = len(mx.mailbox())
    with SecureSession(mx) as s:
        assert b"STARTTLS" in s.say("EHLO before.test")[1] if s.reply()[0] == 220 else False
        assert s.say("STARTTLS")[0] == 220
        s.secure(context(certificates, version))
        assert b"STARTTLS" not in s.say("EHLO client.test")[1]
        s.transaction()
        assert s.data(MARK)[0] == 250
        assert s.say("QUIT")[0] == 221
    trace = mx.wait_messages(before + 1)
    assert any(b"with ESMTPS (TLSv1." in m and b"before.test" not in m for m in trace)


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("kind", list(SCHEMES))
def test_the_peer_gets_the_kind_of_key_that_it_can_verify(mx, certificates, version, kind):
    words = ["-sigalgs", SCHEMES[kind] + (":RSA+SHA256" if kind == "rsa" else "")]
    if version == "-tls1_2" and kind == "ed25519":
        words[1] += ":ECDSA+SHA256"  # the CA's
    out = s_client(mx, version, *words, "-CAfile", certificates.path("ca.pem"))
    assert "Verify return code: 0 (ok)" in out or "Verification: OK" in out, out
    if kind == "rsa":
        assert "RSA" in out and "2048 bit" in out


def test_nothing_weak_is_spoken(mx):
    for words in (["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], ["-tls1_2", "-cipher", "AES128-SHA"], ["-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA"],
                  ["-tls1_2", "-cipher", "aNULL:@SECLEVEL=0"]):
        assert "Cipher is (NONE)" in s_client(mx, *words), words
    assert "Secure Renegotiation IS" in s_client(mx, "-tls1_2")
    out = s_client(mx, "-tls1_2", say=b"R\n")
    assert "RENEGOTIATING" not in out or "no renegotiation" in out or "write:errno" in out or "error" in out
    assert "TLS session ticket:" not in s_client(mx, "-tls1_2")
    assert "New Session Ticket" not in s_client(mx, "-tls1_3")


def test_commands_behind_starttls_are_not_executed(mx, certificates):
    with SecureSession(mx) as s:
        s.ehlo()
        s.send(b"STARTTLS\r\nMAIL FROM:<x@y.test>\r\nRCPT TO:<alice@example.test>\r\n")
        assert s.reply()[0] == 501
        assert s.is_over()
    with SecureSession(mx) as s:
        s.starttls(context(certificates))
        assert s.say("RCPT TO:<alice@example.test>")[0] == 503
    assert "starttls-pipelined" in mx.log("smtpd")


def test_what_was_said_before_tls_is_forgotten(mx, certificates):
    with SecureSession(mx) as s:
        s.ehlo()
        s.transaction()
        assert s.say("STARTTLS")[0] == 220
        s.secure(context(certificates))
        assert s.say("RCPT TO:<alice@example.test>")[0] == 503
        assert s.say("EHLO again.test")[0] == 250
        assert s.say("STARTTLS")[0] == 502
        assert s.say("DATA")[0] == 503


def test_rules_decide_whether_tls_is_offered_or_required(mx):
    with SecureSession(mx, "127.0.0.2") as s:
        assert b"STARTTLS" not in s.ehlo()
        assert s.say("STARTTLS")[0] == 502
        assert s.say("MAIL FROM:<a@b.test>")[0] == 250
    with SecureSession(mx, "127.0.0.3") as s:
        assert b"STARTTLS" in s.ehlo()
        assert s.say("MAIL FROM:<a@b.test>")[0] == 530


def test_rules_choose_the_certificate(mx, certificates):
    how = context(certificates)
    for address, name in (("127.0.0.4", "other"), ("127.0.0.9", "locked"), ("127.0.0.10", "p384")):
        with SecureSession(mx, address).starttls(how, "by-name.test") as s:
            assert s.peer() == certificates.fingerprint(name), address


def test_a_rule_with_what_is_no_pair_refuses_tls_for_that_address_only(mx, certificates):
    with SecureSession(mx, "127.0.0.11") as s:
        s.ehlo()
        for _ in range(2):
            code, text = s.say("STARTTLS")
            assert code == 454 and b"4.7.0" in text, text  # RFC 3207 4; and mail may go on without
        s.transaction()
        assert s.data(b"Subject: x\r\n\r\n.\r\n")[0] == 250
    wait_for(lambda: "event=starttls-refused" in mx.log("smtpd"), what="the reason")
    with SecureSession(mx).starttls(context(certificates)):
        pass


def test_ciphers_of_a_rule(mx, certificates):
    with SecureSession(mx, "127.0.0.7").starttls(context(certificates, ssl.TLSVersion.TLSv1_2)) as s:
        assert s.socket.cipher()[0] == "ECDHE-RSA-AES256-GCM-SHA384"


@pytest.mark.parametrize("address, version, cipher", [
    ("127.0.0.12", ssl.TLSVersion.TLSv1_2, "ECDHE-RSA-AES256-GCM-SHA384"), ("127.0.0.12", ssl.TLSVersion.TLSv1_3, "TLS_CHACHA20_POLY1305_SHA256"),
    ("127.0.0.13", ssl.TLSVersion.TLSv1_3, "TLS_AES_128_GCM_SHA256")])
def test_ciphers_of_a_rule_are_for_both_versions(mx, certificates, address, version, cipher):
    with SecureSession(mx, address).starttls(context(certificates, version)) as s:
        assert s.socket.cipher()[0] == cipher


def test_ciphers_of_tls_13_alone_leave_those_of_12_as_they_are(mx, certificates):
    how = context(certificates, ssl.TLSVersion.TLSv1_2)
    with SecureSession(mx, "127.0.0.13").starttls(how) as s:
        assert "GCM" in s.socket.cipher()[0]
    how.set_ciphers("ECDHE+AES:RSA+AES:!AESGCM:!AESCCM:@SECLEVEL=0")
    with pytest.raises(OSError):
        SecureSession(mx, "127.0.0.13").starttls(how)


@pytest.mark.parametrize("address", ["127.0.0.14", "127.0.0.15"])
def test_a_list_with_what_is_no_cipher_lets_nobody_in(mx, certificates, address):
    with pytest.raises(OSError):
        SecureSession(mx, address).starttls(context(certificates))
    wait_for(lambda: "no cipher in the list" in mx.log("smtpd"), what="the reason")


def test_the_server_name_chooses(mx, certificates):
    how = context(certificates)
    with SecureSession(mx).starttls(how, "by-name.test") as s:
        assert s.peer() in (certificates.fingerprint("names/rsa"), certificates.fingerprint("names/p256"))
    with SecureSession(mx).starttls(how, "A.MANY.test") as s:
        assert s.peer() in (certificates.fingerprint("names/rsa"), certificates.fingerprint("names/p256"))
    with SecureSession(mx).starttls(how, "unknown.test") as s:
        assert s.peer() in [certificates.fingerprint(k) for k in ("rsa", "p256", "ed25519")]
    wait_for(lambda: "sni=by-name.test" in mx.log("smtpd"), what="the name in the log")


def test_a_client_certificate_can_be_required(mx, certificates):
    with SecureSession(mx, "127.0.0.5").starttls(context(certificates, own="client")) as s:
        assert s.say("EHLO x.test")[0] == 250
    for own in (None, "stranger"):
        with SecureSession(mx, "127.0.0.5") as s:
            with pytest.raises((OSError, AssertionError)):
                s.starttls(context(certificates, ssl.TLSVersion.TLSv1_2, own))
    log = wait_for(lambda: mx.log("smtpd") if "self-signed certificate" in mx.log("smtpd") else None, what="the reason")
    assert "the peer has no certificate, and one is required" in log
    assert "certificate=verified name=carol" in log


def test_a_verified_certificate_relays_for_its_addresses_only(mx, certificates):
    with SecureSession(mx, "127.0.0.6").starttls(context(certificates, own="client")) as s:
        assert s.say("EHLO x.test")[0] == 250
        assert s.say("MAIL FROM:<c@peer.test>")[0] == 250
        assert s.say("RCPT TO:<a@elsewhere.test>")[0] == 250
        assert s.say("RSET")[0] == 250
        assert s.say("MAIL FROM:<mallory@peer.test>")[0] in (250, 553)
        assert s.say("RCPT TO:<a@elsewhere.test>")[0] in (553, 503)
    for own in (None, "stranger"):
        with SecureSession(mx, "127.0.0.6").starttls(context(certificates, own=own)) as s:
            assert s.say("EHLO x.test")[0] == 250
            assert s.say("MAIL FROM:<carol@peer.test>")[0] == 250
            assert s.say("RCPT TO:<a@elsewhere.test>")[0] == 553


def test_tls_at_once_greets_inside(mx, certificates):
    with SecureSession(mx, "127.0.0.8").secure(context(certificates)) as s:
        assert b"STARTTLS" not in s.ehlo()
        s.transaction()
        assert s.data(MARK)[0] == 250


def test_the_greeting_inside_tls_may_wait_too(mx, certificates):
    with SecureSession(mx, "127.0.0.20").secure(context(certificates)) as s:
        assert s.ehlo()
    with SecureSession(mx, "127.0.0.20").secure(context(certificates)) as s:
        s.send(b"EHLO hasty.test\r\n")
        assert s.reply()[1].startswith(b"554 5.5.0")
        assert s.is_over()


def test_failures_are_told_in_words(mx):
    for octets, words in ((b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP on a mail port"), (b"EHLO plain.test\r\n", "what came is not TLS"),
                          (b"\x16\x03\x01\xff\xff" + b"x" * 64, "event=tls-failed"), (b"\x80\x2e\x01\x00\x02" + b"\0" * 41, "event=tls-failed")):
        with SecureSession(mx, "127.0.0.8") as s:
            s.send(octets)
            s.socket.shutdown(1)
            while s.socket.recv(4096):
                pass
        wait_for(lambda: words in mx.log("smtpd"), what=words)
    out = s_client(mx, "-alpn", "h2,http/1.1")
    assert "no application protocol" in out
    wait_for(lambda: "wants (ALPN) none that is spoken here" in mx.log("smtpd"), what="the reason")
    assert "ALPN protocol: smtp" in s_client(mx, "-alpn", "smtp")


def test_a_hello_in_single_octets_is_understood(mx, certificates):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    t = context(certificates).wrap_bio(incoming, outgoing, server_hostname="mx.example.test")
    with SecureSession(mx, "127.0.0.8") as s:
        while True:
            try:
                t.do_handshake()
                break
            except ssl.SSLWantReadError:
                for octet in outgoing.read():
                    s.send(bytes([octet]))
                incoming.write(s.socket.recv(65536))
        s.send(outgoing.read())
        while True:
            try:
                assert t.read(100).startswith(b"220 ")
                break
            except ssl.SSLWantReadError:
                incoming.write(s.socket.recv(65536))


def test_octets_in_the_clear_after_the_end_of_tls_are_not_smtp(mx, certificates):
    before = len(mx.mailbox())
    with SecureSession(mx).starttls(context(certificates)) as s:
        assert s.say("EHLO x.test")[0] == 250
        s.transaction()
        assert s.say("DATA")[0] == 354
        s.send(b"Subject: half\r\n\r\nthis is cut")
        raw = s.socket.unwrap() if s.socket.version() == "TLSv1.2" else s.socket
        del raw
    time.sleep(0.5)
    assert len(mx.mailbox()) == before


def test_a_large_message_comes_whole(mx, certificates):
    before = len(mx.mailbox())
    body = b"Subject: large\r\n\r\n" + (b"x" * 76 + b"\r\n") * 100000
    with SecureSession(mx, timeout=60).starttls(context(certificates)) as s:
        assert s.say("EHLO x.test")[0] == 250
        s.transaction()
        assert s.data(body + b".\r\n")[0] == 250
    messages = mx.wait_messages(before + 1)
    assert any(m.replace(b"\r\n", b"\n").endswith(body.replace(b"\r\n", b"\n")) for m in messages)
