"""`.qmail` files: which one counts, what its lines do, what waits, what comes back, and what programs are told."""
import os
import shutil
import stat
import time

import pytest
from instance import Instance, wait_for


class Host(Instance):
    """An instance with two users of users/assign, joe and the alias user, whose homes the tests fill."""

    def __init__(self, control=None, services=("send", "smtpd")):
        super().__init__(control, services)
        self.joe, self.alias = self.uid + 1, self.uid + 2
        rows = []
        for name, uid in (("joe", self.joe), ("alias", self.alias)):
            os.mkdir(self.home(name), 0o700)
            os.chown(self.home(name), uid, uid)
        rows += [f"=joe:joe:{self.joe}:{self.joe}:{self.home('joe')}:::", f"+joe-:joe:{self.joe}:{self.joe}:{self.home('joe')}:-::"]
        rows += [f"+:alias:{self.alias}:{self.alias}:{self.home('alias')}:-::"]
        self.control("users/assign", rows + ["."])

    def home(self, name="joe"):
        return self.path("home." + name)

    def put(self, name, text, mode=0o600, user="joe"):
        path = os.path.join(self.home(user), name)
        with open(path, "wb") as f:
            f.write(text if isinstance(text, bytes) else text.encode())
        os.chmod(path, mode)
        uid = getattr(self, user)
        os.chown(path, uid, uid)
        return path

    def empty(self):
        """Maildirs stay, since local may have them open."""
        for user in ("joe", "alias"):
            os.chmod(self.home(user), 0o700)
            for base, dirs, files in os.walk(self.home(user), topdown=False):
                for name in files:
                    os.unlink(os.path.join(base, name))
                for name in dirs:
                    path = os.path.join(base, name)
                    if os.path.islink(path):
                        os.unlink(path)

    def submit(self, *recipients, sender="you@sender.test", content=b"Subject: x\r\n\r\nx\r\n"):
        with self.connect() as s:
            s.ehlo()
            s.transaction(sender, recipients)
            assert s.data(content + b".\r\n")[0] == 250

    def mails(self, maildir="Maildir", user="joe"):
        new = os.path.join(self.home(user), maildir, "new")
        out = []
        for name in sorted(os.listdir(new)) if os.path.isdir(new) else []:
            with open(os.path.join(new, name), "rb") as f:
                out.append(f.read())
        return out

    def wait_mails(self, n, maildir="Maildir", user="joe"):
        wait_for(lambda: len(self.mails(maildir, user)) >= n, 15, f"{n} messages in {maildir} of {user}")
        return self.mails(maildir, user)

    def wait_line(self, *words, since=0):
        """A line of the log of send that has all these words."""
        return wait_for(lambda: next((x for x in self.log("send")[since:].splitlines() if all(w in x for w in words)), None), 15,
                        f"a line with {words}")

    def read(self, name, user="joe"):
        with open(os.path.join(self.home(user), name), "rb") as f:
            return f.read()


@pytest.fixture(scope="module")
def shared():
    with Host() as h:
        yield h


@pytest.fixture
def host(shared):
    for path in shared.queued():
        shared.postern("queue", "-R", shared.path("run"), "delete", os.path.basename(path))
    wait_for(lambda: not shared.queued(), 15, "the end of earlier messages")
    shared.empty()
    return shared


def test_without_a_file_a_user_gets_the_default_delivery(host):
    host.submit("joe@example.test")
    assert b"Delivered-To: joe@example.test\n" in host.wait_mails(1)[0]


def test_lines_are_carried_out_in_order_and_forwards_are_one_message(host):
    host.put(".qmail", "# comment\n./Maildir/\n&alice@example.test\nbob@example.test\n|cat > seen; echo \"$SENDER $RECIPIENT\" >> seen\n./mbox\n")
    before = set(host.mailbox("alice"))
    host.submit("joe@example.test")
    host.wait_mails(1)
    wait_for(lambda: set(host.mailbox("alice")) - before)
    wait_for(lambda: not host.queued())
    assert host.read("seen").endswith(b"\nx\nyou@sender.test joe@example.test\n")
    assert host.read("mbox").startswith(b"From you@sender.test ")
    with open((set(host.mailbox("alice")) - before).pop(), "rb") as f:
        text = f.read()
    assert text.index(b"Delivered-To: alice@example.test") < text.index(b"Delivered-To: joe@example.test") < text.index(b"Subject: x")
