"""Plays `send` to a `remote` of the build, which runs confined as it does in the house: gives it a destination and messages, and
hears what became of them. The numbers and forms are those of lib/wire/send_remote.h."""
import contextlib
import fcntl
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile

from instance import BIN, own_uids

PEER, MESSAGE, RECIPIENTS, SECURED, NOT_SECURED, AUTH_SAID, RESULT, DONE, SECURE, AUTH = range(10)
DELIVERED, TEMPORARY, PERMANENT, UNTRIED = range(4)
NEVER, OPPORTUNISTIC, CERTIFICATE, MANDATORY, CA, WILDCARD, NAME, PIN = range(8)
SMTPUTF8, EIGHT_BIT = 1, 2
OF_RECIPIENT, OF_PEER, OF_US = 0, 1, 2
BLAME_US, BLAME_DEATH, BLAME_SILENCE, BLAME_PEER = range(4)
TF_FACTS = 1


def fields(*values):
    out = b""
    for v in values:
        v = v.encode() if isinstance(v, str) else v
        out += struct.pack("<H", len(v)) + v
    return out


def take_raw_fields(tail):
    out = []
    while tail:
        (n,) = struct.unpack_from("<H", tail)
        out.append(tail[2 : 2 + n])
        tail = tail[2 + n :]
    return out


def take_fields(tail):
    return [f.decode("utf-8", "replace") for f in take_raw_fields(tail)]


class Done:
    def __init__(self, ref, body, results):
        self.ref, self.results = ref, results
        v = struct.unpack_from("<3H6B4I", body)
        self.status, self.outcome, self.scope = "%d.%d.%d" % v[:3], v[3], v[4]
        self.duplicate, self.closing, self.dsn, self.from_peer = v[5:9]
        self.host, self.address, self.protocol, self.cipher, self.how, self.text = take_fields(body[28:])


class Remote:
    """The zygote. Ends only what it started. resolve: the door of one; network: where it lives; engine: an engine_rig.Engine."""

    def __init__(self, resolve=None, network=None, ports="any", engine=None):
        self.engine = engine
        self.dir = tempfile.mkdtemp(prefix="pr.")
        os.chmod(self.dir, 0o755)
        self.door, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        uid = str(own_uids() + 907)
        self.log_file = open(os.path.join(self.dir, "log"), "w+b")

        doorway = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        if resolve:
            doorway.connect(resolve)

        def place():
            at = {3: its, 4: doorway if resolve else None}
            fds = {i: fcntl.fcntl(s.fileno(), fcntl.F_DUPFD, 200) for i, s in at.items() if s}
            if network:
                network.join()
            os.closerange(3, 200)
            for i, fd in fds.items():
                os.dup2(fd, i, inheritable=True)
            os.closerange(200, 300)

        self.process = subprocess.Popen([f"{BIN}/remote", "-n", "send", "-u", uid, "-g", uid, "-r", self.dir, "-p", ports], preexec_fn=place, close_fds=False,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.log_file)
        its.close()
        doorway.close()

    def session(self):
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        socket.send_fds(self.door, [struct.pack("<HH4xQ12s", 0, 12, 0, b"1jtestconn01"[:11])], [its.fileno()])
        its.close()
        return Session(ours, self.engine)

    def log(self):
        self.log_file.flush()
        with open(self.log_file.name, "rb") as f:
            return f.read().decode("utf-8", "backslashreplace")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.door.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        self.log_file.close()
        shutil.rmtree(self.dir, ignore_errors=True)


