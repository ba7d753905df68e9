"""Clients that people use, killed in the middle of fetching: whatever the moment, each message is with the server or with the client, whole,
and the next run brings the rest."""
import base64
import concurrent.futures
import contextlib
import os
import selectors
import socket
import subprocess
import threading

import pytest
from instance import wait_for
from pop3_rig import PASSWORD, Pop3
from tls_rig import Certificates

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
MESSAGES, LINES = 4, 300
BEFORE = 3500  # octets of handshake, greeting and lists that a client hears before the first message, about
HOLD_AT = [0.02, 0.4, 0.75, 0.99]  # of the messages' octets: near the beginning, within two, near the end


@pytest.fixture(scope="module")
def pop3(tmp_path_factory):
    certificates = Certificates(str(tmp_path_factory.mktemp("tls")))
    certificates.issue("p256", "DNS:mx.example.test,DNS:localhost")
    users = [f"u{n}" for n in range(len(HOLD_AT))]
    clear = "clear=" + base64.b64encode(PASSWORD.encode()).decode()
    with Pop3(certificates, {"virtualusers": [f"{u}@example.test:{u}/Maildir" for u in users],
                             "passwords": [f"{u}@example.test:{clear}" for u in users]}) as i:
        yield i


class Wire:
    """Between client and server: lets so many octets of the server through, then holds everything back."""

    def __init__(self, port, octets):
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port, self.left, self.to = self.listening.getsockname()[1], octets, port
        self.held, self.over = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        client, _ = self.listening.accept()
        with client, socket.create_connection(("127.0.0.1", self.to)) as server, selectors.DefaultSelector() as s:
            s.register(client, selectors.EVENT_READ, server)
            s.register(server, selectors.EVENT_READ, client)
            with contextlib.suppress(OSError):
                self.carry(s, server)
            self.held.set()
            self.over.wait(60)

    def carry(self, s, server):
        while True:
            for key, _ in s.select():
                octets = key.fileobj.recv(4096)
                if not octets:
                    return
                if key.fileobj is server:
                    octets = octets[:self.left]
                    self.left -= len(octets)
                key.data.sendall(octets)
                if self.left == 0:
                    return

    def close(self):
        self.over.set()
        self.listening.close()
        self.thread.join(60)


def mpop(pop3, user, service, port, keep, place):
    return ["mpop", "-C", "/dev/null", "--host=127.0.0.1", f"--port={port}", f"--user={user}@example.test",
            f"--passwordeval=printf '%s\\n' '{PASSWORD}'", "--auth=plain", "--tls=on", f"--tls-starttls={'off' if service == 'pop3s' else 'on'}",
            f"--tls-trust-file={pop3.certificates.path('ca.pem')}", "--tls-host-override=mx.example.test", "--tls-crl-file=",
            f"--keep={'on' if keep else 'off'}", f"--uidls-file={place}/uidls", "--half-quiet", f"--delivery=maildir,{place}/maildir",
            "--received-header=off"]


def fetchmail(pop3, user, service, port, keep, place):
    rc = place / f"rc{port}"
    ssl = "ssl" if service == "pop3s" else "no ssl sslproto 'auto'"
    rc.write_text(f"poll 127.0.0.1 protocol pop3 port {port} uidl\n user '{user}@example.test' password '{PASSWORD}' "
                  f"{'keep' if keep else 'no keep'} {ssl} sslcertck sslcertfile '{pop3.certificates.path('ca.pem')}'\n"
                  f" sslcommonname mx.example.test mda 'n={place}/maildir/tmp/$$ && cat > $n && mv $n {place}/maildir/new/'\n")
    rc.chmod(0o600)
    return ["fetchmail", "-f", str(rc), "-i", str(place / "ids"), "--pidfile", str(place / "pid"), "--nosyslog", "--nodetach"]


