"""POP3 and POP3S of a running instance: with clients that people use, and by hand."""
import os
import poplib
import signal
import subprocess

import pytest
from instance import BIN, wait_for
from pop3_rig import PASSWORD, Pop3
from tls_rig import Certificates, context

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    c = Certificates(str(tmp_path_factory.mktemp("tls")))
    c.issue("p256", "DNS:mx.example.test,DNS:localhost")
    return c


@pytest.fixture(scope="module")
def pop3(certificates):
    with Pop3(certificates) as i:
        yield i
        killed = [line for line in i.log().splitlines() if "session-killed" in line and "process=lspawn" not in line]
        assert killed == []  # but for what a test has killed


def fresh(pop3, user, n=3):
    """A mailbox with n messages, and these as they are to be fetched."""
    subprocess.run(["rm", "-rf", pop3.path("mail/" + user)], check=True)
    return pop3.fill(user, n)


def boxes(pop3, service="pop3s"):
    """Processes that show a mailbox now."""
    parent = pop3.pids(service)["lspawn"]
    with open(f"/proc/{parent}/task/{parent}/children") as f:
        return [int(p) for p in f.read().split()]


# ---- clients ----

def poplib_client(pop3, service):
    how = context(pop3.certificates)
    if service == "pop3s":
        return poplib.POP3_SSL("127.0.0.1", pop3.pop3s_port, context=how, timeout=15)
    client = poplib.POP3("127.0.0.1", pop3.pop3_port, timeout=15)
    client.stls(how)
    return client


@pytest.mark.parametrize("service", ["pop3", "pop3s"])
def test_poplib_fetches_keeps_and_deletes(pop3, service):
    texts = fresh(pop3, "alice")
    client = poplib_client(pop3, service)
    assert "PLAIN" in client.capa()["SASL"] and "USER" in client.capa() and "STLS" not in client.capa()
    client.user("alice@example.test")
    client.pass_(PASSWORD)
    assert client.stat() == (3, sum(map(len, texts)))
    assert [line.split() for line in client.list()[1]] == [[b"%d" % (n + 1), b"%d" % len(t)] for n, t in enumerate(texts)]
    ids = client.uidl()[1]
    for n, text in enumerate(texts):
        assert b"\r\n".join(client.retr(n + 1)[1]) + b"\r\n" == text
    assert client.top(3, 1)[1] == texts[2].split(b"\r\n")[:4]
    client.dele(2)
    client.quit()
    wait_for(lambda: len(pop3.stored("alice")) == 2, 10, "removal")
    client = poplib_client(pop3, service)
    client.user("alice@example.test")
    client.pass_(PASSWORD)
    assert client.uidl()[1] == [ids[0], b"2 " + ids[2].split()[1]]
    client.quit()


def test_apop_and_cram_md5(pop3):
    fresh(pop3, "alice", 1)
    client = poplib_client(pop3, "pop3s")
    client.apop("alice@example.test", PASSWORD)
    assert client.stat()[0] == 1
    client.quit()
    done = subprocess.run(["curl", "-sS", "--cacert", pop3.certificates.path("ca.pem"), "--resolve",
                           f"mx.example.test:{pop3.pop3s_port}:127.0.0.1", "--login-options", "AUTH=CRAM-MD5", "-u",
                           "alice@example.test:" + PASSWORD, f"pop3s://mx.example.test:{pop3.pop3s_port}/"], capture_output=True, timeout=30)
    assert done.returncode == 0 and done.stdout.startswith(b"1 "), done


def curl(pop3, service, path="", *words):
    port = pop3.pop3s_port if service == "pop3s" else pop3.pop3_port
    return subprocess.run(["curl", "-sS", "--ssl-reqd", "--cacert", pop3.certificates.path("ca.pem"), "--resolve", f"mx.example.test:{port}:127.0.0.1",
                           "-u", "bob@example.test:" + PASSWORD, *words, f"{service}://mx.example.test:{port}/{path}"], capture_output=True, timeout=30)


@pytest.mark.parametrize("service", ["pop3", "pop3s"])
def test_curl_fetches_and_deletes(pop3, service):
    texts = fresh(pop3, "bob", 2)
    assert curl(pop3, service).stdout == b"".join(b"%d %d\r\n" % (n + 1, len(t)) for n, t in enumerate(texts))
    assert curl(pop3, service, "2").stdout == texts[1]
    assert curl(pop3, service, "1", "-X", "DELE", "-l").returncode == 0
    wait_for(lambda: len(pop3.stored("bob")) == 1, 10, "removal")
    assert curl(pop3, service).stdout == b"1 %d\r\n" % len(texts[1])
    assert curl(pop3, service, "7").returncode != 0