class Session:
    def __init__(self, channel, engine=None):
        self.channel, self.n, self.results, self.engine, self.certificate = channel, 0, {}, engine, ""
        channel.settimeout(30)

    def say(self, kind, ref, body, fds=()):
        packet = struct.pack("<HH4xQ", kind, len(body), ref) + body
        if fds:
            socket.send_fds(self.channel, [packet], list(fds))
        else:
            self.channel.send(packet)

    def peer(self, port, relay="127.0.0.1", destination="example.com", helo="mx.example.test", tls=NEVER, auth=0, auth_plain=0, connect_ms=2000,
             idle_ms=5000, implicit=0, local="", own=(), dane=0, depth=0, by_policy=0, pin=b"", ca="", ciphers="", certificate="", bought=None):
        """bought: the certificate that signers are for, if it is another one."""
        self.shown, self.certificate = certificate, certificate if bought is None else bought
        body = struct.pack("<12sH10B64sII", b"1jtestconn01"[:11], port, 1 if relay else 0, tls, dane, implicit, depth, auth, auth_plain,
                           1 if certificate else 0, len(pin), by_policy, pin, connect_ms, idle_ms)
        self.demand = (tls, relay, destination, depth, idle_ms, pin, ca, ciphers)
        self.say(PEER, 0, body + fields(destination, relay, helo, local, ca, ciphers, certificate, fields(*own)))
        return self

    def message(self, content=b"Subject: x\r\n\r\nbody\r\n", to=("bob@example.com",), sender="alice@example.test", flags=0, trace=b"", envid="",
                notify=0, orcpt="", length=None):
        self.n += 1
        with tempfile.TemporaryFile() as f:
            f.write(b"head" + content)
            f.flush()
            fd = os.open(f"/proc/self/fd/{f.fileno()}", os.O_RDONLY)
        body = struct.pack("<12sII4xQQ", b"1jmessage01"[:11], flags, len(to), 4, len(content) if length is None else length)
        self.say(MESSAGE, self.n, body + fields(sender, envid, trace), [fd])
        os.close(fd)
        many = list(to)
        while many:
            part, many = many[:40], many[40:]
            self.say(RECIPIENTS, self.n, struct.pack("<II", len(part), 0) + b"".join(fields(t, orcpt, bytes([notify])) for t in part))
        return self.n

    def hear(self):
        """(type, ref, body, descriptors); None at the end."""
        packet, fds, _, _ = socket.recv_fds(self.channel, 9000, 4)
        if not packet:
            return None
        kind, _, ref = struct.unpack_from("<HH4xQ", packet)
        return kind, ref, packet[16:], fds

    def done(self):
        """The next message that is done; None if the session has ended."""
        while True:
            m = self.hear()
            if m is None:
                return None
            kind, ref, body, _ = m
            if kind == RESULT:
                i, *status, outcome = struct.unpack_from("<I3HB", body)
                self.results.setdefault(ref, {})[i] = (outcome, "%d.%d.%d" % tuple(status), body[12:].decode())
            elif kind == DONE:
                return Done(ref, body, self.results.pop(ref, {}))
            elif kind == SECURE and self.engine:
                self.secure(ref, body, m[3])
            elif kind == SECURE:
                os.close(m[3][0])
                self.say(NOT_SECURED, ref, bytes([1]) + bytes(7) + b"there is no engine")
            else:
                raise AssertionError(f"an unexpected message of type {kind}")

    def secure(self, ref, body, fds):
        """As send does it."""
        tls, relay, destination, depth, idle_ms, pin, ca, ciphers = self.demand
        dane, vouched, (host, known_as, tlsa) = body[0], body[1], take_raw_fields(body[8:])
        how = 7 if dane else (1, 1, 1, 1, 3, 4, 5, 6)[tls]
        server = "" if body[2] and how == 1 else host
        verify = 0 if how == 1 else 2
        names = [host] * bool(dane or vouched) + [known_as] * bool(dane and known_as) + [destination]
        cas = "" if how not in (3, 4, 5) else ca or "system"
        tail = fields("smtp", fields(self.shown) if self.shown else b"", cas, "", "", ciphers, server, fields(*names), tlsa if dane else b"")
        session = struct.pack("<12s4BIII2B64s2x", b"1jtestconn01"[:11], 1, verify, depth, 0, min(idle_ms, 300000), idle_ms, 0, how, len(pin) if how == 6 else 0, pin)
        (ours, plain), (facts, its_facts) = socket.socketpair(), socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        with ours, plain, facts, its_facts, contextlib.ExitStack() as stack:
            signer = stack.enter_context(self.engine.signer(self.certificate)) if self.certificate else stack.enter_context(socket.socketpair()[1])
            socket.send_fds(self.engine.tls, [struct.pack("<HH4xQ", 0, len(session) + len(tail), 0) + session + tail],
                            [fds[0], plain.fileno(), signer.fileno(), its_facts.fileno()])
            os.close(fds[0])
            its_facts.close()
            facts.settimeout(idle_ms / 1000 + 20)
            packet = facts.recv(9000)
            if packet and struct.unpack_from("<H", packet)[0] == TF_FACTS:
                said = take_raw_fields(packet[16 + 72 :])
                self.say(SECURED, ref, bytes([packet[16] != 0]) + bytes(7) + fields(said[0], said[1], said[8], said[9]), [ours.fileno()])
            else:
                blame = (BLAME_US, BLAME_SILENCE, BLAME_PEER)[packet[16]] if packet else BLAME_DEATH
                self.say(NOT_SECURED, ref, bytes([blame]) + bytes(7) + (packet[24:] or b"the TLS engine ended"))

    def close(self):
        self.channel.close()
