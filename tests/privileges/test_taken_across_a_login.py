"""Front ends of a running instance that are taken over: smtpd can't become authenticated, whatever it says to policy; pop3d before a
login reaches no Maildir, and the process after it only its own user's. What each does here it does with its own rights."""
import base64
import contextlib
import os
import socket
import stat
import struct
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "system")]
sys.dont_write_bytecode = True
import drill  # noqa: E402
import taken  # noqa: E402
from instance import free_port, wait_for  # noqa: E402
from pop3_rig import PASSWORD, Client, Pop3  # noqa: E402
from taken import AT_FDCWD, Channel, Killed, Taken, fields  # noqa: E402
from test_neighbours import nonsense  # noqa: E402
from test_tls_keys import family  # noqa: E402
from tls_rig import Certificates, context  # noqa: E402

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not taken.SUPPORTED, reason="needs root and x86-64")
MESSAGES = next(e["messages"] for e in drill.plan()["edges"] if e["protocol"] == "smtpd_policy")
PLAIN, LOGIN, CRAM, SCRAM, SCRAM_PLUS, EXTERNAL, APOP = range(7)
ALICE, MALLORY = "alice@example.test", "mallory@example.test"


def b64(text):
    return base64.b64encode(text.encode())


RIGHT, WRONG = b64(f"\0{ALICE}\0{PASSWORD}"), b64(f"\0{ALICE}\0wrong")


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    c = Certificates(str(tmp_path_factory.mktemp("tls")))
    c.issue("p256", "DNS:mx.example.test")
    port = free_port()
    control = {"submission/listen": f"127.0.0.1:{port}", "submission/rules": ['127.0.0.2:allow,AUTHINCLEAR=""', ":allow"],
               "submission/concurrencyaddress": "1000", "submission/concurrencynetwork": "1000",
               "submission/variables": [f"CERTFILE={c.path('p256.pem')}", f"KEYFILE={c.path('p256.key')}"]}
    with Pop3(c, control, services=("pop3", "pop3s")) as i:
        i.submission_port = port
        for service in "send", "submission":
            i.services.append(service)
            i.start(service)
        wait_for(lambda: Client(port).line().startswith(b"220"), 20, "a greeting")
        i.fill("alice", 2)
        i.fill("bob", 2)
        yield i


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return {int(p) for p in f.read().split()}


def in_proc(address):
    host, port = address
    return f"{int.from_bytes(socket.inet_aton(host), sys.byteorder):08X}:{port:04X}"


def server_of(house, service, client):
    """The process that has the other end of the client's connection; policy keeps it, too, and nobody else has it."""
    ends = [in_proc(client.socket.getpeername()), in_proc(client.socket.getsockname())]
    with open("/proc/net/tcp") as f:
        inode = next((w[9] for w in map(str.split, f) if w[1:3] == ends), None)
    found = []
    for pid in set(family([house.wardens[service].pid])) - {house.pids(service)["policy"]}:
        with contextlib.suppress(OSError):
            found += [pid for fd in os.listdir(f"/proc/{pid}/fd") if os.readlink(f"/proc/{pid}/fd/{fd}") == f"socket:[{inode}]"]
    return found[0] if len(found) == 1 else None


def greeted(house, service, address):
    client = Client(house.submission_port if service == "submission" else house.pop3_port, address)
    return client if (client.line() or b"")[:3] in (b"220", b"+OK") else None


@contextlib.contextmanager
def session(house, service, address="127.0.0.1"):
    """(client, Taken process that serves it)"""
    client = wait_for(lambda: greeted(house, service, address), 20, "a greeting")
    with contextlib.closing(client.socket):
        with Taken(wait_for(lambda: server_of(house, service, client), 20, "the process of a session")) as process:
            yield client, process


@contextlib.contextmanager
def channel_of(process):
    """Its channel to policy, which it has no longer to itself."""
    with contextlib.ExitStack() as stack:
        ends = [stack.enter_context(s) for s in process.sockets(socket.SOCK_SEQPACKET).values() if s.family == socket.AF_UNIX]
        assert len(ends) == 1
        yield Channel(ends[0], MESSAGES)


def code(answer):
    """Of an SP_ANSWER; 0 at the end of the conversation."""
    assert answer[0] in (None, "SP_ANSWER"), answer
    return struct.unpack_from("<H", answer[1])[0] if answer[0] else 0


def ask(channel, name, body=b"", tail=b"", fds=()):
    channel.send(name, body, tail, fds)
    return channel.receive()


def mail(channel, to="bob@example.test"):
    """What comes of a recipient of mail from alice: who is nobody gets none."""
    return code(ask(channel, "SP_BEGIN", b"", fields(b"x", ALICE.encode(), b"", to.encode(), b"")))