@pytest.mark.parametrize("service", ["pop3", "pop3s"])
@pytest.mark.parametrize("keep", ["on", "off"])
def test_mpop_fetches_each_message_once(pop3, service, keep, tmp_path):
    texts = fresh(pop3, "carol")
    box = tmp_path / "box"
    words = ["mpop", "-C", "/dev/null", "--host=127.0.0.1", f"--port={pop3.pop3s_port if service == 'pop3s' else pop3.pop3_port}",
             "--user=carol@example.test", f"--passwordeval=printf '%s\\n' '{PASSWORD}'", "--auth=plain", "--tls=on",
             f"--tls-starttls={'off' if service == 'pop3s' else 'on'}", f"--tls-trust-file={pop3.certificates.path('ca.pem')}",
             "--tls-host-override=mx.example.test", "--tls-crl-file=", f"--keep={keep}", f"--uidls-file={tmp_path}/uidls", "--half-quiet",
             f"--delivery=mbox,{box}", "--received-header=off"]
    for _ in range(2):
        done = subprocess.run(words, capture_output=True, text=True, timeout=30, env={**os.environ, "HOME": str(tmp_path)})
        assert done.returncode == 0, done.stderr
    assert box.read_text().count("Subject: message") == 3
    assert len(pop3.stored("carol")) == (3 if keep == "on" else 0)
    assert texts[0].split(b"\r\n")[0].decode() in box.read_text()


@pytest.mark.parametrize("service", ["pop3", "pop3s"])
@pytest.mark.parametrize("keep", ["keep", "no keep"])
def test_fetchmail_fetches(pop3, service, keep, tmp_path):
    fresh(pop3, "dave")
    box, rc = tmp_path / "box", tmp_path / "rc"
    ssl = "ssl" if service == "pop3s" else "no ssl sslproto 'auto'"
    rc.write_text(f"poll 127.0.0.1 protocol pop3 port {pop3.pop3s_port if service == 'pop3s' else pop3.pop3_port} uidl\n"
                  f" user 'dave@example.test' password '{PASSWORD}' {keep} {ssl} sslcertck sslcertfile '{pop3.certificates.path('ca.pem')}'\n"
                  f" sslcommonname mx.example.test mda 'cat >> {box}'\n")
    rc.chmod(0o600)
    words = ["fetchmail", "-f", str(rc), "-i", str(tmp_path / "ids"), "--pidfile", str(tmp_path / "pid"), "--nosyslog", "--nodetach"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, env={**os.environ, "HOME": str(tmp_path), "FETCHMAILHOME": str(tmp_path)})
    assert done.returncode == 0, done.stdout + done.stderr
    assert box.read_text().count("Subject: message") == 3
    assert len(pop3.stored("dave")) == (3 if keep == "keep" else 0)


# ---- before the login ----

def test_no_password_is_taken_in_plain_text(pop3):
    with pop3.client() as c:
        assert c.line().startswith(b"+OK mx.example.test POP3")
        capabilities = c.ask("CAPA")
        assert b"STLS" in capabilities and not [x for x in capabilities if x.startswith((b"USER", b"SASL"))]
        for command in "USER alice@example.test", "PASS " + PASSWORD, "AUTH PLAIN", "APOP alice 0", "STAT", "RETR 1":
            assert c.say(command).startswith(b"-ERR")
    with pop3.client(address="127.0.0.2") as c:  # a rule allows it
        assert b"<" in c.line()
        assert c.say("USER alice@example.test").startswith(b"+OK")
        assert c.say("PASS " + PASSWORD).startswith(b"+OK")
    with pop3.client(address="127.0.0.3") as c:
        assert c.line() is None or c.line() is None


def test_without_a_certificate_there_is_no_stls(pop3):
    with pop3.client(address="127.0.0.4") as c:
        assert c.line().startswith(b"+OK")
        assert c.say("STLS").startswith(b"-ERR")
        assert c.say("CAPA").startswith(b"+OK")


