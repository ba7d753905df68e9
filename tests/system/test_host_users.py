"""Users of the host: who of passwd gets mail. warden runs in a mount namespace with a passwd file of the test's own."""
import os
import subprocess

import pytest
from instance import BIN, Instance

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


class Host(Instance):
    def start(self, service):
        log = open(self.path(service + ".log"), "ab")
        script = 'mount --bind "$0" /etc/passwd && exec "$@"'
        self.wardens[service] = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, self.path("passwd"), f"{BIN}/warden",
             "-c", self.path("control"), "-R", self.path("run"), "-q", self.path("queue"), "-l", BIN, service],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, close_fds=True)
        log.close()


def add(host, lines, name, uid, owner=None, home=True):
    path = host.path("home/" + name.lower())
    if home:
        os.makedirs(path)
        os.chmod(path, 0o700)
        os.chown(path, owner or uid, owner or uid)
        subprocess.run(["install", "-d", "-o", str(uid), "-g", str(uid), path + "/Maildir", path + "/Maildir/tmp",
                        path + "/Maildir/new", path + "/Maildir/cur"], check=True)
    lines.append(f"{name}:x:{uid}:{uid}::{path}:/bin/sh")


@pytest.fixture(scope="module")
def host():
    h = Host({"systemusers": "yes", "minuid": "4100000", "virtualusers": None, "virtualuser": None, "postmaster": "eve",
              "aliasuser": None, "users/assign": ["=hidden:eve:4100001:4100001:/nonexistent:::", "."]})
    lines = ["root:x:0:0:root:/root:/bin/sh"]
    add(h, lines, "eve", 4100001)
    add(h, lines, "Upper", 4100002)
    add(h, lines, "low", 4099999)
    add(h, lines, "homeless", 4100003, home=False)
    add(h, lines, "squatter", 4100004, owner=4100001)
    add(h, lines, "hidden", 4100005)
    with open(h.path("passwd"), "w") as f:
        f.write("\n".join(lines) + "\n")
    with h:
        yield h


def code(host, local):
    with host.connect() as s:
        s.ehlo()
        s.say("MAIL FROM:<a@peer.test>")
        return s.say(f"RCPT TO:<{local}@example.test>")[0]


@pytest.mark.parametrize("local,reply", [("eve", 250), ("EVE", 250), ("eve-list", 250), ("eves", 550), ("upper", 250), ("low", 550),
                                         ("root", 550), ("homeless", 550), ("squatter", 550), ("hidden", 250), ("nobody", 550),
                                         ("postmaster", 250)])
def test_who_of_passwd_gets_mail(host, local, reply):
    assert code(host, local) == reply


def test_mail_arrives_in_the_home_as_the_user(host):
    from instance import wait_for

    with host.connect() as s:
        s.ehlo()
        s.say("MAIL FROM:<a@peer.test>")
        assert s.say("RCPT TO:<eve-list@example.test>")[0] == 250
        assert s.data(b"Subject: home\r\n\r\n.\r\n")[0] == 250
    new = host.path("home/eve/Maildir/new")
    wait_for(lambda: os.listdir(new), 10, "the message")
    file = os.path.join(new, os.listdir(new)[0])
    assert os.stat(file).st_uid == 4100001
    with open(file) as f:
        assert "Delivered-To: eve-list@example.test\n" in f.read()
