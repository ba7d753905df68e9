"""sslserver and tcpserver: programs that nobody here wrote, served with TLS at once and when they ask for it."""
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile

import pytest
from instance import BIN, wait_for
from tls_rig import Certificates, context, openssl
from ucspi_rig import PROGRAM_UID, Served, environment_of

USER = ["-u", str(PROGRAM_UID), "-g", str(PROGRAM_UID)]
ENV = ["sh", "-c", "env; id; echo end"]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    c = Certificates(str(tmp_path_factory.mktemp("ucspi")))
    c.issue("one", kind="rsa")
    c.issue("two", kind="p256")
    c.issue("joe", names="email:joe@example.test,DNS:localhost", subject="Joe")
    c.issue("locked", passphrase="open sesame")
    c.self_signed("stranger", "Stranger", ["basicConstraints=critical,CA:FALSE"])
    return c


def keys(c, name="one", **others):
    return {"CERTFILE": c.path(name + ".pem"), "KEYFILE": c.path(name + ".key"), **others}


def dial(served, how=None, source="127.0.0.1", name="mx.example.test"):
    s = socket.create_connection(("127.0.0.1", served.port), 20, (source, 0))
    return how.wrap_socket(s, server_hostname=name) if how else s


def everything(s):
    out = b""
    try:
        while more := s.recv(65536):
            out += more
    except (ConnectionResetError, ssl.SSLError):
        pass
    return out.decode()


def ask(served, how=None, say=b"", source="127.0.0.1"):
    with dial(served, how, source) as s:
        if say:
            s.sendall(say)
        return everything(s)


def test_an_http_server_behind_tls(certificates):
    with Served("sslserver", USER, ["busybox", "httpd", "-i", "-h", "."], keys(certificates)) as served:
        with open(served.path("page"), "w") as f:
            f.write("hello from busybox\n")
        answer = ask(served, context(certificates), b"GET /page HTTP/1.0\r\n\r\n")
        assert " 200 " in answer.split("\r\n")[0] and answer.endswith("hello from busybox\n")


def test_a_program_asks_for_tls_when_its_peer_does(certificates):
    mailfront = ["mailfront", "smtp", "echo", "starttls-ucspi", "accept"]
    with Served("sslserver", ["-V", "-n", "-l", "mx", *USER], mailfront, keys(certificates, UCSPITLS="")) as served, dial(served) as s:
        assert s.recv(4096).startswith(b"220 ")
        s.sendall(b"EHLO a\r\n")
        assert b"STARTTLS" in s.recv(4096)
        s.sendall(b"STARTTLS\r\n")
        assert s.recv(4096).startswith(b"220 ")
        with context(certificates).wrap_socket(s, server_hostname="mx.example.test") as t:
            t.sendall(b"EHLO a\r\n")
            answer = t.recv(4096)
            assert answer.startswith(b"250") and b"STARTTLS" not in answer
            t.sendall(b"QUIT\r\n")
            assert t.recv(4096).startswith(b"221 ")
        assert "accept [TLSv1.3:TLS_" in served.wait_log(" accept [")


HOW_IT_ENDED = ["python3", "-c", """
import os, sys
if "SSLCTLFD" in os.environ:
    os.write(1, b"ready\\n")
    os.write(int(os.environ["SSLCTLFD"]), b"y")
    os.dup2(int(os.environ["SSLREADFD"]), 0)
n = 0
while (piece := os.read(0, 65536)):
    n += len(piece)
said = os.read(int(os.environ["SSLENDFD"]), 1)
print(f"program: {n} octets,", "ended" if said == b"E" else "cut off", file=sys.stderr)
"""]


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_program_can_tell_a_stream_that_was_cut_off_from_its_end(certificates, at_once, version):
    options = ["-l", "mx", *USER] if at_once else ["-n", "-l", "mx", *USER]
    with Served("sslserver", options, HOW_IT_ENDED, keys(certificates)) as served:
        for ends, words in ((True, "program: 100000 octets, ended"), (False, "program: 100000 octets, cut off")):
            s = dial(served)
            if not at_once:
                assert s.recv(100) == b"ready\n"
            t = context(certificates, version=version).wrap_socket(s, server_hostname="mx.example.test", suppress_ragged_eofs=True)
            t.sendall(b"x" * 100000)
            if ends:
                t.settimeout(10)
                try:
                    t.unwrap()
                except (OSError, ssl.SSLError):
                    pass
            t.close()
            served.wait_log(words)


