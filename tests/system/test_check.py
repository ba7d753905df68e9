"""postern check: what an administrator reads before a start."""
import os
import re
import shutil
import subprocess

import pytest
from instance import BIN
from tls_rig import Certificates

SOUND = {
    "me": "localhost.localdomain",
    "locals": "example.test\n",
    "rcpthosts": "example.test\nlocalhost.localdomain\n",
    "systemusers": "no",
    "virtualusers": "postmaster@localhost.localdomain:pm\n",
    "smtpd/listen": "127.0.0.1:2525",
    "send/queuelifetime": "604800",
}


def house_uids():
    """The item uids: a number for each user of the house."""
    users = subprocess.run([f"{BIN}/postern", "plan", "--users"], capture_output=True, text=True, check=True).stdout.splitlines()
    return "".join(f"{line.split()[0]}:{61000 + n}:{61000 + n}\n" for n, line in enumerate(users))


@pytest.fixture
def etc(tmp_path, tmp_path_factory):
    vmail = tmp_path_factory.mktemp("vmail")
    os.chown(vmail, 5000, 5000)

    def make(**items):
        for name, text in {**SOUND, "uids": house_uids(), "virtualuser": f"5000:5000:{vmail}", **{k.replace("__", "/"): v for k, v in items.items()}}.items():
            file = tmp_path / name
            file.parent.mkdir(exist_ok=True)
            if text is not None:
                file.write_text(text + "\n")
                file.chmod(0o644)
        return tmp_path

    return make


def check(etc, *services, options=()):
    r = subprocess.run([f"{BIN}/postern", "check", *options, str(etc), *services], capture_output=True, text=True)
    return r.returncode, r.stdout.replace(str(etc) + "/", "").splitlines(), r.stderr


def test_sound_directories_have_nothing_to_tell(etc):
    status, lines, _ = check(etc())
    assert status == 0
    assert [line for line in lines if "does not resolve" not in line][-1].startswith("0 errors, ")
    assert not [line for line in lines if "warning:" in line and "resolve" not in line]


def test_every_mistake_is_told_with_its_line(etc):
    status, lines, _ = check(etc(smtpd__maxhops="# hops\n\nmany", smtpd__rules="10.:allow\n10:deny\n:maybe", rcpthosts="a@b.test"))
    assert status == 100
    assert "smtpd/maxhops:3: expected a number from 10 to 1000" in lines
    assert any(line.startswith("smtpd/rules:2: expected an address") for line in lines)
    assert "smtpd/rules:3: expected address:allow or address:deny" in lines
    assert "rcpthosts:1: expected a domain, or a dot and a domain" in lines
    assert lines[-1].startswith("4 errors, ")


def test_an_item_that_must_be_there_is_missed(etc):
    status, lines, _ = check(etc(me=None))
    assert status == 100 and any(line.startswith("me: expected a file here") for line in lines)


def test_what_would_surprise_is_a_warning(etc):
    status, lines, _ = check(etc(smtpd__rcpthost="x", smtpd__rules=':allow,RELAYCLIENT=""', rcpthosts="other.test", minuid="6000"))
    text = "\n".join(lines)
    assert status == 0
    assert "smtpd/rcpthost: warning: is no control item; did you mean rcpthosts?" in lines
    assert "open relay" in text and "example.test is in locals, not in rcpthosts" in text and "below minuid" in text


def test_nobody_as_postmaster_is_a_warning(etc):
    status, lines, _ = check(etc(virtualusers=None, virtualuser=None))
    assert status == 0 and any("nobody gets the mail of postmaster" in line for line in lines)


def test_nobody_as_root_is_a_warning_where_there_are_system_users(etc):
    def told(**items):
        status, lines, _ = check(etc(systemusers="yes", locals="localhost.localdomain", **items))
        assert status == 0
        return any("nobody gets the mail of root" in line for line in lines)

    assert told()
    assert not told(users__assign="=root:alice:5001:5001:/home/alice:::\n.")


def test_services_that_people_log_in_to_want_a_certificate(etc):
    _, lines, _ = check(etc(pop3s__listen="127.0.0.1:9955", submission__variables="CERTDIR=/nowhere", submission__listen="127.0.0.1:5877"))
    wanting = [line for line in lines if "without TLS nobody can log in" in line]
    assert wanting == ["variables: warning: there is no CERTFILE: without TLS nobody can log in to pop3s: CERTFILE=/PATH here names one"]
    assert sum("postmaster" in line for line in lines) == 0


def test_services_can_be_named_and_others_are_told(etc):
    directory = etc(smtpd__maxhops="x")
    assert check(directory, "send")[0] == 0
    assert check(directory, "smtpd")[0] == 100
    os.mkdir(directory / "stranger")
    assert not [line for line in check(directory, "send", "stranger")[1] if "stranger" in line]  # of keys, perhaps
    (directory / "stranger/listen").write_text("127.0.0.1:2526\n")
    assert any(line.startswith("stranger: warning: is no service of Postern: its items are read by nobody") for line in check(directory, "send", "stranger")[1])


