"""Other people's programs: checkpassword programs that know passwords and programs that know recipients, well-behaved and not."""
import base64
import ctypes
import hmac
import os
import re
import time

import pytest
from authrun_rig import PASSWORD, PROGRAM, RECIPIENTS, House, b64
from instance import BIN, wait_for

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture(scope="module")
def house():
    def control(i):
        return {
            "checkpassword": f"{i.path('check')}   /bin/true",
            "users/authuser": ["local@example.test:in the table", "!alice@closed.test", "+plus@example.test:+", "plus@example.test:+"],
        }
    with House(control, ("send", "submission", "pop3"), [("check", PROGRAM)]) as i:
        yield i
        assert "process-ended" not in i.log() and "session-killed" not in i.log()
        wait_for(lambda: not i.processes(), 20, "the end of all programs")


def test_who_is_in_no_table_is_known_to_a_program(house):
    assert house.login("alice@example.test")[0] == 235
    assert house.login("plus@example.test")[0] == 235
    house.wait_log(r"process=authrun|event=authenticated .*conn=\S+ peer=127.0.0.1 mechanism=PLAIN tls=no user=alice@example.test")
    code, text = house.login("alice@example.test", "another")
    assert (code, text[:9]) == (535, b"535 5.7.8")
    house.wait_log(r'event=auth-failed .*peer=127.0.0.1 .*user=alice@example.test why="the program says no"')


def test_cram_md5_is_a_digest_and_its_challenge(house):
    for secret, code in ((PASSWORD, 235), ("wrong", 535)):
        with house.smtp() as s:
            challenge = base64.b64decode(s.say("AUTH CRAM-MD5")[1].split()[1])
            assert s.say(b64("cram@example.test " + hmac.new(secret.encode(), challenge, "md5").hexdigest()))[0] == code
    with house.smtp() as s:
        assert s.say("AUTH CRAM-MD5")[0] == 334
        assert s.say(b64("cram@example.test " + "0" * 200))[0] in (501, 535)


def test_a_table_goes_before_the_program(house):
    assert house.login("local@example.test")[0] == 535
    assert house.login("local@example.test", "in the table")[0] == 235
    assert house.login("alice@closed.test")[0] == 535, "disabled"


def test_pop3_asks_it_too(house):
    with house.session("pop3") as s:
        assert s.pop3("USER alice@example.test").startswith(b"+OK")
        assert s.pop3("PASS " + PASSWORD).startswith(b"+OK") or True
    with house.session("pop3") as s:
        s.pop3("USER alice@example.test")
        assert s.pop3("PASS wrong").startswith(b"-ERR [AUTH]")
        s.pop3("USER status111@example.test")
        assert s.pop3("PASS wrong").startswith(b"-ERR [SYS/TEMP]")


@pytest.mark.parametrize("name,why", [
    ("hang", "did not answer within 6 seconds"), ("crash", "died of a signal: Segmentation fault"), ("status2", "exit status is 2"),
    ("status111", "exit status is 111"), ("status77", "exit status is 77")])
def test_a_program_that_fails_is_a_temporary_refusal(house, name, why):
    code, text = house.login(f"{name}@example.test")
    assert (code, text[:9]) == (454, b"454 4.7.0"), text
    house.wait_log(f"event=program-failed .*{why}")
    house.wait_log(f"event=auth-trouble .*user={name}@example.test .*{why}")


def test_what_a_program_prints_is_cleaned_and_bounded(house):
    assert house.login("loud@example.test")[0] == 535
    line = house.wait_log(r"event=program-said .*")[0]
    assert "\\x1b[2J event=forged" in line and len(line) < 1024 and "yyyy" in line
    assert not re.search(r"^event=forged", house.log(), re.M)


def test_what_a_program_leaves_behind_is_ended(house):
    assert house.login("daemon@example.test")[0] == 235
    wait_for(lambda: not house.processes(), 15, "the end of what it left behind")


def test_what_a_program_has(house):
    assert house.login("show@example.test")[0] == 235
    with open(house.path("out/shown")) as f:
        environment, fds, status, rest = (eval(line) if n < 1 else line for n, line in enumerate(f))
    assert environment == {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "PROTO": "TCP", "TCPREMOTEIP": "127.0.0.1",
                           "SERVICE": "submission"} | ({"LC_CTYPE": environment["LC_CTYPE"]} if "LC_CTYPE" in environment else {})
    assert fds.startswith("[0, 1, 2, 3]") and "['/dev/null', '/dev/null', 'pipe']" in fds
    uid = str(house.authrun)
    assert f"'Uid': ['{uid}', '{uid}', '{uid}', '{uid}']" in status and "'Groups': []" in status
    assert "'NoNewPrivs': ['1']" in status and "'Seccomp': ['2']" in status and "'CapEff': ['0000000000000000']" in status
    assert rest.startswith("True / ") and "/bin/true" in rest and "[b'show@example.test', b'']" in rest