@contextlib.contextmanager
def nobody_new(house):
    """By what the log says of who authenticated, and by the queue."""
    def lines():
        return [line for line in house.log("submission").splitlines() if " user=" in line and "event=auth-failed" not in line]

    before = lines()
    yield
    assert lines() == before and not house.queued()


# ---- smtpd ----

def send_only(name, body=b"", tail=b""):
    return lambda channel: channel.send(name, body, tail)


def answered(name, body=b"", tail=b""):
    return lambda channel: ask(channel, name, body, tail)


def right_words_after_wrong_ones(channel):
    assert code(ask(channel, "SP_AUTH", bytes([PLAIN, 1]), WRONG)) in (535, 0)
    channel.send("SP_SASL", b"", RIGHT)


def two_at_once(channel):
    channel.send("SP_AUTH", bytes([PLAIN, 1]), WRONG)
    channel.send("SP_AUTH", bytes([PLAIN, 1]), RIGHT)


def mail_while_it_is_looked_at(channel):
    channel.send("SP_AUTH", bytes([PLAIN, 1]), WRONG)


def a_box(channel):
    channel.send("SP_BOX")


FORGERIES = {
    "nothing": ("127.0.0.1", lambda channel: None),
    "policy's own yes": ("127.0.0.1", send_only("SP_ANSWER", struct.pack("<4HB3x", 235, 2, 7, 0, 0), b"welcome")),
    "policy's own welcome": ("127.0.0.1", send_only("SP_WELCOME", b"\0" * 40, fields(b"x", b"y"))),
    "a response to no challenge": ("127.0.0.2", send_only("SP_SASL", b"", RIGHT)),
    "the right words, not offered without TLS": ("127.0.0.1", send_only("SP_AUTH", bytes([PLAIN, 1]), RIGHT)),
    "a certificate that nobody showed": ("127.0.0.2", send_only("SP_AUTH", bytes([EXTERNAL, 1]), b64(ALICE))),
    "a binding to no channel": ("127.0.0.2", send_only("SP_AUTH", bytes([SCRAM_PLUS, 1]), b64(f"p=tls-exporter,,n={ALICE},r=x"))),
    "a mechanism of POP3": ("127.0.0.2", send_only("SP_AUTH", bytes([APOP, 1]), b64(f"{ALICE} " + "0" * 32))),
    "a mechanism that is none": ("127.0.0.2", send_only("SP_AUTH", bytes([255, 1]), RIGHT)),
    "the right words after wrong ones": ("127.0.0.2", right_words_after_wrong_ones),
    "two logins at once": ("127.0.0.2", two_at_once),
    "mail while the words are looked at": ("127.0.0.2", mail_while_it_is_looked_at),
    "a mailbox": ("127.0.0.2", a_box),
}


@pytest.mark.parametrize("what", FORGERIES)
def test_smtpd_taken_over_is_nobody(house, what):
    address, forge = FORGERIES[what]
    with nobody_new(house), session(house, "submission", address) as (_, process), channel_of(process) as channel:
        forge(channel)
        channel.send("SP_BEGIN", b"", fields(b"x", ALICE.encode(), b"", b"bob@elsewhere.test", b""))
        while (answer := channel.receive())[0] is not None:
            assert answer[0] == "SP_ANSWER" and code(answer) >= 400, answer
            if code(answer) == 530:
                break


def test_smtpd_taken_over_becomes_who_knows_the_password_and_nobody_else(house):
    """The same way as above, so that it is known to lead somewhere."""
    with session(house, "submission", "127.0.0.2") as (_, process), channel_of(process) as channel:
        assert code(ask(channel, "SP_AUTH", bytes([PLAIN, 1]), b64(f"bob@example.test\0{ALICE}\0{PASSWORD}"))) == 535
        assert code(ask(channel, "SP_AUTH", bytes([PLAIN, 1]), RIGHT)) == 235
        assert mail(channel) == 250
        channel.send("SP_RESET")
        assert code(ask(channel, "SP_BEGIN", b"", fields(b"x", b"bob@example.test", b"", b"bob@example.test", b""))) == 553
        assert code(ask(channel, "SP_AUTH", bytes([PLAIN, 1]), b64(f"\0bob@example.test\0{PASSWORD}"))) == 0  # not a second time


