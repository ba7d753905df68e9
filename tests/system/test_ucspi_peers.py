"""sslserver with peers and programs that do not behave, and what is known of its processes meanwhile."""
import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import threading

import pytest
from instance import BIN, TREE, wait_for
from test_tls_keys import family, holds, plain_only, secrets_of
from tls_rig import Certificates, context
from ucspi_rig import PROGRAM_UID, Served, environment_of

USER = ["-u", str(PROGRAM_UID), "-g", str(PROGRAM_UID)]
QUIET = ["-H", "-lx", *USER]
PROGRAM = ["/usr/bin/python3", os.path.join(TREE, "tests/system/starttls_program.py")]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    c = Certificates(str(tmp_path_factory.mktemp("ucspi")))
    c.issue("one", kind="rsa")
    c.issue("two", kind="p256", names="DNS:two.example.test")
    return c


def keys(c, **others):
    return {"CERTFILE": c.path("one.pem"), "KEYFILE": c.path("one.key"), **others}


def dial(served, source="127.0.0.1"):
    return socket.create_connection(("127.0.0.1", served.port), 20, (source, 0))


def echoes(served, c, say=b"x"):
    with context(c).wrap_socket(dial(served), server_hostname="mx.example.test") as s:
        s.sendall(say)
        return s.recv(len(say)) == say


def everything(s):
    out = b""
    try:
        while more := s.recv(65536):
            out += more
    except OSError:
        pass
    return out


@pytest.fixture(scope="module")
def starttls(certificates):
    with open(PROGRAM[1], "rb") as f:
        program = ["/usr/bin/python3", "-c", f.read().decode()]
    with Served("sslserver", ["-n", *QUIET], program, keys(certificates)) as served:
        yield served


def begun(served, words):
    s = dial(served)
    assert s.recv(100) == b"ready\n"
    s.sendall(words)
    return s


def test_the_program_is_told_what_is_known(certificates, starttls):
    with context(certificates).wrap_socket(begun(starttls, b"Y\n"), server_hostname="mx.example.test") as s:
        known = s.makefile().readline().strip().split(" SSL_")
        assert known[0] == "SSL_PROTOCOL=TLSv1.3" and known[1].startswith("SESSION_ID=") and known[2].startswith("CIPHER=TLS_")
        assert "SERVER_S_DN_CN=mx.example.test" in known and "CLIENT_VERIFY=NONE" in known
        s.sendall(b"hello\n")
        assert s.recv(100) == b"hello\n"


def test_a_failed_handshake_is_an_end_of_file(starttls):
    with begun(starttls, b"Y\n") as s:
        s.sendall(b"EHLO this is no TLS\r\n" * 10)
        everything(s)
    starttls.wait_log("failed: ")
    wait_for(lambda: "status: 0/40" in starttls.log().splitlines()[-1], 20, "the end of the program")


def test_nonsense_on_the_control_stream_starts_nothing(certificates, starttls):
    with begun(starttls, b"z\n") as s, pytest.raises(OSError):
        context(certificates).wrap_socket(s, server_hostname="mx.example.test")


def test_tls_starts_once(certificates, starttls):
    with context(certificates).wrap_socket(begun(starttls, b"yYy\n"), server_hostname="mx.example.test") as s:
        s.sendall(b"hello\n")
        assert s.makefile().read(7) == "\nhello\n"


def test_a_peer_that_stalls_loses_its_place(certificates):
    with Served("sslserver", ["-T2", "-c1", *QUIET], ["cat"], keys(certificates)) as served, dial(served) as silent:
        assert everything(silent) == b""
        assert "failed: the peer said nothing" in served.wait_log("failed: ")

        def works():
            try:
                return echoes(served, certificates)
            except OSError:
                return False  # two seconds are little on a busy machine

        wait_for(works, 30, "a handshake in time")


def test_plain_text_to_a_tls_port(certificates):
    with Served("sslserver", QUIET, ["cat"], keys(certificates)) as served, dial(served) as s:
        s.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert b"GET" not in everything(s)
        assert "failed: " in served.wait_log("failed: ")
        assert echoes(served, certificates)


def test_a_connection_at_rest_ends(certificates):
    with Served("sslserver", ["-w3", *QUIET], ["cat"], keys(certificates)) as served:
        with context(certificates).wrap_socket(dial(served), server_hostname="mx.example.test") as s:
            s.sendall(b"x")
            assert s.recv(1) == b"x"
            assert everything(s) == b""


