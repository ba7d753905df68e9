"""An instance with the services pop3 and pop3s, its users, their Maildirs, and a POP3 client that sends what it is told."""
import base64
import os
import socket
import ssl

from instance import Instance, Session, free_port, wait_for

PASSWORD = "correct horse battery"
USERS = ["alice", "bob", "carol", "dave", "erin", "frank"]


class Pop3(Instance):
    def __init__(self, certificates, control=None, services=("pop3", "pop3s")):
        self.certificates = certificates
        self.pop3_port, self.pop3s_port = free_port(), free_port()
        tls = [f"CERTFILE={certificates.path('p256.pem')}", f"KEYFILE={certificates.path('p256.key')}"]
        clear = "clear=" + base64.b64encode(PASSWORD.encode()).decode()
        items = {
            "virtualusers": [f"{u}@example.test:{u}/Maildir" for u in USERS],
            "passwords": [f"{u}@example.test:{clear}" for u in USERS],
            "mechanisms": "PLAIN LOGIN CRAM-MD5 APOP",
            "pop3/listen": f"127.0.0.1:{self.pop3_port}",
            "pop3/variables": tls,
            "pop3/rules": ['127.0.0.2:allow,AUTHINCLEAR=""', "127.0.0.3:deny", '127.0.0.4:allow,CERTFILE="/nonexistent/x.pem"', ":allow"],
            "pop3s/listen": f"127.0.0.1:{self.pop3s_port}",
            "pop3s/variables": tls,
        }
        for s in "pop3", "pop3s":
            for limit in "address", "network", "incoming":
                items[f"{s}/concurrency{limit}"] = "1000"
        items.update(control or {})
        super().__init__(items, services=services)
        os.chmod(self.path("control/passwords"), 0o600)

    def __enter__(self):
        super().__enter__()
        try:
            wait_for(lambda: all(self.greets(s) for s in self.services), 20, "a POP3 greeting")
        except AssertionError:
            print(self.log())
            self.__exit__(None, None, None)
            raise
        return self

    def greets(self, service):
        try:
            with self.client(service) as c:
                return c.line().startswith(b"+OK")
        except (OSError, AttributeError):
            return False

    def client(self, service="pop3", address="127.0.0.1"):
        c = Client(self.pop3_port if service == "pop3" else self.pop3s_port, address)
        return c.secure(self.certificates) if service == "pop3s" else c

    def logged_in(self, user="alice", service="pop3s"):
        c = self.client(service)
        for reply in c.line(), c.say(f"USER {user}@example.test"), c.say("PASS " + PASSWORD):
            assert reply is not None and reply.startswith(b"+OK"), reply
        return c

    def maildir(self, user, name=""):
        return self.path(f"mail/{user}/Maildir/{name}")

    def put(self, user, name, text, place="new"):
        for d in "tmp", "cur", "new":
            os.makedirs(self.maildir(user, d), exist_ok=True)
        path = self.maildir(user, f"{place}/{name}")
        with open(path, "wb") as f:
            f.write(text if isinstance(text, bytes) else text.encode())
        self.give(user)
        return path

    def give(self, user):
        """To the owner of the mailboxes."""
        for base, dirs, files in os.walk(self.path("mail/" + user)):
            for name in [".", *files]:
                os.lchown(os.path.join(base, name), self.uid + 19, self.uid + 19)

    def fill(self, user, n, place="new", at=1700000000):
        texts = []
        for k in range(n):
            texts.append(f"Subject: message {k}\nFrom: x@y.test\n\n.line of {k}\n" + "text\n" * k)
            self.put(user, f"{at + k}.M1P1Q{k}R1.host" + (":2," if place == "cur" else ""), texts[-1], place)
        return [t.replace("\n", "\r\n").encode() for t in texts]

    def stored(self, user):
        """Unique names of what is in the Maildir."""
        return sorted(n.split(":")[0] for d in ("new", "cur") for n in os.listdir(self.maildir(user, d)))


class Client(Session):
    def __init__(self, port, address="127.0.0.1", timeout=15):
        self.socket = socket.socket()
        self.socket.settimeout(timeout)
        self.socket.bind((address, 0))
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def secure(self, certificates):
        from tls_rig import context
        assert self.buffer == b""
        self.socket = context(certificates).wrap_socket(self.socket, server_hostname="mx.example.test")
        return self

    def line(self):
        try:
            return super().line()
        except ssl.SSLError:  # the other side has gone without a word
            return None

    def say(self, command):
        """The first line of the answer."""
        self.send((command if isinstance(command, bytes) else command.encode()) + b"\r\n")
        return self.line()

    def lines(self):
        """The rest of an answer of many lines, dots taken away."""
        out = []
        while (line := self.line()) != b".":
            assert line is not None, out
            out.append(line[1:] if line.startswith(b".") else line)
        return out

    def ask(self, command):
        first = self.say(command)
        assert first.startswith(b"+OK"), first
        return self.lines()