def test_no_nonsense_makes_smtpd_somebody(house):
    """Messages of the right form with nothing, and with everything, in them, in their order, in as few sessions as they leave."""
    stream = [(packet, n) for what, packet, n in nonsense(MESSAGES, "policy") if what.startswith("its own") or " of " in what and n <= 2]
    with nobody_new(house):
        while stream:
            with session(house, "submission", "127.0.0.2") as (_, process), channel_of(process) as channel:
                open_still = True
                while stream and open_still:
                    open_still = throw(channel, *stream.pop(0))


def throw(channel, packet, n_fds):
    """False when the conversation is over. No answer is a yes."""
    with contextlib.suppress(OSError), open(os.devnull) as null:
        socket.send_fds(channel.end, [packet], [null.fileno()] * n_fds)
    channel.send("SP_BEGIN", b"", fields(b"x", ALICE.encode(), b"", b"bob@elsewhere.test", b""))
    while (answer := channel.receive())[0] is not None:
        assert answer[0] in ("SP_ANSWER", "SP_TLS_PLAIN", "SP_CHALLENGE"), answer
        if answer[0] != "SP_ANSWER":
            return False
        assert code(answer) >= 400, answer
        if code(answer) == 530:
            return True
    return False


def test_smtpd_taken_over_can_not_give_an_engine_another_connection(house):
    """It says when; the connection is the one that listen gave to policy. What it sends along ends its session and no other."""
    before = house.pids("submission")["tls"]
    with session(house, "submission") as (_, process), channel_of(process) as channel, socket.socket() as other:
        assert ask(channel, "SP_TLS_START", b"", b"", [other.fileno()])[0] is None
    with session(house, "submission") as (client, process), channel_of(process) as channel:
        assert ask(channel, "SP_TLS_START")[0] == "SP_TLS_PLAIN"
        assert b"TLS" in ssl_version(client, house).encode()
        assert ask(channel, "SP_TLS_START")[0] is None  # not a second time
    assert house.pids("submission")["tls"] == before and "session-killed" not in house.log("submission")


def ssl_version(client, house):
    with context(house.certificates).wrap_socket(client.socket, server_hostname="mx.example.test") as s:
        return s.version()


def test_a_peer_sees_the_end_although_policy_has_its_connection_too(house):
    """Whether its front end ends in order or is killed, with TLS or without."""
    for end in "QUIT", "kill":
        client = wait_for(lambda: greeted(house, "submission", "127.0.0.1"), 20, "a greeting")
        pid = wait_for(lambda: server_of(house, "submission", client), 20, "the process of a session")
        client.socket.settimeout(10)
        if end == "QUIT":
            client.socket.sendall(b"QUIT\r\n")
            assert client.line().startswith(b"221")
        else:
            os.kill(pid, 15)
        assert client.line() in (None, b"")
        client.socket.close()


# ---- pop3d and pop3box ----

def outcome(process, *call):
    """'done', the error's name, or 'killed', which is the end of it."""
    try:
        got = process.call(*call)
    except Killed:
        return "killed"
    return "done" if got >= 0 else "refused"


def attempts_at(house, user):
    """System calls that would show the user's mail, or lead there."""
    maildir = house.path(f"mail/{user}/Maildir").encode()
    message = maildir + b"/new/1700000000.M1P1Q0R1.host"
    up = b"../" * 12
    yield from (("openat", AT_FDCWD, path, flags, 0) for path in (
        maildir, message, up + message[1:], b"/proc/1/root" + message, b"/proc/self/root" + message, b"/proc/self/cwd/../../%s/Maildir" % user.encode(),
        b"../../%s/Maildir/new" % user.encode(), house.path("mail").encode(), house.path("control/passwords").encode(), b"/etc/passwd",
    ) for flags in (os.O_RDONLY, os.O_RDONLY | os.O_DIRECTORY, os.O_RDWR))
    yield from (("open", path, os.O_RDONLY, 0) for path in (message, up + message[1:]))
    yield "unlinkat", AT_FDCWD, message, 0
    yield "renameat", AT_FDCWD, message, AT_FDCWD, b"mine"
    yield "linkat", AT_FDCWD, message, AT_FDCWD, b"mine", 0


def unread(house):
    """Access times and names of all mail: nobody has been there."""
    return [(p, sorted(os.listdir(house.maildir(u, p)))) for u in ("alice", "bob") for p in ("new", "cur")]


def test_pop3d_taken_over_before_a_login_reaches_no_maildir(house):
    before = unread(house)
    calls, survived = list(attempts_at(house, "alice")), 0
    while calls:
        with session(house, "pop3") as (_, process):
            for fd in process.descriptors():  # and what it has leads nowhere
                assert not stat.S_ISDIR(os.stat(f"/proc/{process.pid}/fd/{fd}").st_mode)
                assert fd > 2 or not os.readlink(f"/proc/{process.pid}/fd/{fd}").startswith(house.path("mail"))
            assert os.listdir(f"/proc/{process.pid}/root") == []
            while calls:
                call = calls.pop(0)
                what = outcome(process, *call)
                assert what != "done", call
                survived += what == "refused"
                if what == "killed":
                    break
    assert survived > 20 and unread(house) == before