def test_the_environment_is_the_documented_one(certificates):
    with Served("sslserver", ["-s", "-l", "here.test", *USER], ENV, keys(certificates, SSLREMOTEINFO="old")) as served:
        with dial(served, context(certificates)) as s:
            port = s.getsockname()[1]
            text = everything(s)
            cipher = s.cipher()[0]
        e = environment_of(text)
        for family in ("SSL", "TCP"):
            assert e[family + "LOCALIP"] == e[family + "REMOTEIP"] == "127.0.0.1"
            assert (e[family + "LOCALPORT"], e[family + "REMOTEPORT"]) == (str(served.port), str(port))
            assert e[family + "LOCALHOST"] == "here.test" and family + "REMOTEINFO" not in e
        assert (e["PROTO"], e["SSL_PROTOCOL"], e["SSL_CIPHER"], e["SSL_TLS_SNI"]) == ("TCP", "TLSv1.3", cipher, "mx.example.test")
        assert (e["SSL_SERVER_S_DN_CN"], e["SSL_SERVER_I_DN_CN"]) == ("mx.example.test", "Test CA")
        assert (e["SSL_VERSION_INTERFACE"], e["SSL_CLIENT_VERIFY"], e["SSL_CIPHER_EXPORT"]) == ("ucspi-ssl", "NONE", "false")
        serial = openssl("x509", "-in", certificates.path("one.pem"), "-noout", "-serial").decode().strip()
        assert e["SSL_SERVER_M_SERIAL"] == serial.split("=")[1]
        assert e["SSL_SERVER_SAN_DNS_0"] == "mx.example.test" and e["SSL_SERVER_A_KEY"] == "rsaEncryption"
        assert "SSLCTLFD" not in e and f"uid={PROGRAM_UID} gid={PROGRAM_UID} groups={PROGRAM_UID}\n" in text


def test_a_wrong_tls_variable_is_a_refusal_to_start_and_others_are_the_programs(certificates):
    for name, value, words in (("VERIFYDEPTH", "many", "expected a number from 0 to 100 as VERIFYDEPTH"), ("CCAVERIFY", "no", "expected no CCAVERIFY at all"),
                               ("CADIR", "cas", "expected an absolute path as CADIR")):
        done = subprocess.run([f"{BIN}/sslserver", "127.0.0.1", "0", "cat"], env=keys(certificates, **{name: value}), capture_output=True, text=True, timeout=30)
        assert done.returncode == 111 and words in done.stderr, done.stderr
    with Served("sslserver", ["-lx", *USER], ENV, keys(certificates, SPF="7", UCSPITLS="always")) as served:
        e = environment_of(ask(served, context(certificates)))
        assert e["SPF"] == "7" and e["UCSPITLS"] == "always"


def test_without_e_only_the_variables_of_ssl_are_set(certificates):
    with Served("sslserver", ["-EH", *USER], ENV, keys(certificates, TCPREMOTEIP="192.0.2.1")) as served:
        e = environment_of(ask(served, context(certificates)))
        assert e["PROTO"] == "SSL" and e["SSLREMOTEIP"] == "127.0.0.1"
        assert not [n for n in e if n.startswith(("TCP", "SSL_", "SSLREMOTEHOST"))]


def test_rules_decide_by_address_and_give_variables(certificates):
    c = certificates
    with Served("sslserver", ["-x", "rules.cdb", "-lx", *USER], ENV, keys(c)) as served:
        assert ask_refused(served, context(c)), "no rules file, no service"
        served.rules(f"127.0.0.2:deny\n127.0.0.3:allow,RELAYCLIENT=\"\",CERTFILE=\"{c.path('two.pem')}\",KEYFILE=\"{c.path('two.key')}\"\n")
        assert ask_refused(served, context(c), "127.0.0.2")
        served.wait_log("deny ")
        assert "RELAYCLIENT" not in environment_of(ask(served, context(c)))
        served.process.send_signal(signal.SIGHUP)
        served.wait_log("certificates read anew")
        with dial(served, context(c), "127.0.0.3") as s:
            assert s.getpeercert(True) == c.fingerprint("two")
            assert environment_of(everything(s))["RELAYCLIENT"] == ""
        with dial(served, context(c)) as s:
            assert s.getpeercert(True) == c.fingerprint("one")


def ask_refused(served, how, source="127.0.0.1"):
    try:
        return ask(served, how, source=source) == ""
    except (ConnectionResetError, ssl.SSLError, BrokenPipeError):
        return True


