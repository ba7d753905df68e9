"""postern check: what an administrator reads before a start."""
import os
import subprocess

import pytest
from instance import BIN
from tls_rig import Certificates

SOUND = {
    "me": "localhost.localdomain",
    "locals": "example.test\n",
    "systemusers": "no",
    "virtualuser": "5000:5000:/var/vmail",
    "virtualusers": "postmaster@localhost.localdomain:pm\n",
    "smtpd/listen": "127.0.0.1:2525",
    "send/queuelifetime": "604800",
}


@pytest.fixture
def etc(tmp_path):
    def make(**items):
        for name, text in {**SOUND, **{k.replace("__", "/"): v for k, v in items.items()}}.items():
            file = tmp_path / name
            file.parent.mkdir(exist_ok=True)
            if text is not None:
                file.write_text(text + "\n")
                file.chmod(0o644)
        return tmp_path

    return make


def check(etc, *services):
    r = subprocess.run([f"{BIN}/postern", "check", str(etc), *services], capture_output=True, text=True)
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
    assert "open relay" in text and "example.test is in locals, not here" in text and "below minuid" in text


def test_nobody_as_postmaster_is_a_warning(etc):
    status, lines, _ = check(etc(virtualusers=None, virtualuser=None))
    assert status == 0 and any("nobody gets the mail of postmaster" in line for line in lines)


def test_services_can_be_named_and_others_are_told(etc):
    directory = etc(smtpd__maxhops="x")
    assert check(directory, "send")[0] == 0
    assert check(directory, "smtpd")[0] == 100
    os.mkdir(directory / "stranger")
    assert "stranger: warning: is no service of Postern" in check(directory, "send", "stranger")[1]


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
    assert "an absolute path was expected" in "\n".join(check(etc(smtpd__variables="CERTFILE=cert.pem"))[1])