def test_what_is_not_there_is_trouble(tmp_path):
    status, _, err = check(tmp_path / "no")
    assert status == 111 and err


def test_certificates_are_looked_at(etc, tmp_path_factory):
    c = Certificates(str(tmp_path_factory.mktemp("tls")))
    for name, more in (("good", {"names": "DNS:localhost.localdomain"}), ("other", {}), ("old", {"days": -1}), ("soon", {"days": 3})):
        c.issue(name, **more)
    os.chmod(c.path("good.key"), 0o644)

    def told(certificate, key):
        return "\n".join(check(etc(smtpd__variables=f"CERTFILE={c.path(certificate)}\nKEYFILE={c.path(key)}"))[1])

    assert "others may read it (mode 644)" in told("good.pem", "good.key")
    os.chmod(c.path("good.key"), 0o600)
    assert "smtpd/variables" not in told("good.pem", "good.key")
    assert "is not for localhost.localdomain" in told("other.pem", "other.key")
    assert "has expired" in told("old.pem", "old.key")
    assert "expires in" in told("soon.pem", "soon.key")
    assert "does not belong to the certificate" in told("good.pem", "other.key")
    assert "can't be read" in told("good.pem", "nothing.key")
    assert "smtpd/variables:1: expected absolute paths as CERTFILE" in "\n".join(check(etc(smtpd__variables="CERTFILE=cert.pem"))[1])


def test_chains_and_directories_of_certificates_are_looked_at(etc, tmp_path_factory):
    c = Certificates(str(tmp_path_factory.mktemp("chains")))
    os.mkdir(c.path("names"))
    ca = ("basicConstraints=critical,CA:TRUE",)
    c.issue("middle", subject="middle", extensions=ca)
    c.issue("late", subject="late", extensions=ca, days=-1)
    for name, by in (("leaf", "middle"), ("latter", "late")):
        c.issue(name, by=by, names="DNS:localhost.localdomain", extensions=("authorityInfoAccess=caIssuers;URI:http://ca.test/",))
    c.issue("names/old", days=-1)

    def told(*chain, key="leaf", more=""):
        with open(c.path("chain.pem"), "w") as out:
            out.writelines(open(c.path(n + ".pem")).read() for n in chain)
        return "\n".join(check(etc(smtpd__variables=f"CERTFILE={c.path('chain.pem')}\nKEYFILE={c.path(key + '.key')}" + more))[1])

    assert "smtpd/variables" not in told("leaf", "middle") and "smtpd/variables" not in told("leaf", "middle", "ca")
    assert "its issuer's certificate does not follow" in told("leaf")
    assert "are no chain" in told("leaf", "ca") and "are no chain" in told("leaf", "ca", "middle")
    assert "an issuer's certificate in the file has expired" in told("latter", "late", key="latter")
    assert "names/old.pem has expired" in told("leaf", "middle", more=f"\nCERTDIR={c.path('names')}")
    assert "names/none can't be read" in told("leaf", "middle", more=f"\nCERTDIR={c.path('names/none')}")


