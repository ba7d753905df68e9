"""A network of its own for a test: a namespace with addresses as real hosts have them, and a real name server (nsd) that answers
for the root and for zones that are signed, broken or plain. Ends only what it started. Needs root."""
import contextlib
import ctypes
import os
import shutil
import socket
import subprocess
import tempfile

from instance import wait_for

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
ROOT_SERVERS = ("198.41.0.4 170.247.170.2 192.33.4.12 199.7.91.13 192.203.230.10 192.5.5.241 192.112.36.4 198.97.190.53 192.36.148.17 "
                "192.58.128.30 193.0.14.129 199.7.83.42 202.12.27.33").split()
NAME_SERVER = "10.53.0.53"
NAME_SERVER_SIX = ("fd53::53",)


def run(*words, **how):
    return subprocess.run(words, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, **how).stdout


class Network:
    """Addresses are those of its loopback interface; nothing leads out. six: it has IPv6."""

    def __init__(self, addresses=(), six=True):
        self.holder = subprocess.Popen(["unshare", "-n", "sleep", "3600"], stdin=subprocess.DEVNULL)
        own = os.readlink("/proc/self/ns/net")
        wait_for(lambda: os.readlink(f"/proc/{self.holder.pid}/ns/net") != own, what="a network namespace")
        self.fd = os.open(f"/proc/{self.holder.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        own_hosts = (NAME_SERVER, *NAME_SERVER_SIX[:six], *ROOT_SERVERS, *addresses)
        if not six:
            with self.inside(), contextlib.suppress(OSError), open("/proc/sys/net/ipv6/conf/all/disable_ipv6", "w") as f:
                f.write("1")
        self.six = six
        lines = ["link set lo up"] + [f"addr add {a}{'/128' if ':' in a else '/32'} dev lo{' nodad' if ':' in a else ''}" for a in own_hosts]
        subprocess.run(["ip", "-batch", "-"], check=True, input="\n".join(lines) + "\n", text=True, capture_output=True, preexec_fn=self.join, timeout=30)

    def join(self):
        if LIBC.setns(self.fd, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")

    @contextlib.contextmanager
    def inside(self):
        """Sockets that this thread makes meanwhile belong to the network."""
        back = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self.join()
        try:
            yield self
        finally:
            LIBC.setns(back, CLONE_NEWNET)
            os.close(back)

    def close(self):
        os.close(self.fd)
        self.holder.kill()
        self.holder.wait()


class Names:
    """zones: {"good.pn": {"records": ["@ MX 10 mx", …], "signed": True, "ds": "right" | "wrong" | None}}. Names are relative to their zone. "spoil": (text, other text) in the signed zone, whose
    signatures are then wrong."""

    def __init__(self, network, zones):
        self.dir = tempfile.mkdtemp(prefix="ns.")
        self.zones = {}
        root = [". 3600 IN SOA a.root-servers.net. x. 1 3600 900 86400 60", ". 3600 IN NS a.root-servers.net.",
                f"a.root-servers.net. 3600 IN A {ROOT_SERVERS[0]}", f"ns.pn. 3600 IN A {NAME_SERVER}"]
        for name, zone in zones.items():
            root += [f"{name}. 3600 IN NS ns.pn."] + self.zone(name, zone)
        self.anchor = self.sign(".", root)[0]
        self.serve(network)

    def zone(self, name, zone):
        """Writes it; returns the DS records for its parent."""
        lines = [f"$ORIGIN {name}.", "$TTL 60", "@ IN SOA ns.pn. x.pn. 1 3600 900 86400 60", "@ IN NS ns.pn."] + list(zone.get("records", ()))
        if not zone.get("signed"):
            self.write(name, lines)
            return []
        ds = self.sign(name + ".", lines)
        if "spoil" in zone:
            with open(self.zones[name]) as f:
                text = f.read()
            assert zone["spoil"][0] in text
            with open(self.zones[name], "w") as f:
                f.write(text.replace(*zone["spoil"]))
        if zone.get("ds", "right") == "wrong":
            ds = [d[:-2] + ("00" if d[-2:] != "00" else "11") for d in ds]
        return [] if zone.get("ds", "right") is None else ds

    def write(self, name, lines):
        file = os.path.join(self.dir, (name.rstrip(".") or "root") + ".zone")
        with open(file, "w") as f:
            f.write("\n".join(lines) + "\n")
        self.zones[name.rstrip(".") or "."] = file
        return file

    def sign(self, name, lines):
        file = self.write(name, lines)
        key = run("ldns-keygen", "-k", "-a", "ECDSAP256SHA256", name, cwd=self.dir).strip()
        run("ldns-signzone", "-o", name, "-f", file + ".signed", file, key, cwd=self.dir)
        self.zones[name.rstrip(".") or "."] = file + ".signed"
        with open(os.path.join(self.dir, key + ".ds")) as f:
            return [" ".join(line.split()) for line in f if line.strip()]

    def serve(self, network):
        conf = os.path.join(self.dir, "nsd.conf")
        with open(conf, "w") as f:
            f.write(f'server:\n  username: ""\n  chroot: ""\n  zonesdir: "{self.dir}"\n  pidfile: "{self.dir}/nsd.pid"\n  xfrdfile: "{self.dir}/xfrd"\n'
                    f'  zonelistfile: "{self.dir}/zonelist"\n  database: ""\n  server-count: 1\n  logfile: "{self.dir}/log"\n')
            for address in [NAME_SERVER, *NAME_SERVER_SIX[:network.six], *ROOT_SERVERS]:
                f.write(f"  ip-address: {address}\n")
            f.write("remote-control:\n  control-enable: no\n")
            for name, file in self.zones.items():
                f.write(f'zone:\n  name: "{name}"\n  zonefile: "{file}"\n')
        self.server = subprocess.Popen(["/usr/sbin/nsd", "-d", "-c", conf], preexec_fn=network.join, stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with network.inside():
            wait_for(self.answers, what="an answer of nsd")

    def answers(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(0.3)
            s.sendto(b"\0\1\0\0\0\1\0\0\0\0\0\0\0\0\2\0\1", (NAME_SERVER, 53))
            try:
                return len(s.recv(4096)) > 20
            except OSError:
                return False

    def close(self):
        self.server.terminate()
        try:
            self.server.wait(10)
        except subprocess.TimeoutExpired:
            self.server.kill()
            self.server.wait()
        shutil.rmtree(self.dir, ignore_errors=True)