def test_client_certificates(certificates):
    c = certificates
    with Served("sslserver", ["-ms", "-lx", *USER], ENV, keys(c, CCAFILE=c.path("ca.pem"))) as served:
        assert ask_refused(served, context(c))
        assert ask_refused(served, context(c, own="stranger"))
        assert "failed: " in served.wait_log("failed: ")
        e = environment_of(ask(served, context(c, own="joe")))
        assert (e["SSL_CLIENT_VERIFY"], e["SSL_CLIENT_S_DN_CN"], e["SSL_CLIENT_SAN_Email_0"]) == ("SUCCESS", "Joe", "joe@example.test")
        assert e["SSL_CLIENT_CERT"].startswith("-----BEGIN CERTIFICATE")


def test_a_client_certificate_may_be_demanded_by_a_rule(certificates):
    c = certificates
    with Served("sslserver", ["-sXx", "rules.cdb", "-lx", *USER], ENV, keys(c, CCAFILE=c.path("ca.pem"))) as served:
        served.rules('127.0.0.2:allow,CCAVERIFY=""\n127.0.0.3:allow,CCAFILE="-"\n')
        assert ask_refused(served, context(c), "127.0.0.2")
        assert environment_of(ask(served, context(c, own="joe"), source="127.0.0.2"))["SSL_CLIENT_S_DN_CN"] == "Joe"
        assert environment_of(ask(served, context(c, own="joe"), source="127.0.0.3"))["SSL_CLIENT_VERIFY"] == "NONE"
        e = environment_of(ask(served, context(c, own="joe")))
        assert e["SSL_CLIENT_VERIFY"] == "SUCCESS"


def test_a_certificate_is_for_a_name(certificates):
    c = certificates
    with Served("sslserver", ["-z", "-lx", *USER], ENV, keys(c, CCAFILE=c.path("ca.pem"))) as served:
        e = environment_of(ask(served, context(c, own="joe")))
        assert e["SSLREMOTEHOST"] == "localhost"
        assert ask_refused(served, context(c, own="two")), "a certificate of another name"


def test_no_more_programs_than_the_limit(certificates):
    with Served("sslserver", ["-c2", "-H", "-lx", *USER], ["cat"], keys(certificates)) as served:
        a, b = (dial(served, context(certificates)) for _ in range(2))
        for s in (a, b):
            s.sendall(b"x")
            assert s.recv(1) == b"x"
        third = dial(served)
        served.wait_log("status: 2/2")
        assert served.log().count("pid ") == 2
        a.close()
        with context(certificates).wrap_socket(third, server_hostname="x") as s:
            s.sendall(b"y")
            assert s.recv(1) == b"y"
        b.close()


def test_a_limit_for_each_address(certificates):
    with Served("tcpserver", ["-H", "-lx"], ["cat"], {"MAXCONIP": "1"}) as served, dial(served) as a:
        a.sendall(b"x")
        assert a.recv(1) == b"x"
        assert ask(served) == ""
        served.wait_log("ip connection limit of 1 exceeded for: 127.0.0.1")
        with dial(served, source="127.0.0.2") as b:
            b.sendall(b"x")
            assert b.recv(1) == b"x"


def test_tcpserver_sets_what_the_original_sets(certificates):
    """Debian's tcpserver beside ours: the same variables for the same connection, but for ports and what ours adds."""
    program = ["sh", "-c", "env | grep -a ^[TP][CR][PO] | sort"]
    options = ["-u", str(PROGRAM_UID), "-g", str(PROGRAM_UID), "-l", "here.test", "-R"]
    with Served("tcpserver", options, program) as served:
        ours = environment_of(ask(served))
    theirs = original(options, program)
    for e in (ours, theirs):
        assert e.pop("TCPLOCALPORT").isdigit() and e.pop("TCPREMOTEPORT").isdigit()
    assert ours.pop("TCPREMOTEHOST") == "localhost", "by the host's own means, not by DNS alone"
    theirs.pop("TCPREMOTEHOST", None)
    assert ours == theirs


def original(options, program):
    with subprocess.Popen(["/usr/bin/tcpserver", "-1", *options, "127.0.0.1", "0", *program], stdout=subprocess.PIPE) as p:
        with socket.create_connection(("127.0.0.1", int(p.stdout.readline())), 20) as s:
            text = everything(s)
        p.terminate()
    return environment_of(text)


def test_signals_and_exit_statuses(certificates):
    c = certificates

    def status(*words, env=None):
        return subprocess.run([*words], env={"PATH": os.environ["PATH"], **(env or {})}, stdin=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, timeout=30).returncode

    assert status(f"{BIN}/sslserver") == status(f"{BIN}/tcpserver", "-c0", "0", "0", "cat") == 100
    assert status(f"{BIN}/tcpserver", "127.0.0.1", "no-such-service", "cat") == 111
    assert status(f"{BIN}/sslserver", "127.0.0.1", "0", "cat") == 111, "no certificate"
    assert status(f"{BIN}/sslserver", "127.0.0.1", "0", "cat", env=keys(c, "absent")) == 111, "no such file"
    assert status(f"{BIN}/sslserver", "-m", "127.0.0.1", "0", "cat", env=keys(c)) == 110
    with Served("sslserver", USER, ["cat"], keys(c)) as served:
        assert served.stop() == 0