def test_what_is_pipelined_behind_stls_is_not_done(pop3):
    fresh(pop3, "alice", 1)
    with pop3.client() as c:
        c.line()
        c.send(b"STLS\r\nUSER alice@example.test\r\nPASS " + PASSWORD.encode() + b"\r\nDELE 1\r\nQUIT\r\n")
        assert c.line().startswith(b"-ERR")
        assert c.is_over()
    assert len(pop3.stored("alice")) == 1
    wait_for(lambda: "starttls-pipelined" in pop3.log("pop3"), 10, "a line in the log")
    with pop3.client() as c:  # said before TLS is not said within
        c.line()
        assert c.say("UTF8").startswith(b"+OK")
        assert c.say("STLS").startswith(b"+OK")
        c.secure(pop3.certificates)
        assert c.say("PASS " + PASSWORD).startswith(b"-ERR")
        assert c.say("STLS").startswith(b"-ERR")


def test_a_wrong_password_opens_nothing(pop3):
    fresh(pop3, "alice", 1)
    with pop3.client("pop3s") as c:
        c.line()
        for user, word in ("alice", "x"), ("nobody", PASSWORD), ("../alice", PASSWORD), ("alice@example.test/../bob", PASSWORD):
            assert c.say(f"USER {user}").startswith(b"+OK")
            assert c.say("PASS " + word).startswith(b"-ERR [AUTH]")
        assert c.say("STAT").startswith(b"-ERR")


@pytest.mark.parametrize("nonsense", [b"\0" * 3000, b"A" * 100000, b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01" * 50, b"USER a\0b\r\nPASS x\r\n",
                                      b"AUTH PLAIN " + b"A" * 100000 + b"\r\n", b"\r\n" * 500, b"AUTH LOGIN\r\n*\r\n" * 50], ids=range(8))
def test_nonsense_before_the_login_ends_one_session(pop3, nonsense):
    with pop3.client("pop3s") as c:
        assert c.line().startswith(b"+OK")
        try:
            c.send(nonsense + b"\r\nSTAT\r\n")
            while (line := c.line()) is not None:
                assert line.startswith((b"-ERR", b"+ ")), line
                if line == b"-ERR log in first":
                    break
        except OSError:
            pass
    with pop3.logged_in("alice") as c:
        assert c.say("NOOP") == b"+OK"


# ---- after it ----

def test_what_is_pipelined_behind_the_password_is_done_as_the_user(pop3):
    texts = fresh(pop3, "alice")
    with pop3.client("pop3s") as c:
        c.line()
        c.send(b"USER alice@example.test\r\nPASS %s\r\nSTAT\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n" % PASSWORD.encode())
        assert c.line().startswith(b"+OK") and c.line().startswith(b"+OK")
        assert c.line() == b"+OK 3 %d" % sum(map(len, texts))
        assert c.line().startswith(b"+OK") and b"\r\n".join(c.lines()) + b"\r\n" == texts[0]
        assert c.line().startswith(b"+OK") and c.line().startswith(b"+OK") and c.is_over()
    assert len(pop3.stored("alice")) == 2


def test_a_session_that_is_cut_off_removes_nothing(pop3):
    fresh(pop3, "erin")
    with pop3.logged_in("erin") as c:
        for n in 1, 2, 3:
            assert c.say(f"DELE {n}").startswith(b"+OK")
        c.send(b"RETR 1\r\n")
    wait_for(lambda: not boxes(pop3), 10, "the end of its process")
    assert len(pop3.stored("erin")) == 3
    with pop3.logged_in("erin") as c:
        assert c.say("DELE 1").startswith(b"+OK")
        for pid in boxes(pop3):
            os.kill(pid, signal.SIGKILL)
        assert c.is_over()
    assert len(pop3.stored("erin")) == 3
    with pop3.logged_in("erin") as c:
        assert c.say("STAT").startswith(b"+OK 3 ")


def test_a_user_sees_only_their_own_mail(pop3):
    fresh(pop3, "alice", 2)
    fresh(pop3, "bob", 1)
    os.symlink(pop3.maildir("bob", "new/1700000000.M1P1Q0R1.host"), pop3.maildir("alice", "new/1700000009.link"))
    with pop3.logged_in("alice") as c:
        assert c.say("STAT").startswith(b"+OK 2 ")
        wait_for(lambda: len(boxes(pop3)) == 1, 15, "the end of those of earlier sessions")
        pid = boxes(pop3)[0]
        assert os.readlink(f"/proc/{pid}/cwd") == pop3.path("mail/alice/Maildir")
        status = open(f"/proc/{pid}/status").read()
        for fact in f"Uid:\t{pop3.uid + 19}\t", "CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2", "Groups:\t \n":
            assert fact in status, status
    os.makedirs(pop3.path("mail/frank"))
    os.symlink(pop3.path("elsewhere"), pop3.path("mail/frank/Maildir"))
    pop3.give("frank")
    os.lchown(pop3.path("mail/frank/Maildir"), pop3.uid + 19, pop3.uid + 19)
    with pop3.client("pop3s") as c:
        c.line()
        c.say("USER frank@example.test")
        assert c.say("PASS " + PASSWORD).startswith(b"-ERR [SYS/")  # no link leads out of the home
    os.unlink(pop3.path("mail/frank/Maildir"))
    with pop3.logged_in("frank") as c:  # no Maildir yet: there will be one
        assert c.say("STAT") == b"+OK 0 0"


