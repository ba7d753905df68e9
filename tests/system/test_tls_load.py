"""Many handshakes and logins at the same moment: none fails, at no service, and who holds descriptors in one service stops none in another.
POSTERN_LOAD=400 is the full load, run by hand; ./check takes less."""
import hashlib
import os
import resource
import selectors
import socket
import ssl
import subprocess
import sys
import time

import pytest
from instance import BIN, wait_for, free_port
from pop3_rig import PASSWORD, Client, Pop3
from tls_rig import Certificates, context
from ucspi_rig import PROGRAM_UID, Served

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
N = int(os.environ.get("POSTERN_LOAD", "20" if "asan" in BIN else "80"))
LOGINS = 30
PATIENCE = 20 + N / 4
SERVICES = ("smtpd", "submission", "smtps", "pop3", "pop3s")
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    c = Certificates(str(tmp_path_factory.mktemp("load")))
    c.issue("p256", "DNS:mx.example.test,DNS:localhost")
    return c


class House(Pop3):
    def __init__(self, c):
        self.ports = {s: free_port() for s in ("smtpd", "submission", "smtps")}
        tls = [f"CERTFILE={c.path('p256.pem')}", f"KEYFILE={c.path('p256.key')}"]
        control = {f"{s}/variables": tls for s in self.ports}
        control |= {f"{s}/listen": f"127.0.0.1:{p}" for s, p in self.ports.items()}
        control |= {f"{s}/concurrency{limit}": "500" for s in self.ports for limit in ("address", "network", "incoming")}
        super().__init__(c, control, services=("send", *SERVICES))
        self.ports |= {"pop3": self.pop3_port, "pop3s": self.pop3s_port}
        self.port = self.ports["smtpd"]

    def greets(self, service):
        if service == "send":
            return True
        if service in ("pop3", "pop3s"):
            return super().greets(service)
        return handshakes(self, service, 1) == []


@pytest.fixture(scope="module")
def house(certificates):
    with House(certificates) as i:
        i.fill("alice", 1)
        yield i


STARTS = {"smtpd": b"STARTTLS\r\n", "submission": b"STARTTLS\r\n", "pop3": b"STLS\r\n"}


def said(s, end=b"\r\n"):
    """What comes until the end of a line, or of the reply to EHLO."""
    text = b""
    while not text.endswith(b"\r\n") or text.splitlines()[-1][3:4] == b"-":
        more = s.recv(4096)
        if not more:
            raise EOFError(f"closed after {text!r}")
        text += more
    return text


def connected(port, service, n):
    """n connections, of which each has said what comes before the handshakes."""
    out = []
    for k in range(n):
        s = socket.socket()
        s.settimeout(PATIENCE)
        s.bind((f"127.0.{k % 50}.1", 0))
        s.connect(("127.0.0.1", port))
        out.append(s)
    for s in out if service in STARTS else ():
        said(s)
        if service != "pop3":
            s.sendall(b"EHLO x.test\r\n")
            said(s)
    for s in out if service in STARTS else ():
        s.sendall(STARTS[service])
    for s in out if service in STARTS else ():
        said(s)
    return out


def shake_all(plain, how):
    """All handshakes at the same time; those that are done, and what became of the others."""
    waiting, done, failures, end = selectors.DefaultSelector(), [], [], time.monotonic() + PATIENCE
    for s in plain:
        s.setblocking(False)
        t = how.wrap_socket(s, server_hostname="mx.example.test", do_handshake_on_connect=False)
        waiting.register(t, selectors.EVENT_READ | selectors.EVENT_WRITE)
    while waiting.get_map() and time.monotonic() < end:
        for key, _ in waiting.select(1):
            try:
                key.fileobj.do_handshake()
                done.append(key.fileobj)
                waiting.unregister(key.fileobj)
            except ssl.SSLWantReadError:
                waiting.modify(key.fileobj, selectors.EVENT_READ)
            except ssl.SSLWantWriteError:
                waiting.modify(key.fileobj, selectors.EVENT_WRITE)
            except OSError as e:
                failures.append(repr(e))
                waiting.unregister(key.fileobj)
    return done, failures + ["not done in time"] * len(waiting.get_map())


def handshakes(house, service, n):
    """What failed of n at once; the sessions go on in TLS."""
    try:
        plain = connected(house.ports[service], service, n)
    except (OSError, EOFError) as e:
        return [repr(e)]
    done, failures = shake_all(plain, context(house.certificates))
    for t in done:
        t.setblocking(True)
        t.settimeout(PATIENCE)
        try:
            if service in ("smtps", "pop3s"):
                said(t)
            t.sendall(b"NOOP\r\n" if service in ("smtpd", "submission", "smtps") else b"CAPA\r\n")
            if said(t)[:3] not in (b"250", b"+OK"):
                failures.append("another reply")
        except (OSError, EOFError) as e:
            failures.append(repr(e))
        t.close()
    for s in plain:
        s.close()
    return failures