def test_ipv6_and_its_variables(certificates):
    with Served("tcpserver", ["-H", "-lx", *USER], ["env"], host="::1") as served:
        with socket.create_connection(("::1", served.port), 20) as s:
            e = environment_of(everything(s).decode())
    assert e["PROTO"] == "TCP6" and e["TCP6REMOTEIP"] == e["TCPREMOTEIP"] == "::1"
    with Served("tcpserver", ["-H", "-lx", *USER], ["env"], host=":0") as served:
        for host, proto, ip in (("127.0.0.1", "TCP", "127.0.0.1"), ("::1", "TCP6", "::1")):
            with socket.create_connection((host, served.port), 20) as s:
                e = environment_of(everything(s).decode())
            assert (e["PROTO"], e["TCPREMOTEIP"]) == (proto, ip)


def test_early_rules_go_before_the_others(certificates):
    with Served("tcpserver", ["-y", "early.cdb", "-x", "rules.cdb", "-lx", *USER], ["env"]) as served:
        early = served.rules("127.0.0.2:deny\n127.0.0.3:allow,A=\"early\"\n")
        os.rename(early, served.path("early.cdb"))
        served.rules("127.0.0.3:deny\n=localhost:allow,A=\"late\"\n:allow,A=\"other\",MAXCONIP=\"1\"\n")
        assert everything(dial(served, "127.0.0.2")) == b""
        assert environment_of(everything(dial(served, "127.0.0.3")).decode())["A"] == "early"
        assert environment_of(everything(dial(served)).decode())["A"] == "late"


def test_a_rule_limits_connections_of_an_address(certificates):
    with Served("tcpserver", ["-x", "rules.cdb", *QUIET], ["cat"]) as served:
        served.rules(":allow,MAXCONIP=\"1\"\n")
        with dial(served) as first:
            first.sendall(b"x")
            assert first.recv(1) == b"x"
            assert everything(dial(served)) == b""
            served.wait_log(" ip connection limit")


def test_a_banner_goes_first(certificates):
    with Served("sslserver", ["-B", "welcome\r\n", *QUIET], ["echo", "program"], keys(certificates)) as served:
        with context(certificates).wrap_socket(dial(served), server_hostname="mx.example.test") as s:
            assert everything(s) == b"welcome\r\nprogram\n"


def test_ident_is_asked_and_believed_as_text_alone():
    address = "127.%d.%d.%d" % tuple(random.randrange(1, 250) for _ in range(3))
    with socket.create_server((address, 113)) as identd:
        def answer():
            c, _ = identd.accept()
            asked = c.recv(100).split()
            c.sendall(b"%s , %s : USERID : UNIX : joe\x01x\r\n" % (asked[0], asked[2]))
            c.close()

        thread = threading.Thread(target=answer)
        thread.start()
        with Served("tcpserver", ["-r", "-t", "10", *QUIET], ["env"]) as served:
            e = environment_of(everything(dial(served, address)).decode())
        thread.join(20)
    assert e["TCPREMOTEINFO"] == "joe?x"


@plain_only
def test_no_process_has_the_private_numbers(certificates):
    c = certificates
    needles = secrets_of(c.path("one.key"))
    with Served("sslserver", QUIET, ["cat"], keys(c)) as served:
        stop = []

        def busy():
            while not stop:
                echoes(served, c)

        peers = [threading.Thread(target=busy) for _ in range(2)]
        for p in peers:
            p.start()
        names, found = set(), set()
        for _ in range(3):
            for pid in family([served.process.pid]):
                try:
                    with open(f"/proc/{pid}/comm") as f:
                        name = f.read().strip()
                    names.add(name)
                    if holds(pid, needles):
                        found.add(name)
                except OSError:
                    pass  # it has ended
        stop.append(1)
        for p in peers:
            p.join()
    assert {"sslserver", "tls", "keyload", "ucspitls"} <= names and found <= {"keyload"}


@plain_only
def test_its_processes_are_as_the_plan_says(certificates):
    with Served("sslserver", QUIET, ["cat"], keys(certificates)) as served:
        assert echoes(served, certificates)

        def plan():
            done = subprocess.run([f"{BIN}/postern", "plan", "--live", "-R", served.path("run")], capture_output=True, text=True)
            return done.stdout if done.returncode == 0 else None

        text = wait_for(plan, 20, "a plan without deviations")
        for name in ("sslserver", "ucspitls", "tls", "keyload"):
            assert f" {name} " in text, text


def test_users_are_kept_apart(certificates):
    def served_as(uid, **environment):
        served = Served("sslserver", ["-lx"], ["cat"], keys(certificates, **environment))
        served.words[1:1] = ["-u", str(served.uids["tls-sslserver"]) if uid == "tls" else str(uid)]
        return served.refuses()

    status, text = served_as("tls")
    assert status == 111 and "may not run as Postern's user for tls" in text
    status, text = served_as(PROGRAM_UID, SSL_UID=str(PROGRAM_UID))
    assert status == 111 and "SSL_UID" in text
    served = Served("sslserver", QUIET, ["cat"], keys(certificates))
    served.environment["SSL_UID"] = str(served.uids["key-sslserver"])
    status, text = served.refuses()
    assert status == 111 and "must not be one user" in text


