"""A private instance of Postern for a test: its own directory, port, uids and control items; started without a supervisor,
ended by pid. Needs root."""
import atexit
import functools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(TREE, os.environ.get("B", "build"))


def for_others(programs):
    """The directory of programs, or a copy of it if only root may come there: tests run some of them as other users."""
    if subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "test", "-x", f"{programs}/sendmail"]).returncode == 0:
        return programs
    place = tempfile.mkdtemp(prefix="pn.bin.")
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    os.chmod(place, 0o755)
    return shutil.copytree(programs, f"{place}/bin")


BIN = for_others(f"{BUILD}/bin")
FIRST_UID = 5000000  # of those that nobody has; each test process has a thousand, and a hundred more for each instance
_next = [0]


def own_uids():
    """The first of this process's thousand; the last hundred are no instance's."""
    return FIRST_UID + 1000 * (os.getpid() % 10000)


@functools.cache
def house_users(programs=BIN):
    """The users of the house, as the control file `uids` names them."""
    listed = subprocess.run([f"{programs}/postern", "plan", "--users"], capture_output=True, text=True, check=True).stdout
    return [line.split()[0] for line in listed.splitlines()]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(condition, seconds=20.0, what="it"):
    """Until it is true, and returns that. A condition that fails (a connection that is refused, an answer that is another one) is not true yet."""
    end, failure = time.monotonic() + seconds, None
    while time.monotonic() < end:
        try:
            value = condition()
        except (OSError, EOFError, AssertionError, IndexError, KeyError, ValueError) as e:
            value, failure = None, e
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"{what} did not happen in {seconds} s" + (f": {failure!r}" if failure else "")) from failure


class Instance:
    """`control` overrides control items: {"smtpd/databytes": "1000"}; a list is written as lines."""

    def __init__(self, control=None, services=("send", "smtpd"), parent="/tmp", network=None):
        self.dir = tempfile.mkdtemp(prefix="pn.", dir=parent)
        os.chmod(self.dir, 0o755)
        self.port = free_port()
        self.uid = own_uids() + 100 * (_next[0] % 9)  # the first twenty are the test's: 19 is the virtual user's
        self.users = {name: self.uid + 20 + i for i, name in enumerate(house_users())}
        _next[0] += 1
        self.services = list(services)
        self.network = network  # net.Network: where its processes live; else where the test does
        self.log_fd = None  # takes the place of the files that services log to
        self.wardens = {}
        self.domain = "example.test"
        items = {
            "me": "mx.example.test",
            "locals": ["example.test", "mx.example.test"],
            "systemusers": "no",
            "postmaster": "postmaster@example.test",
            "virtualuser": f"{self.uid + 19}:{self.uid + 19}:{self.path('mail')}",
            "virtualusers": ["alice@example.test:alice/Maildir", "bob@example.test:bob/Maildir", "postmaster@example.test:postmaster/Maildir"],
            "uids": [f"{name}:{uid}:{uid}" for name, uid in self.users.items()],
            "smtpd/listen": f"127.0.0.1:{self.port}",
            "smtpd/concurrencyaddress": "1000",
            "smtpd/concurrencynetwork": "1000",
            "smtpd/concurrencyincoming": "1000",
            "inject/listen": f"unix:{self.path('run/inject.socket')}",
            "submissionsocket": self.path("run/inject.socket"),
            "send/queuelifetime": "604800",
        }
        items.update(control or {})
        for name, value in items.items():
            if value is not None:
                self.control(name, value)
        os.mkdir(self.path("mail"), 0o700)
        os.chown(self.path("mail"), self.uid + 19, self.uid + 19)

    def path(self, name):
        return os.path.join(self.dir, name)

    def control(self, name, value):
        file = self.path("control/" + name)
        os.makedirs(os.path.dirname(file), exist_ok=True)
        with open(file, "wb") as f:
            text = value if isinstance(value, (str, bytes)) else "\n".join(value)
            f.write((text if isinstance(text, bytes) else text.encode()) + b"\n")

    def start(self, service):
        log = open(self.path(service + ".log"), "ab") if self.log_fd is None else os.fdopen(os.dup(self.log_fd), "wb")
        self.wardens[service] = subprocess.Popen(
            [f"{BIN}/warden", "-c", self.path("control"), "-R", self.path("run"), "-q", self.path("queue"), "-l", BIN, service],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, close_fds=True, preexec_fn=self.network.join if self.network else None,
        )
        log.close()

    def stop(self, service, how=signal.SIGTERM):
        warden = self.wardens.pop(service, None)
        if warden is not None:
            warden.send_signal(how)
            warden.wait(15)

    def answers(self):
        try:
            with self.connect() as s:
                return s.reply()[0] == 220
        except OSError:
            return False

    def __enter__(self):
        try:
            for service in self.services:
                self.start(service)
            if "smtpd" in self.services:
                wait_for(self.answers, 10, "an SMTP greeting")
            if "inject" in self.services:
                wait_for(lambda: os.path.exists(self.path("run/inject.pids")), 10, "the submission socket")
        except AssertionError:
            print(self.log())
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None:
            print(self.log()[-6000:])
        for service in list(self.wardens)[::-1]:
            self.stop(service)
        if kind is None or not os.environ.get("KEEP"):
            shutil.rmtree(self.dir, ignore_errors=True)

    def log(self, service=None):
        """What was logged; processes write the lines of one turn together, a moment after what they tell of."""
        time.sleep(0.1)
        text = ""
        for name in [service] if service else self.services:
            try:
                with open(self.path(name + ".log"), "rb") as f:
                    text += f.read().decode("utf-8", "backslashreplace")
            except FileNotFoundError:
                pass
        return text

    def connect(self, timeout=10, family=socket.AF_INET):
        if family == socket.AF_UNIX:
            return Session(family, self.path("run/inject.socket"), timeout)
        return Session(family, ("127.0.0.1", self.port), timeout)

    def connect_from(self, address, timeout=10):
        """From another loopback address."""
        return Session(socket.AF_INET, ("127.0.0.1", self.port), timeout, source=address)

    def mailbox(self, user="alice"):
        new = self.path(f"mail/{user}/Maildir/new")
        return sorted(os.path.join(new, n) for n in os.listdir(new)) if os.path.isdir(new) else []

    def messages(self, user="alice"):
        out = []
        for name in self.mailbox(user):
            with open(name, "rb") as f:
                out.append(f.read())
        return out

    def wait_messages(self, n, user="alice", seconds=15):
        wait_for(lambda: len(self.mailbox(user)) >= n, seconds, f"delivery of {n} messages to {user}")
        return self.messages(user)

    def wait_new(self, before, user="alice", seconds=15):
        """The message that came after the mailbox was as it was before."""
        (name, *_) = wait_for(lambda: [n for n in self.mailbox(user) if n not in before], seconds, f"a new message for {user}")
        with open(name, "rb") as f:
            return f.read()

    def queued(self):
        out = []
        for base, dirs, files in os.walk(self.path("queue")):
            if os.path.basename(base) in ("damaged",):
                continue
            out += [os.path.join(base, f) for f in files if len(f) == 11]
        return out

    def pids(self, service):
        """A service may serve a moment before warden has noted its processes."""
        out, path = {}, self.path(f"run/{service}.pids")
        wait_for(lambda: os.path.exists(path), 20, f"the processes of {service}")
        with open(path) as f:
            for line in f:
                words = line.split()
                out[words[0]] = int(words[1])
        return out

    def postern(self, *words):
        return subprocess.run([f"{BIN}/postern", *words], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)


