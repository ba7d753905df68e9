"""DANE (RFC 6698, 7671, 7672): remote, its engine and resolve, with zones that a real name server serves, signed, broken and plain."""
import contextlib
import hashlib
import os
import ssl

import pytest

from engine_rig import Engine
from instance import Instance, wait_for
from net import Names, Network
from remote_rig import DELIVERED, MANDATORY, NAME, NEVER, OPPORTUNISTIC, TEMPORARY, Remote
from sink import Sink
from tls_rig import Certificates, openssl, server_context

OFF, FIRST, AFTER = range(3)
HOSTS = ["good", "expired", "plain", "ta", "nexthop", "large", "picky", "broken"]
# each with an address and a certificate of its own; plain offers no TLS, picky ends a handshake that asks for a name, broken any
ADDRESS = {name: f"10.53.1.{i + 1}" for i, name in enumerate(HOSTS)}


def record(certificates, usage, selector, matching, name):
    pem = certificates.path(name + ".pem")
    der = openssl("x509", "-in", pem, "-outform", "DER")
    if selector == 1:
        der = openssl("pkey", "-pubin", "-outform", "DER", text=openssl("x509", "-in", pem, "-noout", "-pubkey"))
    data = der if matching == 0 else hashlib.sha256(der).digest() if matching == 1 else hashlib.sha512(der).digest()
    return f"TLSA {usage} {selector} {matching} {data.hex().upper()}"


def zones(c):
    """Every kind of record on a host name of its own, all of which lead to the hosts."""
    kinds = [(u, s, m) for u in (2, 3) for s in (0, 1) for m in (0, 1, 2)]
    lines, wrong = [], record(c, 3, 1, 1, "other")

    def host(name, address, *tlsa):
        lines.append(f"{name} A {ADDRESS[address]}")
        lines.append(f"d.{name} MX 10 {name}")
        lines.extend(f"_25._tcp.{name} {t}" for t in tlsa)

    for k in kinds:
        host("k%d%d%d" % k, "ta" if k[0] == 2 else "good", record(c, *k, "ca" if k[0] == 2 else "good"))
    whole = record(c, 3, 0, 0, "large")  # an RSA certificate with many names: 1,500 octets and more
    host("large", "large", whole)
    host("larger", "large", *(record(c, 3, 0, 0, n) for n in ("large2", "large3", "large4")), whole, record(c, 3, 1, 1, "large"))
    host("largest", "large", "TLSA 3 0 0 " + "AB" * 5000)
    host("mismatch", "good", wrong)
    host("one-of-two", "good", wrong, record(c, 3, 0, 2, "good"))
    host("too-old", "expired", record(c, 3, 1, 1, "expired"))
    host("ta-too-old", "expired", record(c, 2, 0, 1, "ca"))
    host("elsewhere", "good", record(c, 2, 0, 1, "ca"))  # the certificate is for another name
    host("unusable", "expired", record(c, 1, 0, 1, "ca"), record(c, 0, 1, 1, "good"), "TLSA 3 1 9 00112233")
    host("unusable-plain", "plain", record(c, 1, 0, 1, "ca"))
    host("no-tls", "plain", record(c, 3, 1, 1, "good"))
    host("without", "expired")
    host("picky", "picky")
    host("picky-dane", "picky", record(c, 3, 1, 1, "picky"))
    host("broken", "broken")
    host("nexthop", "nexthop", record(c, 2, 0, 1, "ca"))  # the certificate is for the domain, not for the host
    lines += ["alias CNAME k311", "d.alias MX 10 alias", f"own A {ADDRESS['good']}", f"_25._tcp.own {record(c, 3, 1, 1, 'good')}",
              f"_2525._tcp.own {wrong}"]
    for name, tlsa in (("way-out", record(c, 3, 1, 1, "good")), ("wrong-way-out", wrong)):
        lines += [f"{name} CNAME host.open.pn.", f"d.{name} MX 10 {name}", f"_25._tcp.{name} {tlsa}"]
    spoilt = [f"host A {ADDRESS['good']}", f"_25._tcp.host {wrong}", "d.host MX 10 host"]
    data = wrong.split()[-1].lower()
    return {
        "d.pn": {"signed": True, "records": lines},
        "spoilt.pn": {"signed": True, "records": spoilt, "spoil": (data, record(c, 3, 1, 1, "good").split()[-1].lower())},
        "halved.pn": {"signed": True, "records": ["@ MX 10 @", f"@ A {ADDRESS['good']}", "@ AAAA fd53::77", f"_25._tcp {wrong}"], "spoil": ("fd53::77", "fd53::78")},
        "island.pn": {"signed": True, "ds": None, "records": [f"@ MX 10 @", f"@ A {ADDRESS['good']}", f"_25._tcp {wrong}"]},
        "open.pn": {"records": ["@ MX 10 mismatch.d.pn.", f"host A {ADDRESS['good']}"]},  # nothing vouches for the host that is named
    }


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    c = Certificates(str(tmp_path_factory.mktemp("dane")))
    c.issue("good", "DNS:mx.elsewhere.test")
    c.issue("ta", "DNS:*.d.pn")
    c.issue("nexthop", "DNS:d.nexthop.d.pn")
    c.issue("other", "DNS:mx.elsewhere.test")
    c.issue("picky", "DNS:picky.d.pn")
    c.issue("broken", "DNS:broken.d.pn")
    c.issue("expired", "DNS:ta-too-old.d.pn", days=-1)
    for name in ("large", "large2", "large3", "large4"):
        c.issue(name, ",".join(f"DNS:{name}-{i}.elsewhere.test" for i in range(70)), kind="rsa")
    with contextlib.ExitStack() as stack:
        network = Network(ADDRESS.values())
        stack.callback(network.close)
        names = Names(network, zones(c))
        stack.callback(names.close)
        resolve = stack.enter_context(Instance({"resolve/trustanchor": names.anchor}, services=["resolve"], network=network))
        wait_for(lambda: os.path.exists(resolve.path("run/resolve.pids")), what="resolve")
        engine = stack.enter_context(Engine({c.path("ca.pem"): [c.path("ca.pem")]}))
        remote = stack.enter_context(Remote(resolve.path("run/resolve.remote"), network, engine=engine))
        sinks = {}
        for name, address in ADDRESS.items():
            tls = None if name == "plain" else server_context(c, name, chain=["ca"])
            if name == "picky":
                tls.sni_callback = lambda sock, asked, ctx: None if asked is None else ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
            if name == "broken":
                tls.sni_callback = lambda sock, asked, ctx: ssl.ALERT_DESCRIPTION_HANDSHAKE_FAILURE
            sinks[name] = stack.enter_context(Sink(tls=tls, address=address, port=25, network=network))
        yield remote, sinks, c
        assert remote.process.poll() is None, remote.log()