def test_tables_for_mail_to_other_hosts_are_looked_at(etc, tmp_path):
    made = Certificates(str(tmp_path / "certificates"))
    made.issue("fine", passphrase="pass|phrase")
    made.issue("old", days=-1)
    made.issue("plain")
    for name in ("fine", "old", "plain"):
        os.chmod(made.path(name + ".key"), 0o600)
    os.mkdir(made.path("empty"))
    with open(made.path("text"), "w") as f:
        f.write("no certificate\n")
    directory = etc(
        send__smtproutes="a.test:localhost.localdomain|joe|pass\nb.test:127.0.0.1\nc.test:127.0.0.1;2525\nd.test:[::1]\ne.test:!relay.test|u|p\nf.test:",
        send__qmtproutes="q.test:relay.test\nr.test:",
        send__authsenders="joe@a.test:relay.test;587|joe|pass",
        send__domainips="a.test:127.0.0.1\n*:192.0.2.77",
        send__tlsdestinations=f"a.test:{made.path('gone.pem')}\n-b.test:{made.path('ca.pem')}\n=c.test:{made.path('text')}\n~d.test:{made.path('empty')}/\ne.test:{made.path('ca.pem')}\nf.test:zzz\ng.test:HIGH",
        send__domaincerts=f"a.test:{made.path('fine.pem')}|{made.path('fine.key')}|pass|phrase\nb.test:{made.path('old.pem')}|{made.path('old.key')}\n"
                          f"c.test:{made.path('plain.pem')}|{made.path('old.key')}\nd.test:{made.path('fine.pem')}|{made.path('fine.key')}|wrong",
        send__cafile=made.path("nowhere.pem"))
    os.chmod(directory / "send/authsenders", 0o600)
    status, lines, _ = check(directory, "send")
    lines = [line for line in lines if line.startswith("send/") and "/me" not in line and "/postmaster" not in line]
    expected = [
        ("smtproutes", "a.test: the relay localhost.localdomain is this host"), ("smtproutes", "b.test: the relay 127.0.0.1 is this host"),
        ("smtproutes", "e.test: the password may be sent in plain text"), ("smtproutes", "has a password in it, and others may read it (mode 644)"),
        ("qmtproutes", "q.test: QMTP is not spoken yet"), ("domainips", "*: 192.0.2.77 is no address of this host"),
        ("tlsdestinations", "gone.pem can't be read"), ("tlsdestinations", "-b.test: certificates/ca.pem is not used"), ("tlsdestinations", "text has no certificate"),
        ("tlsdestinations", "empty/ has no file"), ("tlsdestinations", "f.test: no cipher in the list zzz"), ("tlsdestinations", "mail for destinations that no line fits goes without TLS"), ("cafile", "nowhere.pem can't be read"),
        ("domaincerts", "old.pem has expired"), ("domaincerts", "plain.pem: "), ("domaincerts", "fine.pem: "), ("domaincerts", "has a password in it"),
    ]
    for item, words in expected:
        assert [line for line in lines if re.match(rf"send/{item}(:\d+)?: warning: ", line) and words in line], (item, words, lines)
    others = [line for line in lines if not any(re.match(rf"send/{item}(:\d+)?: ", line) and words in line for item, words in expected)]
    assert [line for line in others if "d.test: the relay ::1" not in line] == []  # a host without IPv6 does not have that one
    assert status == 0 and "pass|phrase" not in "".join(lines)


def test_sound_tables_for_mail_to_other_hosts_have_nothing_to_tell(etc, tmp_path):
    made = Certificates(str(tmp_path / "certificates"))
    made.issue("fine", passphrase="pass|phrase")
    os.chmod(made.path("fine.key"), 0o600)
    directory = etc(send__smtproutes="a.test:relay.test;587|joe|pass\n.b.test:relay.test\n!@:relay.test", send__domainips="*:127.0.0.1",
                    send__tlsdestinations=f"=a.test:{made.path('ca.pem')}\n.b.test:{made.dir}/\n%c.test:={'ab' * 32}\n-:",
                    send__domaincerts=f"*:{made.path('fine.pem')}|{made.path('fine.key')}|pass|phrase", send__dane="after")
    for item in ("smtproutes", "domaincerts"):
        os.chmod(directory / "send" / item, 0o600)
    assert [line for line in check(directory, "send")[1] if "warning:" in line and "resolve" not in line] == []


def test_lines_for_mail_to_other_hosts_that_can_not_be_read_are_refused(etc):
    status, lines, _ = check(etc(send__smtproutes="a.test:b\na.test", send__tlsdestinations="*:\n%a.test:=abc\n=b.test:=" + "g" * 40, send__dane="maybe",
                                 send__authsenders="a@b.test:relay|u", send__domainips="a:b", send__domaincerts="a:b"), "send")
    assert status == 100
    for words in ("send/smtproutes:2: expected domain:relay", "send/tlsdestinations:2: expected a fingerprint of 40", "send/tlsdestinations:3: expected a fingerprint of hex",
                  "send/dane:1: expected off, first or after", "send/authsenders:1: expected both user and password", "send/domainips:1: expected domain:address",
                  "send/domaincerts:1: expected domain:certificate"):
        assert any(line.startswith(words) for line in lines), (words, lines)


def test_an_update_of_openssl_that_the_engine_lacks_is_told(etc, tmp_path):
    place = tmp_path / "bin"
    place.mkdir()
    for name in ("postern", "tls"):
        shutil.copy(f"{BIN}/{name}", place / name)

    def warnings():
        done = subprocess.run([place / "postern", "check", str(etc())], capture_output=True, text=True)
        return [line for line in done.stdout.splitlines() if "OpenSSL" in line]

    assert warnings() == []
    image = (place / "tls").read_bytes()
    if b"built on: " not in image:
        pytest.skip("this build has a shared OpenSSL")
    (place / "tls").write_bytes(re.sub(rb"built on: ...", b"built on: Old", image))
    (line,) = warnings()
    assert line.startswith(f"{place}/tls: warning: has another OpenSSL in it (built on: ") and "install Postern again" in line


def test_a_service_without_the_name_of_this_host_says_nothing_of_it(etc):
    directory = etc(resolve__forwarders="127.0.0.1")
    status, lines, _ = check(directory, "resolve")
    assert (status, lines) == (0, ["0 errors, 0 warnings"])