@pytest.mark.parametrize("service", SERVICES)
def test_no_handshake_of_many_at_once_fails(house, service):
    assert handshakes(house, service, N) == []
    assert "descriptors-crowded" not in house.log(service)


def test_no_handshake_of_many_at_once_fails_at_sslserver(certificates):
    environment = {"CERTFILE": certificates.path("p256.pem"), "KEYFILE": certificates.path("p256.key")}
    with Served("sslserver", ["-HRlx", "-c", str(2 * N), "-b", "1000", "-u", str(PROGRAM_UID), "-g", str(PROGRAM_UID)], ["cat"], environment) as served:
        plain = connected(served.port, "sslserver", N)
        done, failures = shake_all(plain, context(certificates))
        assert failures == [], served.log()[-3000:]
        for t in done:
            t.setblocking(True)
            t.settimeout(PATIENCE)
            t.sendall(b"back\r\n")
        assert [said(t) for t in done] == [b"back\r\n"] * N
        for t in done:
            t.close()
        assert "crowded" not in served.log()


def test_no_login_of_many_at_once_fails(house):
    """APOP: each passes the session on to a user's own process."""
    clients = [Client(house.pop3_port, "127.0.0.2", PATIENCE) for _ in range(LOGINS)]
    greetings = [c.line() for c in clients]
    for c, greeting in zip(clients, greetings):
        challenge = b"<" + greeting.partition(b"<")[2]
        digest = hashlib.md5(challenge + PASSWORD.encode()).hexdigest()
        c.send(f"APOP alice@example.test {digest}\r\n".encode())
    assert [c.line()[:3] for c in clients] == [b"+OK"] * LOGINS
    for c in clients:
        c.send(b"STAT\r\n")
    assert [c.line() for c in clients] == [clients_first(house)] * LOGINS
    for c in clients:
        c.socket.close()


def clients_first(house):
    size = sum(os.path.getsize(house.maildir("alice", f"{d}/{n}")) + n_lines(house.maildir("alice", f"{d}/{n}"))
               for d in ("new", "cur") for n in os.listdir(house.maildir("alice", d)))
    return f"+OK 1 {size}".encode()


def n_lines(path):
    with open(path, "rb") as f:
        return f.read().count(b"\n")


# ---- descriptors that somebody holds ----

HOLDER = """
import array, os, resource, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (20000, 20000))
os.setgroups([]), os.setgid(int(sys.argv[1])), os.setuid(int(sys.argv[1]))
ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
held = 0
while held < 12000:
    ours.setblocking(False)
    try:
        held += 253 * (ours.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [2] * 253))]) > 0)
    except BlockingIOError:
        more = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        kept = globals().setdefault("kept", []) + [ours, its]
        globals()["kept"], (ours, its) = kept, more
print(held, flush=True)
sys.stdin.read()
"""


class Holder:
    """A process with that uid and descriptors in messages that nobody reads."""

    def __init__(self, uid):
        self.process = subprocess.Popen([sys.executable, "-c", HOLDER, str(uid)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self):
        assert int(self.process.stdout.readline()) >= 12000
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(20)


def test_descriptors_that_a_front_end_holds_stop_nobody(house):
    """Neither in its service nor in another."""
    with Holder(house.users["smtpd-smtpd"]), Holder(house.users["pop3d-pop3"]):
        for service in SERVICES:
            assert handshakes(house, service, 10) == [], service


def test_descriptors_that_all_users_of_a_service_hold_stop_no_other_service(house):
    held = [Holder(uid) for name, uid in house.users.items() if name.endswith("-smtpd")]
    try:
        for h in held:
            h.__enter__()
        for service in SERVICES[1:]:
            assert handshakes(house, service, 5) == [], service
        before = house.pids("smtpd")
        with socket.create_connection(("127.0.0.1", house.port)) as waits:  # listen waits with it, and says so
            wait_for(lambda: "event=descriptors-crowded" in house.log("smtpd"), what="a line about it")
            for h in held:
                h.__exit__()
            waits.settimeout(PATIENCE)
            assert said(waits)[:3] == b"220"  # nothing is lost: it goes on
        assert house.pids("smtpd") == before, "no process has ended of it"
    finally:
        for h in held:
            if h.process.poll() is None:
                h.__exit__()