def test_a_maildir_may_change_underneath(pop3):
    texts = fresh(pop3, "erin", 4)
    with pop3.logged_in("erin") as c:
        assert len(c.ask("UIDL")) == 4
        name = "1700000000.M1P1Q0R1.host"
        os.rename(pop3.maildir("erin", "new/" + name), pop3.maildir("erin", f"cur/{name}:2,FS"))
        os.unlink(pop3.maildir("erin", "new/1700000001.M1P1Q1R1.host"))
        pop3.put("erin", "1600000000.earlier", "later\n")
        assert b"\r\n".join(c.ask("RETR 1")) + b"\r\n" == texts[0]
        assert c.say("RETR 2") == b"-ERR that message is not there any more"
        assert b"\r\n".join(c.ask("RETR 3")) + b"\r\n" == texts[2]
        for n in 1, 3, 4:
            assert c.say(f"DELE {n}").startswith(b"+OK")
        assert c.say("QUIT").startswith(b"+OK")
    assert pop3.stored("erin") == ["1600000000.earlier"]


def test_two_may_look_at_one_maildir(pop3):
    fresh(pop3, "erin", 2)
    with pop3.logged_in("erin") as one, pop3.logged_in("erin") as other:
        for c in one, other:
            assert c.say("DELE 1").startswith(b"+OK")
        assert one.say("QUIT").startswith(b"+OK")
        assert other.say("RETR 1").startswith(b"-ERR")
        assert len(other.ask("RETR 2")) == 5
        assert other.say("QUIT").startswith(b"+OK")
    assert len(pop3.stored("erin")) == 1


def test_messages_are_measured_once(pop3):
    texts = fresh(pop3, "carol", 30)
    with pop3.logged_in("carol") as c:
        assert c.say("STAT") == b"+OK 30 %d" % sum(map(len, texts))
        assert c.say("QUIT").startswith(b"+OK")
    for name in os.listdir(pop3.maildir("carol", "cur")):
        os.chmod(pop3.maildir("carol", "cur/" + name), 0)
    with pop3.logged_in("carol") as c:
        assert c.say("STAT") == b"+OK 30 %d" % sum(map(len, texts))
        assert c.say("RETR 1").startswith(b"-ERR [SYS/PERM]")


def test_a_session_counts_until_its_end(certificates):
    with Pop3(certificates, {"pop3s/concurrencyaddress": "2"}, services=("pop3s",)) as pop3:
        pop3.fill("alice", 1)
        wait_for(lambda: "event=session" in pop3.log(), 10, "the end of what looked for a greeting")
        with pop3.logged_in("alice") as one, pop3.logged_in("alice") as two:
            with pytest.raises((OSError, AssertionError)):
                pop3.logged_in("alice")
            assert one.say("QUIT").startswith(b"+OK")
            wait_for(lambda: pop3.greets("pop3s"), 15, "room for another session")
            assert two.say("NOOP") == b"+OK"


def test_a_session_outlives_a_change_of_the_configuration(certificates):
    with Pop3(certificates, services=("pop3s",)) as pop3:
        pop3.fill("alice", 1)
        with pop3.logged_in("alice") as old:
            before = pop3.pids("pop3s")["policy"]
            pop3.wardens["pop3s"].send_signal(signal.SIGHUP)
            wait_for(lambda: pop3.pids("pop3s").get("policy", before) != before, 15, "the next generation")
            wait_for(lambda: pop3.greets("pop3s"), 15, "a greeting of it")
            assert old.say("DELE 1").startswith(b"+OK")
            assert old.say("QUIT").startswith(b"+OK")
        assert pop3.stored("alice") == []


@pytest.mark.skipif("asan" in BIN, reason="the sanitizer lifts the limit of the address space")
def test_the_plan_holds_while_sessions_run(pop3):
    with pop3.logged_in("alice"):
        done = subprocess.run([f"{BIN}/postern", "plan", "--live", "-R", pop3.path("run")], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
