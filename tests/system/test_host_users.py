"""Users of the host: who of passwd gets mail. warden runs in a mount namespace with a passwd file of the test's own."""
import os
import subprocess
import time

import pytest
from instance import BIN, Instance, wait_for

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
              "aliasuser": None, "userbreak": "-+"})
    h.control("users/assign", [f"=hidden:eve:4100001:4100001:{h.path('home/eve')}:::", "=away:eve:4100001:4100001:/nonexistent:::",
                               "=vpopmail:vpopmail:89:89:/:::", "=disk:eve:4100001:6:/:::", "."])
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


# 451: somebody for whom lspawn would start nothing: the home is missing, uid or gid is too low
@pytest.mark.parametrize("local,reply", [("eve", 250), ("EVE", 250), ("eve-list", 250), ("eve+list", 250), ("eve+a-b", 250), ("eve=a", 550), ("eves", 550), ("upper", 250), ("low", 550),
                                         ("root", 550), ("homeless", 550), ("squatter", 550), ("hidden", 250), ("nobody", 550), ("away", 451), ("vpopmail", 451), ("disk", 451),
                                         ("postmaster", 250)])
def test_who_of_passwd_gets_mail(host, local, reply):
    assert code(host, local) == reply


def test_mail_arrives_in_the_home_as_the_user(host):
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


def accounts(host):
    with open(host.path("passwd")) as f:
        return f.read().splitlines()


def become(host, lines):
    with open(host.path("passwd"), "r+") as f:  # the same file: it is mounted
        f.write("\n".join(lines) + "\n")
        f.truncate()


def test_a_user_who_comes_gets_mail_and_one_who_goes_is_refused_without_a_signal(host):
    before, home, pids = accounts(host), host.path("home/newcomer"), [host.pids(s) for s in host.services]
    assert code(host, "newcomer") == 550
    become(host, [*before, f"newcomer:x:4100010:4100010::{home}:/bin/sh"])
    time.sleep(1.2)  # useradd writes passwd first: somebody without a home is nobody yet
    os.mkdir(home, 0o700)
    os.chown(home, 4100010, 4100010)
    wait_for(lambda: code(host, "newcomer") == 250, 15, "mail for somebody new")
    with host.connect() as s:
        s.ehlo()
        s.transaction("a@peer.test", ["newcomer+list@example.test"])
        assert s.data(b"Subject: new\r\n\r\n.\r\n")[0] == 250
    new = home + "/Maildir/new"
    wait_for(lambda: os.listdir(new), 10, "the message, in a Maildir that was made for it")
    for made in home + "/Maildir", new:
        st = os.stat(made)
        assert (st.st_uid, st.st_mode & 0o7777) == (4100010, 0o700)
    become(host, before)
    wait_for(lambda: code(host, "newcomer") == 550, 5, "a refusal of somebody who has gone")
    assert pids == [host.pids(s) for s in host.services]  # nothing was started anew
    assert code(host, "eve") == 250
