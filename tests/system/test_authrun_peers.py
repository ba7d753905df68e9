"""Those who know passwords and that nobody here wrote: the checkpassword programs of Debian's package checkpw, and Dovecot's auth, which is
unpacked, never installed, and runs in a mount namespace of its own."""
import ctypes
import glob
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile

import pytest
from authrun_rig import PASSWORD, House, b64
from instance import wait_for
from peers_rig import unpack

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 4096, 16384, 1 << 18


class OwnPasswd:
    """Whoever joins sees another /etc/passwd: checkpw looks up who the user is."""

    def __init__(self, path):
        self.path = path

    def join(self):
        if LIBC.unshare(CLONE_NEWNS) or LIBC.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) or \
                LIBC.mount(self.path.encode(), b"/etc/passwd", None, MS_BIND, None):
            raise OSError(ctypes.get_errno(), "a passwd of its own")


def checkpw_house(root, passwd, program):
    def control(i):
        for user, password in (("alice", PASSWORD), ("bob", "another")):
            os.makedirs(i.path(f"home/{user}/Maildir"))
            with open(i.path(f"home/{user}/Maildir/.password"), "w") as f:
                f.write(password + "\n")
            os.chown(i.path(f"home/{user}/Maildir/.password"), i.authrun, i.authrun)
            os.chmod(i.path(f"home/{user}/Maildir/.password"), 0o600)  # checkpw wants it to be the user's: all have authrun's uid
        with open(passwd, "w") as f:
            f.write("root:x:0:0:root:/root:/bin/sh\n" + "".join(f"{u}:x:{i.authrun}:{i.authrun}::{i.path('home/' + u)}:/bin/sh\n" for u in ("alice", "bob")))
        return {"checkpassword": f"{root}/usr/bin/{program} /bin/true", "envnoathost": "example.test"}
    return House(control, ("send", "submission", "pop3"), network=OwnPasswd(passwd))


@pytest.fixture(scope="module")
def checkpw_root():
    root = tempfile.mkdtemp(prefix="pc.")
    os.chmod(root, 0o755)  # pytest's own are 700: authrun's user executes what is there
    unpack(root, "checkpw")
    yield root
    shutil.rmtree(root)


def pop3_login(house, name, password):
    with house.session("pop3") as s:
        assert s.pop3(f"USER {name}").startswith(b"+OK")
        return s.pop3(f"PASS {password}")


def test_checkpw_by_smtp_and_pop3(checkpw_root, tmp_path):
    with checkpw_house(checkpw_root, str(tmp_path / "passwd"), "checkpw") as house:
        assert house.login("alice")[0] == 235
        house.wait_log("event=authenticated .*user=alice\\s")
        assert house.login("alice", "another")[0] == 535
        assert house.login("carol")[0] == 535
        assert house.login("bob", "another")[0] == 235
        with house.smtp() as s:
            assert s.say("AUTH LOGIN " + b64("alice"))[0] == 334
            assert s.say(b64(PASSWORD))[0] == 235
            s.transaction("alice@example.test", ("bob@example.test",))
            assert s.data(b"Subject: x\r\n\r\nby checkpw\r\n.\r\n")[0] == 250
        assert b"by checkpw" in house.wait_messages(1, "bob")[0]
        assert pop3_login(house, "bob", "another").startswith(b"+OK")
        assert pop3_login(house, "bob", PASSWORD).startswith(b"-ERR [AUTH]")


def test_checkapoppw_by_apop(checkpw_root, tmp_path):
    with checkpw_house(checkpw_root, str(tmp_path / "passwd"), "checkapoppw") as house:
        for password, good in ((PASSWORD, True), ("wrong", False)):
            with house.session("pop3") as s:
                stamp = s.greeting[s.greeting.index(b"<"):s.greeting.index(b">") + 1]
                digest = hashlib.md5(stamp + password.encode()).hexdigest()
                assert s.pop3(f"APOP alice {digest}").startswith(b"+OK" if good else b"-ERR [AUTH]")
        with house.session("pop3") as s:
            assert s.pop3("APOP alice nodigest").startswith(b"-ERR")
        assert "process-ended" not in house.log()


# ---- Dovecot ----


CONFIGURATION = """
protocols =
base_dir = {dir}/run
state_dir = {dir}/state
log_path = {dir}/log
default_login_user = nobody
default_internal_user = daemon
default_internal_group = daemon
ssl = no
auth_failure_delay = 0
passdb {{
  driver = passwd-file
  args = {dir}/disabled
  deny = yes
}}
passdb {{
  driver = passwd-file
  args = {dir}/passwords/%d
}}
service auth {{
  unix_listener {dir}/auth {{
    mode = 0666
  }}
}}
"""


def family(pid):
    out = [pid]
    for task in glob.glob(f"/proc/{pid}/task/*/children"):
        with open(task) as f:
            for child in f.read().split():
                out += family(int(child))
    return out