class Session:
    """A hand-typed SMTP session: what is sent is sent as it is."""

    def __init__(self, family, address, timeout, source=None):
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        if source is not None:
            self.socket.bind((source, 0))
        self.socket.settimeout(timeout)
        self.socket.connect(address)
        if family != socket.AF_UNIX:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def line(self):
        """The next line without CRLF; None at the end."""
        while b"\r\n" not in self.buffer:
            try:
                more = self.socket.recv(65536)
            except ConnectionResetError:
                more = b""
            if not more:
                return None
            self.buffer += more
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def reply(self):
        """(code, text of all lines); (0, b"") at the end of the session."""
        text = []
        while True:
            line = self.line()
            if line is None:
                return 0, b"\n".join(text)
            assert line[:3].isdigit() and (len(line) == 3 or line[3:4] in b" -"), line
            text.append(line)
            if line[3:4] != b"-":
                return int(line[:3]), b"\n".join(text)

    def say(self, command):
        self.send((command if isinstance(command, bytes) else command.encode()) + b"\r\n")
        return self.reply()

    def ehlo(self):
        assert self.reply()[0] == 220
        code, text = self.say("EHLO client.test")
        assert code == 250
        return text

    def transaction(self, sender="you@sender.test", recipients=("alice@example.test",), parameters=""):
        assert self.say(f"MAIL FROM:<{sender}>{parameters}")[0] == 250
        for r in recipients:
            assert self.say(f"RCPT TO:<{r}>")[0] == 250

    def data(self, content):
        assert self.say("DATA")[0] == 354
        self.send(content)
        return self.reply()

    def is_over(self, seconds=5):
        """True if nothing more comes and the other side has closed."""
        self.socket.settimeout(seconds)
        try:
            return self.line() is None
        except (TimeoutError, socket.timeout):
            return False