def send(place, domain, tls=OPPORTUNISTIC, dane=FIRST, port=25, **how):
    s = place[0].session().peer(port, relay="", destination=domain, tls=tls, dane=dane, idle_ms=15000, **how)
    s.message(to=[f"bob@{domain}"])
    done = s.done()
    s.close()
    return done


@pytest.mark.parametrize("usage, selector, matching", [(u, s, m) for u in (2, 3) for s in (0, 1) for m in (0, 1, 2)])
def test_a_record_that_matches_proves_the_host(place, usage, selector, matching):
    done = send(place, "d.k%d%d%d.d.pn" % (usage, selector, matching))
    assert (done.outcome, done.how, done.protocol) == (DELIVERED, "dane-ta" if usage == 2 else "dane-ee", "TLSv1.3"), done.text


@pytest.mark.parametrize("name, how", [
    ("d.one-of-two.d.pn", "dane-ee"), ("d.large.d.pn", "dane-ee"), ("d.larger.d.pn", "dane-ee"), ("d.too-old.d.pn", "dane-ee"), ("d.alias.d.pn", "dane-ee"), ("d.way-out.d.pn", "dane-ee"), ("own.d.pn", "dane-ee"), ("d.nexthop.d.pn", "dane-ta"),
    ("d.unusable.d.pn", "mandatory (unusable TLSA records)"), ("d.without.d.pn", "opportunistic"), ("island.pn", "opportunistic"),
    ("open.pn", "opportunistic")])