class Dovecot:
    def __init__(self, root):
        self.dir = tempfile.mkdtemp(prefix="pd.")
        os.chmod(self.dir, 0o755)
        os.mkdir(self.path("state"))
        self.root, self.process = root, None
        os.mkdir(self.path("passwords"))
        lines = [f"alice@example.test:{{PLAIN}}{PASSWORD}", f"closed@example.test:{{PLAIN}}{PASSWORD}",
                 f"nick@example.test:{{PLAIN}}{PASSWORD}::::::user=bob@example.test", f"odd@example.test:{{PLAIN}}{PASSWORD}::::::user=bob@",
                 f"shut@example.test:{{PLAIN}}{PASSWORD}::::::nologin"]
        for name, text in (("conf", CONFIGURATION.format(dir=self.dir)), ("disabled", "closed@example.test\n"),
                           ("passwords/example.test", "\n".join(lines) + "\n"), ("passwords/trouble.test", "")):
            with open(self.path(name), "w") as f:
                f.write(text)
        os.chmod(self.path("passwords/trouble.test"), 0)  # Dovecot's auth is not root

    def path(self, name):
        return os.path.join(self.dir, name)

    def start(self):
        script = f"mount -t overlay overlay -o lowerdir={self.root}/usr:/usr /usr && exec /usr/sbin/dovecot -F -c {self.path('conf')}"
        with open(self.path("out"), "ab") as out:
            self.process = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sh", "-c", script], stdout=out, stderr=out,
                                            stdin=subprocess.DEVNULL)
        wait_for(lambda: os.path.exists(self.path("auth")) and self.process.poll() is None, 20, f"Dovecot ({open(self.path('out')).read()})")

    def stop(self):
        """And its auth, which would go on for clients that it has."""
        if self.process is not None:
            all_of_it = family(self.process.pid)
            self.process.terminate()
            self.process.wait(20)
            self.process = None
            for pid in all_of_it[1:]:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        if os.path.lexists(self.path("auth")):
            os.unlink(self.path("auth"))


@pytest.fixture(scope="module")
def dovecot(tmp_path_factory):
    root = str(tmp_path_factory.mktemp("dovecot"))
    unpack(root, "dovecot-core", "libsodium23", "libunwind8")
    d = Dovecot(root)
    try:
        d.start()
        yield d
    finally:
        d.stop()
        shutil.rmtree(d.dir, ignore_errors=True)


@pytest.fixture(scope="module")
def house(dovecot):
    with House(lambda i: {"dovecotauth": dovecot.path("auth"), "programseconds": "10"}, ("send", "submission", "pop3")) as i:
        yield i
        assert "process-ended" not in i.log()


def test_dovecot_knows_a_password(house):
    assert house.login("alice@example.test")[0] == 235
    assert house.login("ALICE@example.test")[0] == 235
    assert house.login("alice@example.test", "wrong")[0] == 535
    house.wait_log('event=auth-failed .*user=alice@example.test why="Dovecot says no')
    assert house.login("nobody@example.test")[0] == 535
    assert house.login("closed@example.test")[0] == 535, "disabled there"
    assert house.login("shut@example.test")[0] == 535, "the password is right, and nobody is let in by it"
    assert pop3_login(house, "alice@example.test", PASSWORD).startswith(b"+OK")


def test_the_name_that_dovecot_gives_is_the_name(house):
    with house.smtp() as s:
        assert s.say("AUTH PLAIN " + b64(f"\0nick@example.test\0{PASSWORD}"))[0] == 235
        s.transaction("bob@example.test", ("alice@example.test",))
        assert s.data(b"Subject: x\r\n\r\nfrom nick\r\n.\r\n")[0] == 250
    house.wait_log("event=authenticated .*user=bob@example.test")


def test_what_can_be_no_name_is_none(house):
    assert house.login("odd@example.test")[0] == 454
    house.wait_log("event=auth-trouble .*user=odd@example.test")


def test_a_trouble_of_dovecot_is_temporary(house):
    assert house.login("anybody@trouble.test")[0] == 454
    house.wait_log('why="Dovecot has a trouble')


def test_what_would_end_a_line_of_its_protocol_ends_none(house):
    for name, password in (("a\tuser=bob@example.test", "x"), ("alice@example.test", "x\tuser=bob\nOK\t1\tuser=bob\n"), ("alice@example.test", "\x01" * 300)):
        assert house.login(name, password)[0] in (501, 535)
    assert house.login("alice@example.test")[0] == 235


def test_dovecot_goes_and_comes_again(house, dovecot):
    assert house.login("alice@example.test")[0] == 235
    dovecot.stop()
    assert house.login("alice@example.test")[0] == 454
    assert pop3_login(house, "alice@example.test", PASSWORD).startswith(b"-ERR [SYS/TEMP]")
    house.wait_log("process=authrun .*event=dovecot ")
    dovecot.start()
    wait_for(lambda: house.login("alice@example.test")[0] == 235, 20, "a login")
    assert wait_for(lambda: pop3_login(house, "alice@example.test", PASSWORD).startswith(b"+OK"), 20)