def test_without_root_tcpserver_serves_and_sslserver_says_what_it_needs(certificates):
    served = Served("tcpserver", ["-H", "-lx"], ["id", "-u"])
    served.words[:0] = ANYBODY
    with served:
        assert ask(served) == "64051\n"
    served = Served("sslserver", ["-H"], ["id"], {"CERTDIR": "/"})
    served.words[:0] = ANYBODY
    status, text = served.refuses()
    assert status == 111 and "must be started by root" in text


def test_a_renewed_pair_is_used_after_sighup(certificates, tmp_path):
    c = certificates
    for suffix in (".pem", ".key"):
        shutil.copy(c.path("one" + suffix), tmp_path / ("live" + suffix))
    live = {"CERTFILE": str(tmp_path / "live.pem"), "KEYFILE": str(tmp_path / "live.key")}
    with Served("sslserver", ["-H", "-lx", *USER], ["cat"], live) as served, dial(served, context(c)) as before:
        assert before.getpeercert(True) == c.fingerprint("one")
        for suffix in (".pem", ".key"):
            shutil.copy(c.path("two" + suffix), tmp_path / ("live" + suffix))
        served.process.send_signal(signal.SIGHUP)
        served.wait_log("certificates read anew")
        with dial(served, context(c)) as after:
            assert after.getpeercert(True) == c.fingerprint("two")
        before.sendall(b"still there")
        assert before.recv(100) == b"still there"


def test_a_passphrase_comes_by_descriptor_3(certificates, tmp_path):
    c = certificates
    (tmp_path / "pass").write_bytes(b"open sesame\0")
    words = ["sh", "-c", f'exec "$@" 3<{tmp_path}/pass', "sh"]
    served = Served("sslserver", ["-3H", "-lx", *USER], ["cat"], keys(c, "locked"))
    served.words = words + served.words
    with served, dial(served, context(c)) as s:
        assert s.getpeercert(True) == c.fingerprint("locked")


def test_a_helper_that_dies_is_replaced(certificates):
    with Served("sslserver", ["-H", "-lx", *USER], ["cat"], keys(certificates)) as served:
        for name in ("ucspitls", "tls", "keyload"):
            os.kill(helpers(served)[name], signal.SIGKILL)
            served.wait_log(f"{name} ended with status 9")

            def works():
                with dial(served, context(certificates)) as s:
                    s.sendall(b"x")
                    return s.recv(1) == b"x"

            wait_for(lambda: tried(works), 20, "TLS again")


def tried(f):
    try:
        return f()
    except OSError:
        return False


def helpers(served):
    names = [n for n in os.listdir(served.path("run")) if n.endswith(".pids")]
    with open(served.path("run/" + names[0])) as f:
        return {line.split()[0]: int(line.split()[1]) for line in f}


# ---- clients ----

ANYBODY = ["setpriv", "--reuid", "64051", "--regid", "64051", "--clear-groups"]
NO_NAMESPACES = ["unshare", "-U", "--map-user=64051", "--map-group=64051", "--keep-caps", "sh", "-c",
                 'echo 0 >/proc/sys/user/max_user_namespaces && exec setpriv --inh-caps -all --ambient-caps -all "$@"', "sh"]
WHOM = {"root": [], "somebody": ANYBODY, "somebody without namespaces": NO_NAMESPACES}


