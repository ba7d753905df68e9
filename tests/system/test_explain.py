"""postern explain: where mail would go, under which policies, by live DNS; the same that remote does."""
import contextlib
import signal
import subprocess

import pytest

from instance import BIN, Instance, wait_for
from net import NAME_SERVER, Names, Network

HASH = "ab" * 32
DEAD = "10.53.0.99"
ZONES = {
    "good.pn": {"signed": True, "records": [
        "@ MX 20 mx2", "@ MX 10 mx1", "mx1 A 10.53.0.1", "mx2 A 10.53.0.2", "mx2 AAAA fd53::1", f"_25._tcp.mx1 TLSA 3 1 1 {HASH}", f"_25._tcp.mx2 TLSA 1 0 1 {HASH}",
        "none MX 0 .", "self MX 10 mx.example.test.", "behind MX 5 mx1", "behind MX 10 mx.example.test.", "local A 127.0.0.1", "plain A 10.53.0.3", "relay A 10.53.0.9",
        f"_26._tcp.relay TLSA 3 0 2 {HASH}{HASH}", "empty TXT x", "alias CNAME mx1", "byalias MX 5 alias"]},
    "plain.pn": {"records": ["@ MX 10 mx1.good.pn.", "far MX 10 mx.broken.pn."]},
    "broken.pn": {"signed": True, "ds": "wrong", "records": ["@ MX 10 mx1.good.pn."]},
}
CONTROL = {
    "send/smtproutes": ["routed.test:relay.good.pn;26|joe|geheim", "free.test:", "gone.test:nothing.good.pn", "qmtp.example:x.test"],
    "send/qmtproutes": ["qmtp.test:relay.good.pn"],
    "send/authsenders": ["@vip.test:!10.53.0.9|u|p"],
    "send/domainips": ["vip.test:10.53.0.77|mail.vip.test"],
    "send/domaincerts": ["vip.test:/etc/vip.pem|/etc/vip.key"],
    "send/tlsdestinations": ["~plain.pn:/etc/ca.pem", "!plain.good.pn:", "=self.pn:", "-:"],
}


@pytest.fixture(scope="module")
def network():
    with contextlib.ExitStack() as stack:
        made = Network()
        stack.callback(made.close)
        made.names = Names(made, ZONES)
        stack.callback(made.names.close)
        yield made


@pytest.fixture(scope="module")
def explain(network):
    with contextlib.ExitStack() as stack:
        mx = stack.enter_context(Instance({**CONTROL, "resolve/trustanchor": network.names.anchor}, services=["resolve"], network=network))
        wait_for(lambda: "event=generation" in mx.log(), what="resolve")

        def ask(address, sender="a@sender.test", run="run"):
            done = mx.postern("explain", "-c", mx.path("control"), "-R", mx.path(run), "--from", sender, address)
            assert done.stderr == "", done.stderr
            return done.returncode, done.stdout

        yield ask


@pytest.mark.parametrize("address, status, words", [
    ("alice@example.test", 0, ["a mailbox of this host, by virtualusers", "alice/Maildir"]),
    ("nobody@example.test", 100, ["returned: the domain is this host's own"]),
    ("bob@good.pn", 0, ["route        none", "host 1       mx1.good.pn, MX 10 (vouched for by DNSSEC)", f"TLSA of _25._tcp.mx1.good.pn: 3 1 1 {HASH}",
                        "TLS, with a certificate that matches one of these records (DANE)", "host 2       mx2.good.pn, MX 20", "fd53::1, 10.53.0.2",
                        "can't be used for mail", "TLS, with any certificate: none of these records can be used (DANE)", "it would be tried there, in this order"]),
    ("bob@plain.pn", 0, ['by the line "~plain.pn:" of tlsdestinations', "perhaps by a wildcard, the name plain.pn; CAs: /etc/ca.pem",
                         "(no DANE: DNSSEC does not vouch for the MX records)"]),
    ("bob@plain.good.pn", 0, ["no TLS (no DANE: a ! line forbids TLS)", "host 1       plain.good.pn\n", "10.53.0.3 (vouched for by DNSSEC)"]),
    ("bob@byalias.good.pn", 0, ["is an alias of mx1.good.pn", "TLSA of _25._tcp.mx1.good.pn: 3 1 1"]),
    ("bob@behind.good.pn", 0, ["this host is one of the MX hosts", "host 1       mx1.good.pn, MX 5"]),
    ("bob@self.good.pn", 100, ["returned: mail for self.good.pn would come back"]),
    ("bob@none.good.pn", 100, ["null MX"]),
    ("bob@nothing.good.pn", 100, ["there is no domain nothing.good.pn"]),
    ("bob@empty.good.pn", 100, ["has no address", "returned: no host has a usable address"]),
    ("bob@local.good.pn", 100, ["1 of its addresses is left out", "returned: no host has a usable address"]),
    ("bob@[127.0.0.1]", 100, ["1 of its addresses is left out"]),
    ("bob@[10.53.0.5]", 0, ["host 1       [10.53.0.5]"]),
    ("bob@broken.pn", 111, ["it would wait: DNSSEC: forged or broken MX records"]),
    ("bob@far.plain.pn", 111, ["no name server could say its addresses", "it would wait: no host can be used now"]),
    ("bob@routed.test", 0, ['to relay.good.pn port 26, by the line "routed.test:" of smtproutes', "as joe, with the password of that line, only in TLS",
                            "TLSA of _26._tcp.relay.good.pn: 3 0 2", "host 1       relay.good.pn\n", 'by the line "-:"']),
    ("bob@free.test", 100, ["the domain's MX hosts, by the line \"free.test:\" of smtproutes"]),
    ("bob@gone.test", 100, ["host 1       nothing.good.pn", "has no address"]),
    ("bob@qmtp.test", 111, ["by QMTP, by the line", "it would wait: the route of qmtp.test is by QMTP"]),
])
def test_the_way_of_an_address_is_told(explain, address, status, words):
    got, text = explain(address)
    assert got == status, text
    for word in words:
        assert word in text, text
    assert "geheim" not in text


