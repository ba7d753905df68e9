"""A mail server for tests: takes SMTP on a loopback port, keeps what came, and does what it is told to do wrong.

    with Sink(ehlo=["PIPELINING"], on={"RCPT": lambda s, arg: b"550 5.1.1 no\\r\\n"}) as sink: … sink.port, sink.messages

strict: refuses octets that came before their time, as Exim does: PIPELINING was not offered, or the verb is one that ends a group. A connection's
early has them.

on: per verb (also GREETING, DOT for the end of DATA, CHUNK for BDAT) a reply as octets, None for the usual one, b"" for none, CLOSE to hang up,
or a function (connection, argument) that returns one of these. tls: an ssl.SSLContext for STARTTLS; implicit: TLS at once."""
import base64
import contextlib
import select
import socket
import ssl
import threading

CLOSE = object()


class Message:
    def __init__(self, sender, recipients, content, connection):
        self.sender, self.recipients, self.content = sender, recipients, content
        self.connection = connection.number
        self.tls = connection.secure
        self.certificate = connection.certificate
        self.helo, self.peer = connection.helo, connection.peer
        self.mail_line, self.rcpt_lines = connection.mail_line, list(connection.rcpt_lines)


class Connection(threading.Thread):
    def __init__(self, sink, sock, number):
        super().__init__(daemon=True)
        self.sink, self.socket, self.number = sink, sock, number
        self.buffer, self.secure, self.certificate = b"", None, None
        self.helo = self.sender = self.mail_line = self.user = self.peer = None
        self.recipients, self.rcpt_lines, self.commands, self.content = [], [], [], b""

    def say(self, data):
        self.socket.sendall(data)

    def fill(self):
        more = self.socket.recv(65536)
        if not more:
            raise EOFError
        self.buffer += more

    def line(self):
        while b"\r\n" not in self.buffer:
            self.fill()
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def exactly(self, n):
        while len(self.buffer) < n:
            self.fill()
        data, self.buffer = self.buffer[:n], self.buffer[n:]
        return data

    def secured(self):
        self.socket = self.sink.tls.wrap_socket(self.socket, server_side=True)
        self.buffer = b""
        self.secure = self.socket.version()
        self.certificate = self.socket.getpeercert(True)
        self.sink.handshakes.append((self.secure, self.certificate))

    def is_synchronised(self, verb):
        """Whether the client waits for this reply, as it must. Gives octets that it sends ahead some time to come."""
        may_pipeline = "PIPELINING" in self.sink.ehlo and verb not in ("GREETING", "EHLO", "HELO", "STARTTLS", "AUTH", "DATA", "QUIT")
        if not self.sink.strict or may_pipeline or self.secure:
            return True
        if not self.buffer and select.select([self.socket], [], [], 0.02)[0]:
            self.buffer = self.socket.recv(65536)
        if self.buffer:
            self.sink.early.append((verb, self.buffer[:100]))
        return not self.buffer

    def answer(self, verb, argument, usual, before=None):
        """Says the reply to a verb, after before() if it is a good one; returns its first digit."""
        if not self.is_synchronised(verb):
            self.say(b"554 SMTP synchronization error\r\n")
            raise EOFError
        reply = self.sink.on.get(verb)
        if callable(reply):
            reply = reply(self, argument)
        if reply is CLOSE:
            raise EOFError
        if reply is None:
            reply = usual
        if before and reply[:1] == b"2":
            before()
        self.say(reply)
        return reply[:1]

    def ehlo_reply(self):
        words = [w for w in self.sink.ehlo if w != "STARTTLS"]
        if self.sink.tls and not self.secure:
            words.append("STARTTLS")
        lines = ["sink.test"] + words
        return "".join(f"250{'-' if i + 1 < len(lines) else ' '}{w}\r\n" for i, w in enumerate(lines)).encode()

    def data(self):
        content, line = [], self.line()
        while line != b".":
            content.append(line[1:] if line.startswith(b".") else line)
            line = self.line()
        return b"".join(line + b"\r\n" for line in content)

    def taken(self, content):
        self.sink.messages.append(Message(self.sender, self.recipients, content, self))
        self.sender, self.recipients, self.rcpt_lines, self.content = None, [], [], b""

    def auth(self, argument):
        words = argument.split(b" ")
        user = None
        if words[0].upper() == b"PLAIN":
            user = base64.b64decode(words[1]).split(b"\0")[1:]
        elif words[0].upper() == b"LOGIN":
            self.say(b"334 VXNlcm5hbWU6\r\n")
            name = base64.b64decode(self.line())
            self.say(b"334 UGFzc3dvcmQ6\r\n")
            user = [name, base64.b64decode(self.line())]
        self.sink.logins.append(user)
        self.answer("AUTH", argument, b"235 2.7.0 fine\r\n" if user else b"504 5.5.4 not known\r\n")

    def command(self, line):
        verb, _, argument = line.partition(b" ")
        verb = verb.upper().decode("latin-1")
        self.commands.append(line)
        self.sink.commands.append((self.number, line))
        if verb in ("EHLO", "HELO"):
            self.helo = argument
            self.answer(verb, argument, self.ehlo_reply() if verb == "EHLO" else b"250 sink.test\r\n")
        elif verb == "STARTTLS":
            if self.answer(verb, argument, b"220 go on\r\n") == b"2":
                if not self.sink.tls:
                    raise EOFError
                self.secured()
        elif verb == "AUTH":
            self.auth(argument)
        elif verb == "MAIL":
            if self.answer(verb, argument, b"250 2.1.0 fine\r\n") == b"2":
                self.sender, self.mail_line, self.recipients, self.rcpt_lines = argument, line, [], []
        elif verb == "RCPT":
            if self.answer(verb, argument, b"250 2.1.5 fine\r\n" if self.sender is not None else b"503 5.5.1 MAIL first\r\n") == b"2":
                self.recipients.append(argument)
                self.rcpt_lines.append(line)
        elif verb == "DATA":
            if self.answer(verb, argument, b"354 go on\r\n" if self.recipients else b"554 5.5.1 nobody\r\n") == b"3":
                content = self.data()
                self.answer("DOT", content, b"250 2.0.0 kept\r\n", lambda: self.taken(content))
                self.sender, self.recipients, self.rcpt_lines = None, [], []
        elif verb == "BDAT":
            words = argument.split()
            self.content += self.exactly(int(words[0]))
            self.answer("CHUNK", self.content, b"250 2.0.0 kept\r\n", (lambda: self.taken(self.content)) if len(words) > 1 else None)
        elif verb == "RSET":
            self.sender, self.recipients, self.content = None, [], b""
            self.answer(verb, argument, b"250 2.0.0 fine\r\n")
        elif verb == "QUIT":
            self.answer(verb, argument, b"221 2.0.0 bye\r\n")
            raise EOFError
        else:
            self.answer(verb, argument, b"500 5.5.2 what?\r\n")

    def run(self):
        try:
            self.peer = self.socket.getpeername()[0]
            if self.sink.implicit:
                self.secured()
            self.answer("GREETING", b"", b"220 sink.test ESMTP\r\n")
            while True:
                self.command(self.line())
        except (EOFError, OSError, ssl.SSLError, ValueError, IndexError) as e:
            self.sink.ends.append((self.number, repr(e)))
        finally:
            try:
                self.socket.close()
            except OSError:
                pass


class Sink(threading.Thread):
    def __init__(self, ehlo=("PIPELINING", "8BITMIME", "SIZE 10000000"), on=None, tls=None, implicit=False, address="127.0.0.1", port=0, network=None, strict=False):
        super().__init__(daemon=True)
        self.ehlo, self.on, self.tls, self.implicit, self.strict = list(ehlo), dict(on or {}), tls, implicit, strict
        self.early = []
        self.messages, self.commands, self.connections, self.ends, self.logins, self.handshakes = [], [], [], [], [], []
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with network.inside() if network else contextlib.nullcontext():
            self.socket = socket.create_server((address, port), family=family, backlog=512)
        self.port = self.socket.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                sock, _ = self.socket.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(60)
            c = Connection(self, sock, len(self.connections))
            self.connections.append(c)
            c.start()

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()
        for c in self.connections:
            try:
                c.socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
