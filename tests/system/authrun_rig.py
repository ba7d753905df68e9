"""An instance whose passwords or recipients other people's programs know, and such programs, well-behaved and not."""
import base64
import glob
import os
import re

from instance import Instance, Session, free_port, wait_for

PASSWORD = "correct horse, battery; staple"

PROGRAM = r"""#!/usr/bin/python3 -IS
import os, signal, sys, time
place = os.path.dirname(sys.argv[0])
if len(sys.argv) > 2 and sys.argv[2] == "early":
    os.close(3)
    sys.exit(1)
name, password, stamp = os.read(3, 600).split(b"\0")[:3]
who = name.split(b"@")[0].decode()
if who == "cram":
    import hmac
    right = hmac.new(b"correct horse, battery; staple", stamp, "md5").hexdigest().encode()
    sys.exit(0 if password == right else 1)
if who == "hang":
    if os.fork() == 0:
        time.sleep(600)  # in its group
    time.sleep(600)
if who == "crash":
    os.kill(os.getpid(), signal.SIGSEGV)
if who == "loud":
    os.write(1, b"x" * 100000)
    for i in range(40):
        os.write(2, b"\x1b[2J event=forged \"quoted\"\n" + b"y" * 5000)
    sys.exit(1)
if who.startswith("status"):
    sys.exit(int(who[6:]))
if who == "daemon" and os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(600)  # in another session, and its parent is gone
    sys.exit(0)
if who == "show":
    fds = sorted(int(n) for n in os.listdir("/proc/self/fd"))
    with open("/proc/self/status") as f:
        status = [line.split(":", 1) for line in f]
    with open(place + "/out/shown", "w") as f:
        print(dict(os.environ), file=f)
        print(fds[:4], [os.readlink(f"/proc/self/fd/{n}").split(":")[0] for n in (0, 1, 2)], file=f)
        print({k: v.split() for k, v in status if k in ("Uid", "Groups", "NoNewPrivs", "Seccomp", "CapEff", "CapBnd")}, file=f)
        print(os.getsid(0) == os.getpid(), os.getcwd(), sys.argv, [name, stamp], file=f)
if who == "spy":
    def tried(what):
        try:
            what()
            return "done"
        except OSError as e:
            return e.strerror
    def is_of_my_user(p):
        try:
            return p.isdigit() and int(p) != os.getpid() and os.stat("/proc/" + p).st_uid == os.getuid()
        except FileNotFoundError:
            return False
    others = [int(p) for p in os.listdir("/proc") if is_of_my_user(p)]
    with open(place + "/out/spied", "w") as f:
        print([(tried(lambda: open(f"/proc/{p}/mem", "rb")), tried(lambda: os.kill(p, 0)), tried(lambda: os.readlink(f"/proc/{p}/cwd"))) for p in others], file=f)
        print(tried(lambda: os.kill(os.getppid(), 0)), tried(lambda: open(f"/proc/{os.getppid()}/mem", "rb")), file=f)
        os.makedirs(place + "/out/a", exist_ok=True), os.makedirs(place + "/out/b", exist_ok=True), open(place + "/out/a/file", "w").close()
        print(tried(lambda: os.rename(place + "/out/a/file", place + "/out/b/file")), file=f)
if password != b"correct horse, battery; staple":
    sys.exit(1)
os.execv(sys.argv[1], sys.argv[1:])
"""

RECIPIENTS = r"""#!/usr/bin/python3 -IS
import os, sys, time
said = os.read(3, 600)
with open(os.path.dirname(sys.argv[0]) + "/out/asked", "ab") as f:
    f.write(" ".join(sys.argv[1:]).encode() + b" " + said + b"\n")
assert said.endswith(b"\0\0\0"), said
local = said.split(b"@")[0].decode()
if local == "hang":
    time.sleep(600)
if local.startswith("status"):
    sys.exit(int(local[6:]))
sys.exit(0 if local in sys.argv[1:] else 1)
"""


def write_program(i, name, text):
    with open(i.path(name), "w") as f:
        f.write(text)
    os.chmod(i.path(name), 0o755)


def b64(text):
    return base64.b64encode(text.encode()).decode()


class House(Instance):
    """submission in the clear, with a program for passwords; and a place where it may write."""

    def __init__(self, control, services=("send", "submission"), programs=(), **more):
        ports = {s: free_port() for s in services if s not in ("send", "inject")}
        items = {f"{s}/listen": f"127.0.0.1:{p}" for s, p in ports.items()}
        items |= {f"{s}/rules": ':allow,AUTHINCLEAR=""' for s in ports if s != "smtpd"}
        items |= {"smtpd/rules": ":allow", "virtualusers": [f"{u}@example.test:{u}/Maildir" for u in ("alice", "bob", "daemon", "show", "postmaster")],
                  "programseconds": "6", "mechanisms": "PLAIN LOGIN CRAM-MD5 APOP"}
        super().__init__(items, services=services, **more)
        self.ports = ports
        self.port = next(iter(ports.values()))
        self.authrun = self.users["authrun-submission"]  # in all services, so that one user has the files of these tests
        self.users.update({name: self.authrun for name in self.users if name.startswith("authrun-")})
        self.control("uids", [f"{name}:{uid}:{uid}" for name, uid in self.users.items()])
        os.mkdir(self.path("out"))
        os.chown(self.path("out"), self.authrun, self.authrun)
        for name, text in programs:
            write_program(self, name, text)
        for name, value in control(self).items():
            self.control(name, value)

    def __enter__(self):
        super().__enter__()
        try:
            for s in self.ports:
                wait_for(lambda: self.session(s).close() is None, 15, f"a greeting of {s}")
        except BaseException:
            print(self.log())
            self.__exit__(None, None, None)
            raise
        return self

    def session(self, service=None):
        s = Plain(self.ports[service] if service else self.port)
        line = s.line()
        assert line is not None and line[:3] in (b"220", b"+OK"), line
        s.greeting = line
        return s

    def smtp(self, service=None):
        s = self.session(service)
        assert s.say("EHLO client.test")[0] == 250
        return s

    def login(self, name, password=PASSWORD):
        with self.smtp() as s:
            return s.say("AUTH PLAIN " + b64(f"\0{name}\0{password}"))

    def wait_log(self, pattern, seconds=15):
        return wait_for(lambda: re.search(pattern, self.log()), seconds, f"a line with {pattern}")

    def processes(self):
        """Those of authrun's user, but for authrun itself."""
        out = []
        for p in glob.glob("/proc/[0-9]*/status"):
            try:
                with open(p) as f:
                    status = f.read()
            except OSError:
                continue
            if f"\nUid:\t{self.authrun}\t" in status and not status.startswith("Name:\tauthrun\n") and "\nState:\tZ" not in status:
                out.append(status)
        return out


class Plain(Session):
    def __init__(self, port):
        super().__init__(2, ("127.0.0.1", port), 30)

    def close(self):
        self.socket.close()

    def pop3(self, command):
        self.send(command.encode() + b"\r\n")
        return self.line()