def test_the_engine_may_have_another_user(certificates):
    with Served("sslserver", QUIET, ["cat"], keys(certificates, SSL_UID=str(PROGRAM_UID + 1), SSL_GID=str(PROGRAM_UID + 2))) as served:
        assert echoes(served, certificates)
        pids = [n for n in os.listdir(served.path("run")) if n.endswith(".pids")]
        with open(served.path("run/" + pids[0])) as f:
            tls = [line.split() for line in f if line.startswith("tls ")][0]
        with open(f"/proc/{tls[1]}/status") as f:
            assert f"Uid:\t{PROGRAM_UID + 1}\t" in f.read()


def test_certificates_by_name(certificates, tmp_path):
    c = certificates
    for suffix in (".pem", ".key"):
        os.link(c.path("two" + suffix), tmp_path / ("two" + suffix))
    with Served("sslserver", QUIET, ["cat"], keys(c, CERTDIR=str(tmp_path))) as served:
        for name, shown in (("two.example.test", "two"), ("mx.example.test", "one"), ("other.example.test", "one")):
            with context(c).wrap_socket(dial(served), server_hostname=name) as s:
                assert s.getpeercert(True) == c.fingerprint(shown)


def test_older_versions_are_refused(certificates):
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1
    with Served("sslserver", QUIET, ["cat"], keys(certificates)) as served, dial(served) as s:
        with pytest.raises(OSError):
            old.wrap_socket(s, server_hostname="x")
        assert "failed: " in served.wait_log("failed: ")


@plain_only
def test_a_limit_of_memory_is_the_programs(certificates):
    served = Served("sslserver", QUIET, ["sh", "-c", "ulimit -v; cat"], keys(certificates))
    served.words[:0] = ["softlimit", "-a", "20000000"]
    with served, context(certificates).wrap_socket(dial(served), server_hostname="mx.example.test") as s:
        assert s.recv(100) == b"19531\n"


def test_a_renewal_in_the_middle_of_handshakes_fails_none(certificates, tmp_path):
    c, failures, seen = certificates, [], set()

    def install(name):
        for suffix in (".pem", ".key"):
            shutil.copy(c.path(name + suffix), tmp_path / "new")
            os.rename(tmp_path / "new", tmp_path / ("live" + suffix))

    install("one")
    live = {"CERTFILE": str(tmp_path / "live.pem"), "KEYFILE": str(tmp_path / "live.key")}
    with Served("sslserver", QUIET, ["cat"], live) as served:
        def peer():
            for _ in range(30):
                try:
                    with context(c).wrap_socket(dial(served), server_hostname="mx.example.test") as s:
                        seen.add(s.getpeercert(True))
                        s.sendall(b"x")
                        assert s.recv(1) == b"x"
                except Exception as e:
                    failures.append(repr(e))

        peers = [threading.Thread(target=peer) for _ in range(3)]
        for p in peers:
            p.start()
        for n, name in enumerate(("two", "one")):
            install(name)
            served.process.send_signal(signal.SIGHUP)
            wait_for(lambda: served.log().count("certificates read anew") > n, 20, "a renewal")
            with context(c).wrap_socket(dial(served), server_hostname="mx.example.test") as s:
                assert s.getpeercert(True) == c.fingerprint(name)
        for p in peers:
            p.join()
        assert failures == [] and seen <= {c.fingerprint("one"), c.fingerprint("two")}


def test_a_program_has_the_descriptors_of_its_connection_alone(certificates):
    listing = ["sh", "-c", 'for f in /proc/$$/fd/*; do echo "${f##*/} $(readlink $f)"; done; echo "$SSLCTLFD $SSLREADFD $SSLWRITEFD $SSLENDFD"']
    with Served("sslserver", QUIET, listing, keys(certificates)) as served:
        with context(certificates).wrap_socket(dial(served), server_hostname="mx.example.test") as s:
            at_once = everything(s).decode().split("\n")
    with Served("sslserver", ["-n", *QUIET], listing, keys(certificates)) as served, dial(served) as s:
        later = everything(s).decode().split("\n")
    with Served("tcpserver", QUIET, listing) as served, dial(served) as s:
        plain = everything(s).decode().split("\n")
    # the shell itself has a pipe or a directory open meanwhile, above 9
    def numbers(lines):
        return {int(line.split()[0]) for line in lines if line and line[0].isdigit() and "socket:" in line or line[:2] == "2 "}

    assert numbers(plain) == {0, 1, 2}
    assert numbers(at_once) == {0, 1, 2, int(at_once[-2])}
    assert numbers(later) == {0, 1, 2} | {int(n) for n in later[-2].split()} and len(numbers(later)) == 6
