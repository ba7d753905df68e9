"""Mail servers that nobody here wrote, as peers: Debian's packages, unpacked into a directory of the test, never installed. They run as
users that every Debian has, and deliver into Maildirs below that directory. Ends only what it started."""
import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile

import pytest

from instance import TREE, free_port, wait_for

KEPT = os.path.join(TREE, os.environ.get("B", "build"), "peers")  # packages, for the next time


def unpack(root, *packages):
    os.makedirs(KEPT, exist_ok=True)
    for p in packages:
        if not glob.glob(f"{KEPT}/{p}_*.deb"):
            subprocess.run(["apt-get", "download", "-qq", p], cwd=KEPT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, timeout=120)
        debs = glob.glob(f"{KEPT}/{p}_*.deb")
        if not debs:
            pytest.skip(f"the package {p} can't be had here")
        subprocess.run(["dpkg", "-x", debs[0], root], check=True, timeout=60)


class Server:
    """configure() writes its files and returns the words to start it with."""

    def __init__(self, certificate, key, ca=None):
        self.dir = tempfile.mkdtemp(prefix="pp.")
        os.chmod(self.dir, 0o755)
        self.certificate, self.key, self.ca, self.port = certificate, key, ca, free_port()
        self.user = pwd.getpwnam("news")
        unpack(self.path("root"), *self.packages)
        self.make("mail", self.user.pw_uid)
        self.environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        words = self.configure()
        with open(self.path("out"), "wb") as out:
            self.process = subprocess.Popen(words, env=self.environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)

    def path(self, name):
        return os.path.join(self.dir, name)

    def make(self, name, uid=0, mode=0o755):
        os.makedirs(self.path(name), exist_ok=True)
        os.chmod(self.path(name), mode)
        os.chown(self.path(name), uid, uid and self.user.pw_gid)

    def write(self, name, text):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w") as f:
            f.write(text)

    def greets(self):
        with socket.create_connection(("127.0.0.1", self.port), 2) as s:
            s.settimeout(5)
            return s.recv(4) == b"220 "

    def said(self):
        text = ""
        for name in ("out", "log"):
            if os.path.exists(self.path(name)):
                with open(self.path(name), "rb") as f:
                    text += f.read().decode("utf-8", "replace")
        return text

    def messages(self):
        out = []
        for name in glob.glob(self.path("mail/*/new/*")):
            with open(name, "rb") as f:
                out.append(f.read())
        return out

    def __enter__(self):
        def greets():
            assert self.process.poll() is None, self.said()
            try:
                return self.greets()
            except OSError:
                return False
        try:
            wait_for(greets, 30, "a greeting")
        except BaseException:
            print(self.said()[-3000:])
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        """Its processes are those of its session and those whose program is below its directory."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            pass
        for p in os.listdir("/proc"):
            try:
                if p.isdigit() and os.readlink(f"/proc/{p}/exe").startswith(self.dir + "/"):
                    os.kill(int(p), signal.SIGKILL)
            except OSError:
                pass
        self.process.wait(10)
        shutil.rmtree(self.dir, ignore_errors=True)


class Postfix(Server):
    packages = ["postfix"]

    def configure(self):
        root = self.path("root")
        for name in "active bounce corrupt defer deferred flush hold incoming maildrop private public saved trace".split():
            self.make("spool/" + name, self.user.pw_uid, 0o700 if name not in ("public", "private") else 0o755)
        self.make("spool/pid")
        self.make("data", self.user.pw_uid)
        tls = f"smtpd_tls_security_level = may\nsmtpd_tls_chain_files = {self.key}, {self.certificate}\nsmtpd_tls_received_header = yes\n"
        if self.ca:
            tls += f"smtpd_tls_ask_ccert = yes\nsmtpd_tls_CAfile = {self.ca}\n"
        self.write("conf/main.cf", f"""compatibility_level = 3.6
