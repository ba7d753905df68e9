"""remote and its engine with mail servers that nobody here wrote: what comes to their Maildirs, how they saw TLS and our certificate."""
import pytest

from engine_rig import Engine
from instance import wait_for
from peers_rig import Exim, OpenSMTPD, Postfix
from remote_rig import DELIVERED, EIGHT_BIT, MANDATORY, NAME, OPPORTUNISTIC, PERMANENT, TEMPORARY, Remote
from tls_rig import Certificates

LINES = b"Subject: to a real peer\r\nFrom: <you@one.test>\r\n\r\n.\r\n..two dots\r\n\xc3\xa4 and a long line: " + b"x" * 900 + b"\r\n\r\nend\r\n"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    c = Certificates(str(tmp_path_factory.mktemp("peers")))
    c.issue("peer", "DNS:peer.test")
    c.issue("own", "email:you@one.test", kind="rsa", subject="one.test")
    return c


@pytest.fixture(scope="module")
def remote(certificates):
    path = certificates.path
    with Engine({path("ca.pem"): [path("ca.pem")]}, [(path("own.pem"), path("own.key"))]) as engine, Remote(engine=engine) as r:
        yield r
        assert r.process.poll() is None, r.log()


@pytest.fixture(scope="module", params=[Postfix, Exim])
def peer(request, certificates):
    path = certificates.path
    with request.param(path("peer.pem"), path("peer.key"), path("ca.pem")) as p:
        yield p


def deliver(remote, peer, certificates, n=1, tls=NAME, to="box@peer.test", **how):
    s = remote.session().peer(peer.port, tls=tls, destination="peer.test", idle_ms=20000, ca=certificates.path("ca.pem"), **how)
    out = []
    for _ in range(n):
        s.message(content=LINES, to=[to], sender="you@one.test", flags=EIGHT_BIT)
        out.append(s.done())
    s.close()
    return out


def test_what_is_delivered_is_what_comes(remote, peer, certificates):
    before = len(peer.messages())
    done = deliver(remote, peer, certificates, n=5)
    assert [(d.outcome, d.how, d.protocol) for d in done] == [(DELIVERED, "ca+name", "TLSv1.3")] * 5, [d.text for d in done]
    wait_for(lambda: len(peer.messages()) == before + 5, 30, "messages in the Maildir")
    for m in peer.messages():
        assert m.endswith(LINES.split(b"\r\n\r\n", 1)[1].replace(b"\r\n", b"\n")), m
        assert b"TLS" in m.split(b"\n\n")[0]


def test_the_peer_sees_and_verifies_our_certificate(remote, peer, certificates):
    before = len(peer.messages())
    (done,) = deliver(remote, peer, certificates, certificate=certificates.path("own.pem"))
    assert done.outcome == DELIVERED, done.text
    wait_for(lambda: len(peer.messages()) > before, 30, "the message")
    wait_for(lambda: peer.knows("one.test"), 10, "a word of the peer on our certificate")


@pytest.mark.parametrize("tls, how", [(OPPORTUNISTIC, "opportunistic"), (MANDATORY, "mandatory")])
def test_less_is_demanded(remote, peer, certificates, tls, how):
    (done,) = deliver(remote, peer, certificates, tls=tls)
    assert (done.outcome, done.how, done.protocol) == (DELIVERED, how, "TLSv1.3"), done.text


def test_what_the_peer_refuses_is_its_own_word(remote, peer, certificates):
    (done,) = deliver(remote, peer, certificates, to="box@elsewhere.test")
    result = done.results[0] if done.results else (done.outcome, done.status, done.text)
    assert result[0] == PERMANENT and "550" in result[2] or "554" in result[2], result


def test_a_name_that_the_peer_can_not_prove(remote, peer, certificates):
    s = remote.session().peer(peer.port, tls=NAME, destination="another.test", ca=certificates.path("ca.pem"))
    s.message(to=["box@another.test"])
    done = s.done()
    s.close()
    assert done.outcome == TEMPORARY and "not for 127.0.0.1" in done.text, done.text


def test_a_peer_that_offers_tls_and_fails_gets_plain_text_unless_that_is_forbidden(remote, certificates):
    with OpenSMTPD(certificates.path("peer.pem"), certificates.path("peer.key")) as peer:
        for tls in (MANDATORY, NAME):
            (done,) = deliver(remote, peer, certificates, tls=tls)
            assert done.outcome == TEMPORARY and "internal error" in done.text and peer.messages() == [], done.text
        (done,) = deliver(remote, peer, certificates, tls=OPPORTUNISTIC)
        assert done.outcome == DELIVERED and done.protocol == "" and done.how.startswith("plain, since TLS: "), (done.how, done.text)
        (message,) = peer.messages()
        assert message.endswith(LINES.split(b"\r\n\r\n", 1)[1].replace(b"\r\n", b"\n"))
