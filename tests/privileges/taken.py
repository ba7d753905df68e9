"""A running process taken over, as by somebody who executes code in it: it is held, its descriptors are the test's too, and it makes the
system calls that the test wants, with its own rights. Needs root and x86-64; touches only the process that it is given."""
import contextlib
import ctypes
import os
import platform
import signal
import socket
import struct

SUPPORTED = platform.machine() == "x86_64"
PIDFD_OPEN, PIDFD_GETFD = 434, 438
ATTACH, CONT, STEP, GETREGS, SETREGS = 16, 7, 9, 12, 13
DETACH = 17
NAMES = "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base ds es fs gs".split()
CALLS = {"read": 0, "write": 1, "open": 2, "sendfile": 40, "socket": 41, "connect": 42, "fork": 57, "execve": 59, "chdir": 80, "chroot": 161,
         "getdents64": 217, "openat": 257, "unlinkat": 263, "renameat": 264, "linkat": 265, "symlinkat": 266, "setresuid": 117, "ptrace": 101,
         "kill": 62, "newfstatat": 262}
AT_FDCWD = -100 & 0xffffffffffffffff

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long
_libc.syscall.restype = ctypes.c_long


class Killed(Exception):
    """It did not survive the call."""


def _checked(value, what):
    if value < 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")
    return value


class Registers(ctypes.Structure):
    _fields_ = [(n, ctypes.c_ulonglong) for n in NAMES]

    def copy(self):
        return Registers.from_buffer_copy(self)


class Taken:
    """Held from here on until the end of `with`; goes on then as if nothing had been."""

    def __init__(self, pid):
        self.pid, self.alive = pid, True
        _checked(_libc.ptrace(ATTACH, pid, None, None), "ptrace")
        _, status = os.waitpid(pid, 0x40000000)  # __WALL
        assert os.WIFSTOPPED(status), status
        self.before = self.registers()
        self.gate = self.find_gate()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.alive:
            _libc.ptrace(SETREGS, self.pid, None, ctypes.addressof(self.before))
            _libc.ptrace(DETACH, self.pid, None, None)

    def registers(self):
        r = Registers()
        _checked(_libc.ptrace(GETREGS, self.pid, None, ctypes.addressof(r)), "registers")
        return r

    def find_gate(self):
        """The address of an instruction that enters the kernel."""
        with open(f"/proc/{self.pid}/maps") as maps, open(f"/proc/{self.pid}/mem", "rb", 0) as memory:
            for line in maps:
                words = line.split()
                if words[1].startswith("r-x") and "vsyscall" not in line:
                    start, end = (int(x, 16) for x in words[0].split("-"))
                    memory.seek(start)
                    at = memory.read(end - start).find(b"\x0f\x05")
                    if at >= 0:
                        return start + at
        raise AssertionError("no such instruction")

    def call(self, name, *arguments):
        """What the system call returns, errors as -errno; octets among the arguments are put into its stack. Killed."""
        r = self.before.copy()
        at = (self.before.rsp - 65536) & ~0xfff
        values = []
        with open(f"/proc/{self.pid}/mem", "r+b", 0) as memory:
            for a in arguments:
                if isinstance(a, (bytes, bytearray)):
                    memory.seek(at)
                    memory.write(a + b"\0")
                    values.append(at)
                    at += (len(a) + 16) & ~0xf
                else:
                    values.append(a & 0xffffffffffffffff)
        for register, value in zip(("rdi", "rsi", "rdx", "r10", "r8", "r9"), values + [0] * 6):
            setattr(r, register, value)
        r.rax, r.orig_rax, r.rip = CALLS[name], 0xffffffffffffffff, self.gate
        _checked(_libc.ptrace(SETREGS, self.pid, None, ctypes.addressof(r)), "registers")
        return self.step(name)

    def step(self, name):
        deliver = 0
        while True:
            _checked(_libc.ptrace(STEP, self.pid, None, deliver), "step")
            _, status = os.waitpid(self.pid, 0x40000000)
            if not os.WIFSTOPPED(status):
                self.alive = False
                raise Killed(name)
            if os.WSTOPSIG(status) == signal.SIGTRAP:
                return ctypes.c_long(self.registers().rax).value
            deliver = os.WSTOPSIG(status)

    def descriptors(self):
        return sorted(int(n) for n in os.listdir(f"/proc/{self.pid}/fd"))

    def copy_of(self, fd):
        """A descriptor of the test's own, of the same open file."""
        pidfd = _checked(_libc.syscall(PIDFD_OPEN, self.pid, 0), "pidfd_open")
        try:
            return _checked(_libc.syscall(PIDFD_GETFD, pidfd, fd, 0), "pidfd_getfd")
        finally:
            os.close(pidfd)

    def sockets(self, kind):
        """Copies of its sockets of a kind, by number."""
        found = {}
        for fd in self.descriptors():
            if os.readlink(f"/proc/{self.pid}/fd/{fd}").startswith("socket:"):
                s = socket.socket(fileno=self.copy_of(fd))
                if s.type == kind:
                    found[fd] = s
                else:
                    s.close()
        return found


class Channel:
    """A channel of the house, spoken by hand: messages are named as in `postern plan --json`."""

    def __init__(self, end, messages):
        self.end, self.of = end, {m["message"]: m for m in messages}
        self.names = {m["number"]: m["message"] for m in messages}
        end.setblocking(True)
        end.settimeout(20)

    def send(self, name, body=b"", tail=b"", fds=()):
        body = body.ljust(self.of[name]["body"], b"\0")
        packet = struct.pack("<HH4xQ", self.of[name]["number"], len(body) + len(tail), 0) + body + tail
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            socket.send_fds(self.end, [packet], list(fds))

    def receive(self):
        """(name, body and tail); (None, b"") at the end of the conversation."""
        try:
            packet, fds, _, _ = socket.recv_fds(self.end, 9000, 4)
        except ConnectionResetError:
            return None, b""
        for fd in fds:
            os.close(fd)
        if not packet:
            return None, b""
        return self.names[struct.unpack_from("<H", packet)[0]], packet[16:]


def fields(*texts):
    return b"".join(struct.pack("<H", len(t)) + t for t in texts)