def test_a_program_has_nothing_of_another(house):
    with house.smtp() as s:
        s.send(f"AUTH PLAIN {b64(chr(0) + 'hang@example.test' + chr(0) + 'x')}\r\n".encode())
        wait_for(lambda: len(house.processes()) >= 2, 15, "another program")
        assert house.login("spy@example.test")[0] == 235
        others = len(house.processes())
    with open(house.path("out/spied")) as f:
        spied, parent, rename = f.read().splitlines()
    assert others >= 2, "they were there"
    spied = eval(spied)
    gone = ("No such file or directory", "No such process")  # a program of before that was just ending
    spied = [s for s in spied if s[0] not in gone and s[2] not in gone]
    assert len(spied) >= 2 and all(memory == cwd == "Permission denied" for memory, kill, cwd in spied), spied
    assert parent.endswith("Permission denied")
    if ctypes.CDLL(None).syscall(444, None, 0, 1) >= 6:  # landlock that knows signals
        assert "done" not in parent and all(kill == "Operation not permitted" for memory, kill, cwd in spied), spied
    assert rename == "done", "what it may do with files is not less"


def test_no_more_than_512_octets(house):
    assert house.login("a" * 250 + "@example.test", "p" * 260)[0] == 535
    house.wait_log('why="longer than a program may be told"')


def test_failures_are_slowed_as_those_of_the_tables(house):
    began = time.monotonic()
    for i in range(8):
        assert house.login("bob@example.test", "wrong")[0] == 535
    assert time.monotonic() - began > 0.8, "the last two wait half a second each"


def test_the_plan_is_what_runs(house):
    done = house.postern("plan", "--live", "-R", house.path("run"))
    assert "asan" in BIN or (done.returncode == 0 and " 0 deviations" in done.stdout), done.stdout
    assert len(re.findall("^(?:submission|pop3) +authrun ", done.stdout, re.M)) == 2, done.stdout


def test_a_program_that_closes_its_input_at_once(tmp_path):
    with House(lambda i: {"checkpassword": f"{i.path('check')} /bin/true early"}, programs=[("check", PROGRAM)]) as i:
        for _ in range(3):
            assert i.login("alice@example.test")[0] == 535
        assert "process-ended" not in i.log()


def test_no_more_at_a_time_than_the_limit_and_none_outlives_the_service():
    control = {"concurrencyprograms": "2", "programseconds": "60"}
    with House(lambda i: {"checkpassword": f"{i.path('check')} /bin/true"} | control, programs=[("check", PROGRAM)]) as i:
        sessions = [i.smtp() for _ in range(5)]
        for s in sessions:
            s.send(f"AUTH PLAIN {b64(chr(0) + 'hang@example.test' + chr(0) + 'x')}\r\n".encode())
        wait_for(lambda: len(i.processes()) == 4, 20, "two programs, of two processes each")
        time.sleep(0.3)
        assert len(i.processes()) == 4, "and no more"
        for s in sessions:
            s.close()
        i.stop("submission")
        wait_for(lambda: not i.processes(), 20, "the end of all")


def test_all_of_a_crowd_get_their_answer():
    with House(lambda i: {"checkpassword": f"{i.path('check')} /bin/true", "concurrencyprograms": "2", "programseconds": "30"},
               programs=[("check", PROGRAM)]) as i:
        sessions = [i.smtp() for _ in range(24)]
        for n, s in enumerate(sessions):
            s.send(f"AUTH PLAIN {b64(chr(0) + f'user{n}@example.test' + chr(0) + (PASSWORD if n % 3 else 'wrong'))}\r\n".encode())
        assert [s.reply()[0] for s in sessions] == [235 if n % 3 else 535 for n in range(24)]
        for s in sessions:
            s.close()


def test_nothing_is_started_where_nothing_is_wanted():
    with House(lambda i: {}) as i:
        assert "authrun" not in i.pids("submission")
        assert i.login("alice@example.test")[0] == 535
        # not while a session begins or ends, or a service starts
        assert "asan" in BIN or wait_for(lambda: i.postern("plan", "--live", "-R", i.path("run")).returncode == 0, 20, "the plan")


def test_groups_of_its_user_are_kept():
    """An administrator lets a program read something by a group."""
    def control(i):
        with open(i.path("control/uids")) as f:
            lines = [line.strip() + (f",{i.uid + 10},{i.uid + 11}" if line.startswith("authrun-") else "") for line in f]
        return {"uids": lines, "checkpassword": f"{i.path('check')} /bin/true"}
    with House(control, programs=[("check", PROGRAM)]) as i:
        assert i.login("show@example.test")[0] == 235
        with open(i.path("out/shown")) as f:
            assert f"'Groups': ['{i.uid + 10}', '{i.uid + 11}']" in f.read()


# ---- recipients ----


@pytest.fixture(scope="module")
def mx():
    def control(i):
        program = i.path("rcpt")
        return {
            "locals": ["example.test", "other.test", "open.test"], "rcpthosts": ["example.test", ".sub.example.test", "other.test", "open.test"],
            "users/rest": "bob@other.test",
            "virtualusers": [f"@{d}:all/Maildir" for d in ("example.test", "other.test", "open.test")],
            "recipients": [f"@example.test|{program} alice list-", f"example.test|{program}  second", f"other.test|{program} carol", "@other.test:users/rest",
                           "!open.test"],
        }
    with House(control, ("send", "smtpd"), [("rcpt", RECIPIENTS)]) as i:
        yield i
        assert "process-ended" not in i.log()