def client(served, *words, as_whom=(), command="sslclient", host="localhost", environment=None):
    return subprocess.run([*as_whom, f"{BIN}/{command}", *words[:-1], host, str(served.port), "sh", "-c", words[-1]],
                          env={**served.house, **(environment or {})}, capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def readable(tmp_path_factory):
    """Certificates that anybody may read, below a directory that anybody may enter."""
    directory = tempfile.mkdtemp(prefix="us.", dir="/tmp")
    os.chmod(directory, 0o755)
    c = Certificates(directory)
    c.issue("server", names="DNS:localhost,IP:127.0.0.1")
    c.issue("joe", subject="Joe")
    c.issue("locked", subject="Locked", passphrase="open sesame")
    c.self_signed("other", "Other CA", ["basicConstraints=critical,CA:TRUE"])
    for name in os.listdir(directory):
        os.chmod(c.path(name), 0o644)
    os.mkdir(c.path("others"))
    os.rename(c.path("other.pem"), c.path("others/other.pem"))
    os.mkdir(c.path("tmp"))
    os.chmod(c.path("tmp"), 0o1777)
    yield c
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def greeter(readable):
    c = readable
    environment = keys(c, "server", CCAFILE=c.path("ca.pem"))
    with Served("sslserver", ["-s", "-lx", *USER], ["sh", "-c", "echo hello $SSL_CLIENT_S_DN_CN; cat"], environment) as served:
        yield served


@pytest.mark.parametrize("whom", WHOM)
def test_sslclient_reaches_sslserver(readable, greeter, whom):
    c, who, tmp = readable, WHOM[whom], {"TMPDIR": readable.path("tmp")}
    done = client(greeter, "-s", "-a", c.path("ca.pem"), "read x <&6; echo $x; echo $SSL_SERVER_SAN_DNS_0 $SSL_SERVER_VERIFY $PROTO; exit 7",
                  as_whom=who, environment=tmp)
    assert (done.returncode, done.stdout) == (7, "hello\nlocalhost SUCCESS TCP\n"), done.stderr
    done = client(greeter, "-a", c.path("ca.pem"), "-c", c.path("joe.pem"), "-k", c.path("joe.key"), "read x <&6; echo $x", as_whom=who,
                  environment=tmp)
    assert (done.returncode, done.stdout) == (0, "hello Joe\n"), done.stderr
    assert os.listdir(c.path("tmp")) == [], "nothing of a key stays on disk"
    assert [n for n in os.listdir(greeter.path("run")) if n.startswith("sslclient.")] == []


def test_sslclient_demands_proof(readable, greeter):
    c, program = readable, "read x <&6; echo $x"
    for words, host, words_of_failure in ((("-A", c.path("others")), "localhost", "does not verify"),
                                          (("-a", c.path("ca.pem")), "127.0.0.2.sslip.invalid", "no IP address"),
                                          (("-a", c.path("joe.key")), "localhost", "")):
        done = client(greeter, *words, program, host=host)
        assert (done.returncode, done.stdout) == (111, "") and words_of_failure in done.stderr, done.stderr
    assert client(greeter, "-a", c.path("ca.pem"), program, host="127.0.0.1").stdout == "hello\n", "an address in the certificate"
    assert client(greeter, "-X", program).stdout == "hello\n"
    assert client(greeter, "-x", program, environment={"CAFILE": c.path("ca.pem")}).stdout == "hello\n"


def test_sslclient_knows_another_name(readable):
    c = readable
    with Served("sslserver", ["-lx", *USER], ["echo", "hello"], keys(c, "joe")) as served:
        done = client(served, "-a", c.path("ca.pem"), "cat <&6")
        assert done.returncode == 111 and "localhost" in done.stderr, done.stderr
        assert client(served, "-N", "-a", c.path("ca.pem"), "cat <&6").stdout == "hello\n"


def test_sslclient_with_an_encrypted_key(readable, greeter):
    c = readable
    with open(c.path("pass"), "w") as f:
        f.write("open sesame\n")
    words = ("-a", c.path("ca.pem"), "-c", c.path("locked.pem"), "-k", c.path("locked.key"))
    assert client(greeter, *words, "-K", c.path("pass"), "read x <&6; echo $x").stdout == "hello Locked\n"
    assert client(greeter, *words, "read x <&6; echo $x").stdout != "hello Locked\n"


def test_much_goes_both_ways(readable, greeter):
    program = "read x <&6; head -c 3000000 /dev/urandom >sent; cat sent >&7 & head -c 3000000 <&6 >got; cmp sent got && echo the same"
    done = client(greeter, "-a", readable.path("ca.pem"), f"cd {greeter.dir}; {program}")
    assert done.stdout == "the same\n", done.stderr


def test_tcpclient(certificates):
    with Served("tcpserver", ["-lx", *USER], ["cat"]) as served:
        done = client(served, "-lme", "echo hi >&7; read x <&6; echo $x $PROTO $TCPREMOTEIP $TCPREMOTEPORT $TCPLOCALHOST; exit 5",
                      command="tcpclient")
        assert (done.returncode, done.stdout) == (5, f"hi TCP 127.0.0.1 {served.port} me\n"), done.stderr
        port = served.port
    gone = subprocess.run([f"{BIN}/tcpclient", "-T1", "127.0.0.1", str(port), "true"], capture_output=True, timeout=30)
    assert gone.returncode == 111 and b"Connection refused" in gone.stderr
    assert subprocess.run([f"{BIN}/tcpclient", "-T1+x", "127.0.0.1", "1", "true"], capture_output=True, timeout=30).returncode == 100