def test_the_sender_decides_where_the_tables_say_so(explain):
    status, text = explain("bob@good.pn", "x@vip.test")
    assert status == 0
    for word in ('to 10.53.0.9, by the line "@vip.test:" of authsenders', "as u, with the password of that line, even without TLS", "comes from   10.53.0.77",
                 "EHLO mail.vip.test, by domainips", "certificate  /etc/vip.pem", "host 1       10.53.0.9"):
        assert word in text, text


def test_tables_are_explained_where_resolve_does_not_run(explain):
    status, text = explain("bob@routed.test", run="no-run")
    assert status == 111
    assert "to relay.good.pn port 26" in text and "hosts        not looked up: " in text and "is the service `resolve` up?" in text


def test_what_is_no_address_is_refused(tmp_path):
    for words in ([], ["a b@c"], ["a@b", "c@d"], ["--from", "x y@z", "a@b"], ["--json"]):
        done = subprocess.run([f"{BIN}/postern", "explain", "-c", str(tmp_path), *words], capture_output=True, text=True)
        assert done.returncode == 100 and done.stderr != "", words


def test_the_system_says_whom_to_ask_and_what_to_trust(network, tmp_path):
    conf, anchors = tmp_path / "resolv.conf", tmp_path / "root.key"
    conf.write_text(f"# written by a machine\n; by another one\nsearch example.test\nnameserver\t{DEAD}\noptions edns0\n")
    anchors.write_text(f"; of the root\n{network.names.anchor} ; keytag\n")
    with Instance({**CONTROL, "resolve/forwarders": str(conf), "resolve/trustanchor": str(anchors)}, services=["resolve"], network=network) as mx:
        def ask():
            return mx.postern("explain", "-c", mx.path("control"), "-R", mx.path("run"), "bob@good.pn")
        wait_for(lambda: "event=generation" in mx.log(), what="resolve")
        done = ask()
        assert done.returncode == 111 and "no name server could say" in done.stdout, done.stdout  # the root's servers are there, but not asked
        assert f"asks={DEAD} anchors=1" in mx.log()
        conf.write_text(f"nameserver {NAME_SERVER}\n")
        mx.wardens["resolve"].send_signal(signal.SIGHUP)
        wait_for(lambda: ask().returncode == 0, 30, "answers of the new name server")
        assert "mx1.good.pn, MX 10 (vouched for by DNSSEC)" in ask().stdout


def test_the_checks_of_a_client_are_shown_in_their_order_with_what_its_rule_says():
    control = {"smtpd/rules": ['127.0.0.1:allow,SPF="3",HELOCHECK="A"', "127.0.0.2:deny", '127.0.0.3:allow,RELAYCLIENT=""'],
               "smtpd/variables": ["MFDNSCHECK="], "smtpd/badhelo": ["bad.example"], "smtpd/databytes": ["7000"]}
    with Instance(control, services=[]) as mx:
        def checks(*words):
            done = mx.postern("explain", "-c", mx.path("control"), "--checks", *words)
            return done.returncode, done.stdout, done.stderr

        status, text, errors = checks("smtpd", "127.0.0.1")
        rows = {line.split()[0]: line for line in text.splitlines()[1:]}
        assert status == 0 and errors == "", errors
        assert list(rows) == ["relays", "peername", "dnslists", "helo", "senderdns", "usersender", "localsender", "relaying", "mailbox", "spf", "badmailfrom",
                              "badrcptto", "number", "size"]
        assert "MAIL, for the answer to RCPT" in rows["spf"] and "after peername" in rows["spf"] and "SPF=3 by its rule" in rows["spf"]
        assert 'HELOCHECK="A" by its rule' in rows["helo"] and "badhelo is there" in rows["helo"]
        assert 'MFDNSCHECK="" by the item variables' in rows["senderdns"]
        assert rows["size"].split()[1] == "message:" and "databytes 7000" in rows["size"] and "DATABYTES is not set" in rows["size"]
        assert "dnslists is not there" in rows["dnslists"]
        assert checks("smtpd", "127.0.0.2")[:2] == (100, "127.0.0.2\n  so           its rule refuses the connection\n")
        assert "relays       yes, by RELAYCLIENT" in checks("smtpd", "127.0.0.3")[1]
        assert checks("smtpd", "::1")[0] == 0
        for wrong in ("nobody", "127.0.0.1.5", ""):
            status, text, errors = checks("smtpd", wrong)
            assert status == 100 and text == "" and "expected the address of a client" in errors
        assert checks("nosuch", "127.0.0.1")[0] == 111
