"""The TLS side of the service `send` without its warden: keyring fills a rack and a key directory, then tls and keyload run, confined
as in the house. Ends only what it started. The numbers are those of lib/wire/{warden_keyring,policy_keyload}.h."""
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile

from instance import BIN, own_uids

WK_RACK, WK_PAIR, WK_LOCKED_PAIR, WK_MISSING, WK_STAPLE, WK_FILE, WK_NO_FILE, WK_END = range(8)
PK_SIGNER, PK_TLS_CLIENT = 0, 1


def packet(kind, body=b""):
    return struct.pack("<HH4xQ", kind, len(body), 0) + body


class Engine:
    """files: {"system": [path, …], "/ca.pem": [path]}; pairs: [(certificate, key), …]."""

    def __init__(self, files, pairs=()):
        self.dir = tempfile.mkdtemp(prefix="pe.")
        os.chmod(self.dir, 0o755)
        self.uid = own_uids() + 908
        os.mkdir(self.path("keys"), 0o700)
        os.chown(self.path("keys"), self.uid, self.uid)
        os.mkdir(self.path("empty"), 0o755)
        self.log_file = open(self.path("log"), "w+b")
        self.processes = []
        rack = self.fill(files, pairs)
        self.tls, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.run("tls", "empty", [its.detach(), rack])
        self.keyload, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.run("keyload", "keys", [its.detach()])

    def path(self, name):
        return os.path.join(self.dir, name)

    def run(self, name, root, fds):
        """With these descriptors from 3 on, which it takes."""
        high = [os.dup(fd) if fd > 100 else os.dup2(fd, 150 + i, inheritable=False) for i, fd in enumerate(fds)]

        def place():
            for i, fd in enumerate(high):
                os.dup2(fd, 3 + i, inheritable=True)
            os.closerange(3 + len(high), 300)

        p = subprocess.Popen([f"{BIN}/{name}", "-n", "send", "-u", str(self.uid), "-g", str(self.uid), "-r", self.path(root)], preexec_fn=place,
                             close_fds=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.log_file)
        for fd in [*high, *fds]:
            os.close(fd)
        self.processes.append(p)
        return p

    def fill(self, files, pairs):
        made = os.memfd_create("rack", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        keyring = self.run("keyring", "keys", [its.detach()])

        def give(kind, body, *paths, fds=()):
            opened = [os.open(p, os.O_RDONLY) for p in paths]
            socket.send_fds(ours, [packet(kind, body)], [*fds, *opened])
            for fd in opened:
                os.close(fd)

        give(WK_RACK, b"", fds=[made])
        for name, paths in files.items():
            for p in paths:
                give(WK_FILE, b"".join(struct.pack("<H", len(f)) + f for f in (name.encode(), p.encode())), p)
        for certificate, key in pairs:
            give(WK_PAIR, bytes(8) + certificate.encode(), certificate, key)
        give(WK_END, b"")
        assert keyring.wait(30) == 0, self.log()
        ours.close()
        rack = os.open(f"/proc/self/fd/{made}", os.O_RDONLY | os.O_CLOEXEC)
        os.close(made)
        return rack

    def signer(self, certificate):
        """The engine's end of a channel to a new signer."""
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        body = struct.pack("<12sB3xI", b"1jtestconn0", PK_TLS_CLIENT, 20000) + certificate.encode()
        socket.send_fds(self.keyload, [packet(PK_SIGNER, body)], [its.fileno()])
        its.close()
        return ours

    def log(self):
        self.log_file.flush()
        with open(self.log_file.name, "rb") as f:
            return f.read().decode("utf-8", "backslashreplace")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.tls.close()
        self.keyload.close()
        for p in self.processes:
            try:
                p.wait(5)
            except subprocess.TimeoutExpired:
                p.send_signal(signal.SIGKILL)
                p.wait()
        self.log_file.close()
        shutil.rmtree(self.dir, ignore_errors=True)