def test_what_else_is_delivered(place, name, how):
    done = send(place, name)
    assert (done.outcome, done.how, done.protocol) == (DELIVERED, how, "TLSv1.3"), done.text


def test_a_host_that_refuses_a_server_name_is_asked_once_without_before_plain_text(place):
    before = len(place[1]["picky"].connections)
    done = send(place, "d.picky.d.pn")
    assert (done.outcome, done.how, done.protocol) == (DELIVERED, "opportunistic, no server name", "TLSv1.3"), done.text
    assert len(place[1]["picky"].connections) == before + 2
    done = send(place, "d.picky.d.pn", tls=MANDATORY)
    assert (done.outcome, done.how, done.protocol) == (DELIVERED, "mandatory, no server name", "TLSv1.3"), done.text


def test_where_the_certificate_counts_the_name_is_asked_for(place):
    for name, tls in (("d.picky-dane.d.pn", OPPORTUNISTIC), ("d.picky.d.pn", NAME)):
        done = send(place, name, tls=tls, ca=place[2].path("ca.pem"))
        assert done.outcome == TEMPORARY and "has no certificate for the name that was asked for" in done.text, done.text


def test_a_host_that_refuses_any_handshake_gets_plain_text_at_the_third_connection(place):
    before = len(place[1]["broken"].connections)
    done = send(place, "d.broken.d.pn")
    assert done.outcome == DELIVERED and done.how.startswith("plain, since TLS: "), (done.how, done.text)
    assert len(place[1]["broken"].connections) == before + 3


@pytest.mark.parametrize("name, words", [
    ("d.mismatch.d.pn", "TLSA"), ("d.ta-too-old.d.pn", "expired"), ("d.elsewhere.d.pn", "is for mx.elsewhere.test, not for elsewhere.d.pn"),
    ("d.no-tls.d.pn", "which its DANE record demands"), ("d.unusable-plain.d.pn", "which its DANE record demands"),
    ("d.wrong-way-out.d.pn", "TLSA"), ("halved.pn", "TLSA"),  # its AAAA record is forged
    ("d.largest.d.pn", "can't be verified (DANE)"), ("d.host.spoilt.pn", "can't be verified (DANE)")])
def test_what_is_not(place, name, words):
    n = {k: len(s.messages) for k, s in place[1].items()}
    done = send(place, name)
    assert done.outcome == TEMPORARY and done.status.startswith("4.7."), done.text
    assert words in done.text, done.text
    assert {k: len(s.messages) for k, s in place[1].items()} == n


def test_the_order_of_dane_and_policies_is_a_choice(place):
    ca = place[2].path("ca.pem")
    assert send(place, "d.mismatch.d.pn", dane=OFF).how == "opportunistic"
    assert send(place, "d.mismatch.d.pn", dane=AFTER).outcome == TEMPORARY  # no line matched
    assert send(place, "d.mismatch.d.pn", dane=AFTER, by_policy=1).how == "opportunistic"
    assert send(place, "d.k311.d.pn", tls=NAME, ca=ca, by_policy=1).how == "dane-ee"  # DANE comes first
    assert send(place, "d.k311.d.pn", tls=NAME, ca=ca, by_policy=1, dane=AFTER).outcome == TEMPORARY  # the name is another
    assert send(place, "d.mismatch.d.pn", tls=NEVER, by_policy=1).protocol == ""


def test_names_count_for_the_host_only_where_dnssec_vouches_for_it(place):
    ca = place[2].path("ca.pem")
    done = send(place, "d.k200.d.pn", tls=NAME, ca=ca, dane=OFF, by_policy=1)
    assert done.outcome == TEMPORARY and "not for k200.d.pn" in done.text, done.text  # its certificate is *.d.pn
    done = send(place, "d.k200.d.pn", tls=NAME - 1, ca=ca, dane=OFF, by_policy=1)
    assert (done.outcome, done.how) == (DELIVERED, "ca+name"), done.text
    done = send(place, "open.pn", tls=NAME - 1, ca=ca, dane=OFF, by_policy=1)
    assert done.outcome == TEMPORARY and "not for open.pn" in done.text, done.text
