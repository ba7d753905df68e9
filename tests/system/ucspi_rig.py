"""sslserver and tcpserver as a supervisor starts them, for a test: their own house directory, uids and port. Needs root."""
import os
import shutil
import signal
import subprocess
import tempfile

from instance import BIN, FIRST_UID, own_uids, wait_for

HELPERS = ("tls-sslserver", "key-sslserver", "ucspitls", "tls-sslclient", "key-sslclient")
PROGRAM_UID = FIRST_UID - 10
_next = [0]


class Served:
    """`command` with `options` on a port of its own, serving `program`; its log is in .log()."""

    def __init__(self, command, options, program, environment=None, host="127.0.0.1"):
        self.dir = tempfile.mkdtemp(prefix="us.", dir="/tmp")
        os.chmod(self.dir, 0o755)
        os.mkdir(self.path("control"))
        first = own_uids() + 920 + len(HELPERS) * (_next[0] % 10)
        _next[0] += 1
        self.uids = {name: first + i for i, name in enumerate(HELPERS)}
        with open(self.path("control/uids"), "w") as f:
            f.writelines(f"{name}:{uid}:{uid}\n" for name, uid in self.uids.items())
        self.words = [f"{BIN}/{command}", "-1v", *options, host, "0", *program]
        self.house = {"PATH": os.environ["PATH"], "POSTERN_CONTROLDIR": self.path("control"), "POSTERN_RUNDIR": self.path("run"),
                      "POSTERN_LIBEXECDIR": BIN}
        self.environment = {**self.house, **(environment or {})}
        self.process = None

    def path(self, name):
        return os.path.join(self.dir, name)

    def __enter__(self):
        with open(self.path("log"), "wb") as log, open(self.path("port"), "wb") as port:
            self.process = subprocess.Popen(self.words, stdin=subprocess.DEVNULL, stdout=port, stderr=log, env=self.environment,
                                            cwd=self.dir)
        try:
            wait_for(lambda: "status: 0/" in self.log(), 30, "the start")
        except AssertionError:
            print(self.log())
            self.stop()
            raise
        with open(self.path("port")) as f:
            self.port = int(f.read())
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None:
            print(self.log()[-6000:])
        self.stop()

    def stop(self, how=signal.SIGTERM):
        if self.process is None:
            return None
        self.process.send_signal(how)
        status = self.process.wait(15)
        self.process = None
        shutil.rmtree(self.dir, ignore_errors=True)
        return status

    def refuses(self):
        """For one that does not start: its exit status and what it says."""
        done = subprocess.run(self.words, env=self.environment, cwd=self.dir, capture_output=True, text=True, timeout=30)
        shutil.rmtree(self.dir, ignore_errors=True)
        return done.returncode, done.stderr

    def log(self):
        with open(self.path("log"), "rb") as f:
            return f.read().decode("utf-8", "backslashreplace")

    def wait_log(self, text, seconds=20):
        wait_for(lambda: text in self.log(), seconds, f"a line with {text}")
        return self.log()

    def rules(self, text):
        """Compiles rules; returns the file's name."""
        done = subprocess.run([f"{BIN}/tcprules", self.path("rules.cdb"), self.path("rules.tmp")], input=text.encode(), timeout=20)
        assert done.returncode == 0
        return self.path("rules.cdb")


def environment_of(text):
    """What env(1) printed, as a dictionary; lines that go on a value (PEM) are left out."""
    return dict(line.split("=", 1) for line in text.split("\n") if "=" in line and line.split("=", 1)[0].isidentifier())