queue_directory = {self.path("spool")}
command_directory = {root}/usr/sbin
daemon_directory = {root}/usr/lib/postfix/sbin
data_directory = {self.path("data")}
shlib_directory = {root}/usr/lib/postfix
meta_directory = {self.path("conf")}
mail_owner = news
setgid_group = games
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = peer.test
mydestination =
virtual_mailbox_domains = peer.test
virtual_mailbox_base = {self.path("mail")}
virtual_mailbox_maps = static:box/
virtual_uid_maps = static:{self.user.pw_uid}
virtual_gid_maps = static:{self.user.pw_gid}
virtual_minimum_uid = 1
smtpd_relay_restrictions = reject_unauth_destination
smtpd_peername_lookup = no
alias_maps =
alias_database =
maillog_file = {self.path("log")}
maillog_file_prefixes = {self.dir}
import_environment = MAIL_CONFIG MAIL_LOGTAG LD_LIBRARY_PATH
{tls}""")
        inside = ["pickup unix n - n 60 1 pickup", "cleanup unix n - n - 0 cleanup", "qmgr unix n - n 300 1 qmgr", "tlsmgr unix - - n 1000? 1 tlsmgr",
                  "rewrite unix - - n - - trivial-rewrite", "bounce unix - - n - 0 bounce", "defer unix - - n - 0 bounce", "trace unix - - n - 0 bounce",
                  "flush unix n - n 1000? 0 flush", "proxymap unix - - n - - proxymap", "error unix - - n - - error", "retry unix - - n - - error",
                  "virtual unix - n n - - virtual", "anvil unix - - n - 1 anvil", "scache unix - - n - 1 scache", "postlog unix-dgram n - n - 1 postlogd"]
        self.write("conf/master.cf", "\n".join([f"127.0.0.1:{self.port} inet n - n - - smtpd", *inside]) + "\n")
        self.environment |= {"MAIL_CONFIG": self.path("conf"), "LD_LIBRARY_PATH": f"{root}/usr/lib/postfix"}
        return [f"{root}/usr/lib/postfix/sbin/master", "-c", self.path("conf"), "-d"]


    def knows(self, subject):
        """Whether it says that a certificate of that subject verified."""
        return any(f'(Client CN "{subject}", '.encode() in m and b"(verified OK)" in m for m in self.messages())


class Exim(Server):
    """It wants its user and its configuration below /etc: so it has an /etc of its own."""

    packages = ["exim4-daemon-light"]

    def configure(self):
        for name in ("spool", "logs"):
            self.make(name, self.user.pw_uid)
        certificate, key, ca = (self.path("spool/" + n) for n in ("certificate", "key", "ca"))
        for name, copy in ((self.certificate, certificate), (self.key, key), (self.ca, ca)):
            if name:
                shutil.copy(name, copy)
                os.chown(copy, self.user.pw_uid, self.user.pw_gid)
        verify = f"tls_try_verify_hosts = *\ntls_verify_certificates = {ca}\n" if self.ca else ""
        for name in ("passwd", "group"):
            self.write("etc/" + name, f"root:x:0:0:root:/root:/bin/sh\nDebian-exim:x:{self.user.pw_uid}:{self.user.pw_gid}::/:/bin/sh\n" if name == "passwd"
                       else f"root:x:0:\nDebian-exim:x:{self.user.pw_gid}:\n")
        self.write("etc/hosts", "127.0.0.1 localhost peer.test\n")
        self.write("etc/exim4/exim4.conf", f"""primary_hostname = peer.test
domainlist local_domains = peer.test
acl_smtp_rcpt = check_rcpt
acl_smtp_data = check_data
local_interfaces = 127.0.0.1
daemon_smtp_ports = {self.port}
disable_ipv6 = true
host_lookup =
rfc1413_query_timeout = 0s
smtp_accept_queue_per_connection = 0
spool_directory = {self.path("spool")}
log_file_path = {self.path("logs")}/%slog
pid_file_path = {self.path("spool")}/pid
keep_environment =
never_users =
exim_path = {self.path("root")}/usr/sbin/exim4
tls_advertise_hosts = *
tls_certificate = {certificate}
tls_privatekey = {key}
log_selector = +tls_peerdn +tls_certificate_verified
{verify}begin acl
check_rcpt:
  accept domains = +local_domains
  deny
check_data:
  accept
begin routers
all:
  driver = accept
  transport = box
begin transports
box:
  driver = appendfile
  directory = {self.path("mail")}/box
  maildir_format
  user = Debian-exim
  group = Debian-exim
begin retry
* * F,2h,1m
""")
        return ["unshare", "-m", "sh", "-c", f"mount --bind {self.path('etc')} /etc && exec {self.path('root')}/usr/sbin/exim4 -bdf -q1h"]

    def knows(self, subject):
        with open(self.path("logs/mainlog")) as f:
            return any("CV=yes" in line and f'CN={subject}' in line for line in f)


class OpenSMTPD(Server):
    """6.8.0p2, which Debian 12 has, fails every handshake with OpenSSL 3, with any key and outside of any sandbox: its pony express never asks
    the process that has the key ("missing private key", OpenSMTPD's issues 1171 and 1239). A peer that offers TLS and can't. It takes mail and keeps it."""

    packages = ["opensmtpd"]

    def configure(self):
        self.write("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n" + "".join(
            f"{n}:x:{self.user.pw_uid + i}:{self.user.pw_gid + i}::/:/bin/sh\n" for i, n in enumerate(("opensmtpd", "opensmtpq"))))
        self.write("etc/group", "root:x:0:\n" + "".join(f"{n}:x:{self.user.pw_gid + i}:\n" for i, n in enumerate(("opensmtpd", "opensmtpq"))))
        self.write("etc/hosts", "127.0.0.1 localhost peer.test\n")
        self.make("var/spool/smtpd", 0, 0o711)
        self.make("var/lib/opensmtpd/empty")
        self.make("var/run")
        for copy, name in (("certificate", self.certificate), ("key", self.key)):
            shutil.copy(name, self.path("etc/" + copy))
            os.chmod(self.path("etc/" + copy), 0o600)
        self.write("etc/smtpd.conf", f"""pki "peer.test" cert "/etc/certificate"
pki "peer.test" key "/etc/key"
listen on 127.0.0.1 port {self.port} hostname peer.test tls pki "peer.test"
action "keep" relay host smtp://127.0.0.1:1
match from any for domain peer.test action "keep"
""")
        binds = " && ".join(f"mount --bind {self.path(d)} /{d}" for d in ("etc", "var"))
        return ["unshare", "-m", "sh", "-c", f"{binds} && exec {self.path('root')}/usr/sbin/smtpd -d -f /etc/smtpd.conf"]

    def messages(self):
        """Those in its queue."""
        out = []
        for name in glob.glob(self.path("var/spool/smtpd/queue/*/*/message")):
            with open(name, "rb") as f:
                out.append(f.read())
        return out