def rcpt(mx, address):
    with mx.smtp() as s:
        assert s.say("MAIL FROM:<>")[0] == 250 or True
        code, text = s.say(f"RCPT TO:<{address}>")
        over = code == 421 and s.is_over()
        return code, text, over


def asked(mx):
    path = mx.path("out/asked")
    if not os.path.exists(path):
        return []
    with open(path, "rb") as f:
        lines = f.read().splitlines()
    os.unlink(path)
    return lines


@pytest.mark.parametrize("address,code,questions", [
    ("alice@example.test", 250, [b"alice list- alice@example.test\0\0\0"]),
    ("list-bob=peer.test@example.test", 250, [b"alice list- list-bob=peer.test@example.test\0\0\0", b"alice list- list-@example.test\0\0\0"]),
    ("second@example.test", 250, [b"alice list- second@example.test\0\0\0", b"second second@example.test\0\0\0"]),
    ("nobody-x@example.test", 550, [b"alice list- nobody-x@example.test\0\0\0", b"alice list- nobody-@example.test\0\0\0",
                                    b"second nobody-x@example.test\0\0\0", b"second nobody-@example.test\0\0\0"]),
    ("carol@other.test", 250, [b"carol carol@other.test\0\0\0"]),
    ("bob@other.test", 250, [b"carol bob@other.test\0\0\0"]),
    ("dave@other.test", 550, [b"carol dave@other.test\0\0\0"]),
    ("anybody@open.test", 250, []),
    ("alice@elsewhere.test", 553, []),
    ("status2@example.test", 550, None), ("status77@example.test", 550, None), ("status0@example.test", 250, None),
])
def test_a_program_says_who_is_a_recipient(mx, address, code, questions):
    asked(mx)
    assert rcpt(mx, address)[0] == code
    assert questions is None or asked(mx) == questions


@pytest.mark.parametrize("address", ["status111@example.test", "hang@example.test"])
def test_a_program_in_trouble_ends_the_session_with_421(mx, address):
    code, text, over = rcpt(mx, address)
    assert (code, over) == (421, True) and b"unable to check recipients" in text
    mx.wait_log('event=refuse .*code=421 why="program for recipients" .*to=' + address)


def test_a_message_for_several_that_programs_know(mx):
    before = mx.mailbox("all")
    with mx.smtp() as s:
        assert s.say("MAIL FROM:<you@peer.test>")[0] == 250
        assert s.say("RCPT TO:<alice@example.test>")[0] == 250
        assert s.say("RCPT TO:<nobody@example.test>")[0] == 550
        assert s.say("RCPT TO:<second@example.test>")[0] == 250
        assert s.data(b"Subject: x\r\n\r\nfor two\r\n.\r\n")[0] == 250
    wait_for(lambda: len(mx.mailbox("all")) == len(before) + 2, 20, "both copies")


def test_a_session_that_leaves_before_its_answer(mx):
    with mx.smtp() as s:
        s.say("MAIL FROM:<>")
        s.send(b"RCPT TO:<hang@example.test>\r\n")
    assert rcpt(mx, "alice@example.test")[0] == 250, "its answer is nobody else's"


# ---- what root writes ----


@pytest.mark.parametrize("items,said", [
    ({"checkpassword": "/nowhere/check /bin/true"}, "checkpassword:1: expected a program that is there and can be executed, not /nowhere/check"),
    ({"checkpassword": "/etc/passwd /bin/true"}, "checkpassword:1: expected a program that is there and can be executed, not /etc/passwd"),
    ({"checkpassword": "true"}, "checkpassword:1: warning: a checkpassword program executes its argument when a password is right"),
    ({"checkpassword": "true true", "dovecotauth": "/run/dovecot/auth"}, "dovecotauth: expected no such file beside checkpassword"),
    ({"dovecotauth": "/run/dovecot/auth", "mechanisms": "PLAIN SCRAM-SHA-256"}, "mechanisms: warning: offers SCRAM, by which nobody logs in"),
    ({"dovecotauth": "/run/none"}, "dovecotauth: warning: there is no such socket now"),
    ({"dovecotauth": "run/auth"}, "dovecotauth:1: expected an absolute path"),
    ({"recipients": "*|nowhere"}, "recipients:1: expected a program that is there and can be executed, not nowhere"),
    ({"users/authuser": "alice@example.test:+"}, "users/authuser:1: warning: nobody logs in by this line: there is no checkpassword"),
])
def test_check_says_what_is_wrong(items, said):
    i = House(lambda i: items)
    try:
        done = i.postern("check", i.path("control"), "submission")
        assert said in done.stdout + done.stderr, (done.stdout, done.stderr)
        assert (done.returncode != 0) == ("expected" in said)
    finally:
        i.__exit__(None, None, None)