def curl(pop3, user, service, port, keep, place):
    """Each message into a file, or each deleted: curl has a command for one of these."""
    words = ["curl", "-sS", "--ssl-reqd", "--cacert", pop3.certificates.path("ca.pem"), "--resolve", f"mx.example.test:{port}:127.0.0.1",
             "-u", f"{user}@example.test:{PASSWORD}"]
    for n in range(1, MESSAGES + 1):
        url = f"{service}://mx.example.test:{port}/{n}"
        words += ["-o", f"{place}/maildir/new/{n}", url] if keep else ["-X", "DELE", "-l", "-o", os.devnull, url]
    return words


CLIENTS = {"mpop": mpop, "fetchmail": fetchmail, "curl": curl}


def run(words, place, wire=None):
    """Its exit status; None if it was killed where the wire holds."""
    client = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, process_group=0,
                              env={**os.environ, "HOME": str(place), "FETCHMAILHOME": str(place)})
    if wire is None:
        text = client.communicate(timeout=60)[0]
        assert client.returncode in (0, 1), text  # fetchmail: 1 is nothing new
        return
    assert wire.held.wait(60)
    client.kill()
    client.communicate()
    wire.close()


def fetched(place, texts):
    """Numbers of the messages that the client has, whole."""
    new = place / "maildir" / "new"
    have = [p.read_bytes().replace(b"\r\n", b"\n") for p in new.iterdir()]
    return {n for n, text in enumerate(texts) if any(h.endswith(text[text.index(b"\n\n"):]) for h in have)}


def left(pop3, user):
    return {int(name.split(".")[0]) - 1700000000 for name in pop3.stored(user)}


def nobody_has(pop3, service, user):
    """Whether no process shows the mailbox."""
    lspawn = pop3.pids(service)["lspawn"]
    with open(f"/proc/{lspawn}/task/{lspawn}/children") as f:
        return all(there(pid) != pop3.maildir(user)[:-1] for pid in f.read().split())


def there(pid):
    try:
        return os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return None


def one(pop3, name, service, keep, share, user, place):
    for d in "tmp", "new", "cur":
        (place / "maildir" / d).mkdir(parents=True)
    texts = []
    for n in range(MESSAGES):
        texts.append(f"Subject: message {n}\nFrom: x@y.test\n\n".encode() + f"{n} text\n".encode() * LINES)
        pop3.put(user, f"{1700000000 + n}.M1P1Q{n}R1.host", texts[-1])
    port = pop3.pop3s_port if service == "pop3s" else pop3.pop3_port
    answers = name == "curl" and not keep  # and no messages
    wire = Wire(port, int(share * BEFORE) if answers else BEFORE + int(share * sum(map(len, texts))))
    run(CLIENTS[name](pop3, user, service, wire.port, keep, place), place, wire)
    wait_for(lambda: not wire.thread.is_alive() and nobody_has(pop3, service, user), 20, "the end of the session")
    everything = set(range(MESSAGES))
    if answers:
        assert left(pop3, user) in (everything, set())  # deletion is at QUIT
        fetched_before = everything
    else:
        fetched_before = fetched(place, texts)
    assert left(pop3, user) | fetched_before == everything
    assert not keep or left(pop3, user) == everything
    if left(pop3, user):
        run(CLIENTS[name](pop3, user, service, port, keep, place), place)
    assert answers or fetched(place, texts) == everything
    assert left(pop3, user) == (everything if keep else set())
    return len(fetched_before)


@pytest.mark.parametrize("keep", [True, False], ids=["keeping", "deleting"])
@pytest.mark.parametrize("service", ["pop3", "pop3s"])
@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_that_is_killed_loses_nothing(pop3, name, service, keep, tmp_path):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        runs = [pool.submit(one, pop3, name, service, keep, share, f"u{n}", tmp_path / str(n)) for n, share in enumerate(HOLD_AT)]
        had = [r.result() for r in runs]
    assert name == "curl" and not keep or had[0] < had[-1] and had[1] < MESSAGES  # it was in the middle
    subprocess.run(["rm", "-rf", *[pop3.path(f"mail/u{n}") for n in range(len(HOLD_AT))]], check=True)