def without_boxes(house, service):
    """The pid of its lspawn, when that has started none or they have ended."""
    pid = house.pids(service)["lspawn"]
    return None if children(pid) else pid


def box_of(house, user, service="pop3s"):
    """(client, pid of the pop3box that serves it)"""
    parent = wait_for(lambda: without_boxes(house, service), 20, "the end of earlier sessions")
    client = house.logged_in(user, service)
    assert client.say("NOOP") == b"+OK"
    (pid,) = children(parent)
    return client, pid


def test_pop3box_taken_over_reaches_its_own_maildir_and_no_other(house):
    """bob's has the same uid as alice's: landlock is what stands between them."""
    before = unread(house)
    calls, survived = list(attempts_at(house, "bob")), 0
    while calls:
        client, pid = box_of(house, "alice")
        with client, Taken(pid) as process:
            assert outcome(process, "openat", AT_FDCWD, b"new/1700000000.M1P1Q0R1.host", os.O_RDONLY, 0) == "done"
            assert outcome(process, "openat", AT_FDCWD, b".", os.O_RDONLY | os.O_DIRECTORY, 0) == "done"
            assert outcome(process, "openat", AT_FDCWD, b"..", os.O_RDONLY | os.O_DIRECTORY, 0) == "refused"
            while calls:
                call = calls.pop(0)
                what = outcome(process, *call)
                assert what != "done", call
                survived += what == "refused"
                if what == "killed":
                    break
    assert survived > 20 and unread(house) == before


def test_a_link_leads_pop3box_nowhere_else(house):
    """Made by somebody else who may: what it points to stays out of reach, and so does a name that goes up."""
    link = house.maildir("alice", "new/1800000000.link")
    os.symlink(house.maildir("bob", "new/1700000000.M1P1Q0R1.host"), link)
    os.symlink("../../bob/Maildir", house.maildir("alice", "other"))
    try:
        client, pid = box_of(house, "alice")
        with client, Taken(pid) as process:
            for path in b"new/1800000000.link", b"other/new/1700000000.M1P1Q0R1.host", b"new/../../../bob/Maildir/new":
                assert outcome(process, "openat", AT_FDCWD, path, os.O_RDONLY, 0) == "refused"
    finally:
        os.unlink(link)
        os.unlink(house.maildir("alice", "other"))


@pytest.mark.parametrize("after", [None, WRONG], ids=["nothing", "wrong words"])
def test_pop3d_taken_over_gets_no_mailbox_without_a_login(house, after):
    with session(house, "pop3", "127.0.0.2") as (client, process), channel_of(process) as channel:
        if after is not None:
            assert code(ask(channel, "SP_AUTH", bytes([PLAIN, 1]), after)) == 535
        channel.send("SP_BOX", b"", b"STAT\r\n")
        assert channel.receive()[0] is None
    wait_for(lambda: children(house.pids("pop3")["lspawn"]) == set(), 20, "lspawn without a pop3box")
    with session(house, "pop3") as (client, process), channel_of(process) as channel:  # nor can it send mail
        assert mail(channel) == 0


def test_pop3d_taken_over_gets_the_mailbox_of_who_logged_in(house):
    """On the connection of its peer, and no other."""
    with session(house, "pop3", "127.0.0.2") as (_, process), channel_of(process) as channel:
        assert code(ask(channel, "SP_AUTH", bytes([PLAIN, 1]), RIGHT)) == 235
        assert code(ask(channel, "SP_AUTH", bytes([PLAIN, 1]), b64(f"\0bob@example.test\0{PASSWORD}"))) == 0 or pytest.fail("twice")
    parent = wait_for(lambda: without_boxes(house, "pop3"), 20, "the end of earlier sessions")
    with session(house, "pop3", "127.0.0.2") as (client, process), channel_of(process) as channel:
        assert code(ask(channel, "SP_AUTH", bytes([PLAIN, 1]), RIGHT)) == 235
        channel.send("SP_BOX", b"", b"STAT\r\n")
        assert client.line().startswith(b"+OK")
        (pid,) = wait_for(lambda: children(parent), 20, "alice's process")
        assert os.readlink(f"/proc/{pid}/cwd") == house.path("mail/alice/Maildir")
        channel.send("SP_BOX")  # and another one
        wait_for(lambda: len(children(parent)) == 1, 20, "no other")
