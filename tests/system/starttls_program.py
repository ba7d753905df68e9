"""A program for sslserver -n: says that it is ready, reads a line in plain text, writes that on the control stream, and goes on in TLS:
says what came back there, if it was Y that it wrote first, and echoes lines."""
import os
import sys

control, reads, writes = (int(os.environ[n]) for n in ("SSLCTLFD", "SSLREADFD", "SSLWRITEFD"))


def line(fd):
    out = b""
    while not out.endswith(b"\n"):
        octet = os.read(fd, 1)
        if not octet:
            sys.exit(3)
        out += octet
    return out.decode().strip()


def variables():
    out = b""
    while not out.endswith(b"\0\0"):
        more = os.read(control, 65536)
        if not more:
            return "end of file"
        out += more
    return " ".join(v.decode().replace("\n", "|") for v in out.split(b"\0") if v and b"CERT=" not in v)


os.write(1, b"ready\n")
command = line(0)
os.write(control, command.encode())
known = variables() if command.startswith("Y") else ""
os.dup2(reads, 0)
os.dup2(writes, 1)
os.write(1, (known + "\n").encode())
while True:
    os.write(1, (line(0) + "\n").encode())
