"""`.qmail` files: which one counts, what its lines do, what waits, what comes back, and what programs are told."""
import fcntl
import os
import shutil
import signal
import time

import pytest
from instance import Instance, wait_for


class Host(Instance):
    """An instance with two users of users/assign, joe and the alias user, whose homes the tests fill."""

    def __init__(self, control=None, services=("send", "smtpd")):
        super().__init__(control, services)
        self.joe, self.alias = self.uid + 1, self.uid + 2
        rows = []
        for name, uid in (("joe", self.joe), ("alias", self.alias)):
            os.mkdir(self.home(name), 0o700)
            os.chown(self.home(name), uid, uid)
        rows += [f"=joe:joe:{self.joe}:{self.joe}:{self.home('joe')}:::", f"+joe-:joe:{self.joe}:{self.joe}:{self.home('joe')}:-::"]
        rows += [f"+:alias:{self.alias}:{self.alias}:{self.home('alias')}:-::"]
        self.control("users/assign", rows + ["."])

    def home(self, name="joe"):
        return self.path("home." + name)

    def put(self, name, text, mode=0o600, user="joe"):
        path = os.path.join(self.home(user), name)
        with open(path, "wb") as f:
            f.write(text if isinstance(text, bytes) else text.encode())
        os.chmod(path, mode)
        uid = getattr(self, user)
        os.chown(path, uid, uid)
        return path

    def empty(self):
        """Maildirs stay, since local may have them open."""
        for user in ("joe", "alias"):
            os.chmod(self.home(user), 0o700)
            for base, dirs, files in os.walk(self.home(user), topdown=False):
                for name in files:
                    os.unlink(os.path.join(base, name))
                for name in dirs:
                    path = os.path.join(base, name)
                    if os.path.islink(path):
                        os.unlink(path)

    def submit(self, *recipients, sender="you@sender.test", content=b"Subject: x\r\n\r\nx\r\n"):
        with self.connect() as s:
            s.ehlo()
            s.transaction(sender, recipients)
            assert s.data(content + b".\r\n")[0] == 250

    def mails(self, maildir="Maildir", user="joe"):
        new = os.path.join(self.home(user), maildir, "new")
        out = []
        for name in sorted(os.listdir(new)) if os.path.isdir(new) else []:
            with open(os.path.join(new, name), "rb") as f:
                out.append(f.read())
        return out

    def wait_mails(self, n, maildir="Maildir", user="joe"):
        wait_for(lambda: len(self.mails(maildir, user)) >= n, 15, f"{n} messages in {maildir} of {user}")
        return self.mails(maildir, user)

    def wait_line(self, *words, since=0):
        """A line of the log of send that has all these words."""
        return wait_for(lambda: next((x for x in self.log("send")[since:].splitlines() if all(w in x for w in words)), None), 15,
                        f"a line with {words}")

    def read(self, name, user="joe"):
        with open(os.path.join(self.home(user), name), "rb") as f:
            return f.read()


@pytest.fixture(scope="module")
def shared():
    with Host() as h:
        yield h


@pytest.fixture
def host(shared):
    for path in shared.queued():
        shared.postern("queue", "-R", shared.path("run"), "delete", os.path.basename(path))
    wait_for(lambda: not shared.queued(), 15, "the end of earlier messages")
    shared.empty()
    return shared


def test_without_a_file_a_user_gets_the_default_delivery(host):
    host.submit("joe@example.test")
    assert b"Delivered-To: joe@example.test\n" in host.wait_mails(1)[0]


def test_lines_are_carried_out_in_order_and_forwards_are_one_message(host):
    host.put(".qmail", "# comment\n./Maildir/\n&alice@example.test\nbob@example.test\n|cat > seen; echo \"$SENDER $RECIPIENT\" >> seen\n./mbox\n")
    before = set(host.mailbox("alice"))
    host.submit("joe@example.test")
    host.wait_mails(1)
    wait_for(lambda: set(host.mailbox("alice")) - before)
    wait_for(lambda: not host.queued())
    assert host.read("seen").endswith(b"\nx\nyou@sender.test joe@example.test\n")
    assert host.read("mbox").startswith(b"From you@sender.test ")
    with open((set(host.mailbox("alice")) - before).pop(), "rb") as f:
        text = f.read()
    assert text.index(b"Delivered-To: alice@example.test") < text.index(b"Delivered-To: joe@example.test") < text.index(b"Subject: x")


def test_a_retry_goes_on_with_the_line_that_failed(host):
    """qmail delivers to ./one/ again at each attempt"""
    host.put(".qmail", "./one/\n|test -e ready || { echo 'not yet'; exit 111; }\n&alice@example.test\n./two/\n")
    before = set(host.mailbox("alice"))
    host.submit("joe@example.test")
    host.wait_line("result=deferred", "text=\"not yet\"")
    assert len(host.mails("one")) == 1 and host.mails("two") == [] and set(host.mailbox("alice")) == before
    host.put("ready", "")
    host.postern("queue", "-R", host.path("run"), "retry", "all")
    host.wait_mails(1, "two")
    wait_for(lambda: len(set(host.mailbox("alice")) - before) == 1)
    wait_for(lambda: not host.queued())
    assert len(host.mails("one")) == 1


def test_a_restart_goes_on_with_the_line_that_failed():
    with Host() as h:
        h.put(".qmail", "./one/\n|test -e ready || exit 111\n./two/\n")
        h.submit("joe@example.test")
        h.wait_line("result=deferred")
        h.stop("send")
        h.put("ready", "")
        h.start("send")
        wait_for(lambda: h.postern("queue", "-R", h.path("run"), "retry", "all") and h.mails("two"), 20, "the second line")
        assert len(h.mails("one")) == 1


def test_a_file_that_has_changed_is_begun_anew(host):
    host.put(".qmail", "./one/\n|exit 111\n")
    host.submit("joe@example.test")
    host.wait_line("result=deferred")
    host.put(".qmail", "./one/\n./two/\n")
    host.postern("queue", "-R", host.path("run"), "retry", "all")
    host.wait_mails(1, "two")
    assert len(host.mails("one")) == 2


def rcpt(host, address):
    with host.connect() as s:
        s.ehlo()
        assert s.say("MAIL FROM:<you@sender.test>")[0] == 250
        return s.say(f"RCPT TO:<{address}>")[0]


def test_who_no_user_is_goes_to_the_alias_users_files_or_is_refused():
    h = Host({"postmaster": "alice@example.test"})
    h.put(".qmail-sales", "./sales/\n", user="alias")
    h.put(".qmail-info-default", "|echo \"$DEFAULT $LOCAL $USER\" > told\n", user="alias")
    with h:
        h.submit("Sales@example.test", "info-a.b@example.test")
        h.wait_mails(1, "sales", "alias")
        wait_for(lambda: h.read("told", "alias") == b"a.b info-a.b alias\n")
        assert [rcpt(h, a + "@example.test") for a in ("nobody", "sales-x", "info", "joe")] == [550, 550, 550, 250]
        h.submit("Postmaster@mx.example.test")  # alias has no file for it: the item counts
        h.wait_messages(1)
        h.put(".qmail-no:body", "./new/\n", user="alias")
        wait_for(lambda: rcpt(h, "No.Body@example.test") == 250, 15, "the new file")
        h.submit("No.Body@example.test")
        h.wait_mails(1, "new", "alias")
        os.unlink(os.path.join(h.home("alias"), ".qmail-no:body"))
        h.put(".qmail-postmaster", "./postmaster/\n", user="alias")
        wait_for(lambda: rcpt(h, "no.body@example.test") == 550, 15, "the end of that file")
        wait_for(lambda: h.submit("postmaster@mx.example.test") or h.mails("postmaster", "alias"), 15, "mail by the file")


def test_mail_that_was_taken_before_its_file_went_is_returned():
    h = Host()
    h.put(".qmail-a", "./a/\n", user="alias")
    h.put(".qmail-b", "./b/\n", user="alias")
    with h:
        os.chmod(h.home("alias"), 0o1700)
        h.submit("a@example.test", "b@example.test")
        h.wait_line("rcpt=a@example.test", "result=deferred")
        h.wait_line("rcpt=b@example.test", "result=deferred")
        os.unlink(os.path.join(h.home("alias"), ".qmail-a"))
        os.chmod(h.home("alias"), 0o700)
        h.postern("queue", "-R", h.path("run"), "retry", "all")
        assert "5.1.1" in h.wait_line("rcpt=a@example.test", "result=failed")
        h.wait_mails(1, "b", "alias")


def test_virtual_domains_are_prefixes():
    with Host({"virtualdomains": ["virtual.test:joe-v"], "smtpd/rcpthosts": ["virtual.test"]}) as h:
        h.put(".qmail-v-default", "|echo \"$LOCAL $HOST $EXT $DEFAULT\" > told; exit 0\n")
        h.submit("Ann.B@virtual.test")
        wait_for(lambda: h.read("told") == b"joe-v-Ann.B virtual.test v-Ann.B Ann.B\n")


def test_a_loop_through_two_users_ends_in_a_report(host):
    host.put(".qmail-a", "&joe-b@example.test\n")
    host.put(".qmail-b", "&joe-a@example.test\n")
    before = set(host.mailbox("alice"))
    host.submit("joe-a@example.test", sender="alice@example.test")
    report = host.wait_new(sorted(before))
    assert b"Status: 5.4.6\n" in report and b"circles" in report


def test_a_list_has_the_owner_as_sender_and_verp_names_each_recipient(host):
    host.put(".qmail-list", "&alice@example.test\n&bob@example.test\n", 0o700)
    host.put(".qmail-list-owner", "./owner/\n")
    host.put(".qmail-list-owner-default", "./bounces/\n")
    before = set(host.mailbox("bob"))
    host.submit("joe-list@example.test")
    assert host.wait_new(sorted(before), "bob").startswith(b"Return-Path: <joe-list-owner-bob=example.test@example.test>\n")
    host.submit("joe-list-owner-bob=example.test@example.test", sender="")
    host.wait_mails(1, "bounces")


def test_a_thousand_forwards_are_one_message(host):
    host.put(".qmail", "".join(f"&u{i}@example.test\n" for i in range(1000)))
    at = len(host.log("send"))
    host.submit("joe@example.test")
    host.wait_line("event=done", "recipients=1000", since=at)


@pytest.mark.parametrize("text,said", [
    (b"./Maildir/\n\0\n", "zero octet"), (b"x" * 3000 + b"\n", "more than 2000 octets"), (b"|true\n" * 20001, "more than 20000 instructions"),
    (b"# long\n" * 200000, "more than 1048576 octets"), (b"/etc/mail/\n", "outside of the home"), (b"../other/\n", "4.2.1"), (b"\n./Maildir/\n", "4.2.1"),
], ids=["zero", "long", "many", "large", "outside", "above", "blank"])
def test_a_file_that_can_not_be_meant_makes_mail_wait(host, text, said):
    host.put(".qmail", text)
    at = len(host.log("send"))
    host.submit("joe@example.test")
    assert said in host.wait_line("event=delivery", "result=deferred", since=at)
    assert host.mails() == []


def test_a_hundred_thousand_comments_are_read(host):
    host.put(".qmail", b"#\n" * 100000 + b"./Maildir/\n")
    host.submit("joe@example.test")
    host.wait_mails(1)


def test_a_fifo_or_a_directory_is_no_file_and_nobody_waits_for_it(host):
    os.mkfifo(os.path.join(host.home(), ".qmail-x"))
    host.put(".qmail-default", "./default/\n")
    host.submit("joe-x@example.test")
    host.wait_mails(1, "default")


def test_links_are_followed_below_the_home_only(host):
    host.put("list", "./linked/\n")
    os.symlink(os.path.join(host.home(), "list"), os.path.join(host.home(), ".qmail-in"))
    os.symlink("/etc/hosts", os.path.join(host.home(), ".qmail-out"))
    host.submit("joe-in@example.test", "joe-out@example.test")
    host.wait_mails(1, "linked")
    assert "result=deferred" in host.wait_line("rcpt=joe-out@example.test")


@pytest.mark.parametrize("command,status,said", [
    ("echo 'box full (#5.2.2)'; exit 100", "5.2.2", "box full"), ("exit 77", "5.3.0", "exit status is 77"), ("kill -9 $$", "4.3.0", "signal 9"),
    ("no-such-program", "4.3.0", "not found"), ("echo '(#5.1.1)'; exit 111", "4.3.0", "5.1.1"), ("yes | head -c 50000000; exit 111", "4.3.0", "y"),
    ("exec <&-; cat; exit 111", "4.3.0", ""),
])
def test_the_end_of_a_program_is_what_its_exit_status_says(host, command, status, said):
    host.put(".qmail", f"|{command}\n")
    at = len(host.log("send"))
    host.submit("joe@example.test")
    line = host.wait_line("event=delivery", "rcpt=joe@example.test", since=at)
    assert f"status={status} " in line and said in line


def test_a_program_and_all_that_it_started_end_with_their_time():
    with Host({"send/programtimeout": "2"}) as h:
        h.put(".qmail", "|setsid sleep 4711 & sleep 4712 & sleep 4713\n")
        h.put(".qmail-fork", "|f() { f | f & }; f; sleep 4714\n")
        h.submit("joe@example.test", "joe-fork@example.test")
        assert "took too long" in h.wait_line("rcpt=joe@example.test", "result=deferred")
        h.wait_line("rcpt=joe-fork@example.test", "result=deferred")

        def left():
            mine = [p for p in os.listdir("/proc") if p.isdigit() and os.path.exists(f"/proc/{p}/status")]
            return [p for p in mine if f"\nUid:\t{h.joe}\t" in open(f"/proc/{p}/status").read() and "\nName:\tpipe\n" not in "\n" + open(f"/proc/{p}/status").read()]
        wait_for(lambda: not left(), 10, "the end of what the programs started")


def test_what_a_program_leaves_behind_ends_with_it(host):
    host.put(".qmail", "|setsid sleep 4715 & echo $! > pid; exit 0\n")
    host.submit("joe@example.test")
    wait_for(lambda: not host.queued())
    pid = int(host.read("pid"))
    wait_for(lambda: not os.path.exists(f"/proc/{pid}"), 5, "the end of the sleeper")


def test_a_program_has_its_user_alone_and_cannot_gain(host):
    host.put(".qmail", "|id -u > id; id -G >> id; grep NoNewPrivs /proc/self/status >> id; ls /proc/self/fd | wc -l >> id; umask >> id; pwd >> id\n")
    host.submit("joe@example.test")
    wait_for(lambda: not host.queued())
    uid, groups, gains, fds, mask, home = host.read("id").decode().splitlines()
    assert uid == groups == str(host.joe) and gains.split()[1] == "1" and fds == "4" and mask == "0077" and home == host.home()


def test_the_message_can_be_sought_in_but_not_written(host):
    host.put(".qmail", "|head -c 9 >/dev/null; cat > all; echo x >&0 || echo refused > wrote; echo y > /proc/self/fd/0 || echo refused >> wrote\n")
    host.submit("joe@example.test", content=b"Subject: big\r\n\r\n" + b"x" * 70 + b"\r\n")
    wait_for(lambda: not host.queued())
    assert host.read("wrote") == b"refused\nrefused\n" and host.read("all").endswith(b"x" * 70 + b"\n")


def test_no_address_reaches_a_shell_as_code(host):
    host.put(".qmail-default", "|echo \"$EXT\" > told; env > all\n")
    host.submit('"joe-$(touch pwned)`touch pwned`;touch pwned"@example.test', sender='"a$(touch pwned)"@sender.test')
    wait_for(lambda: host.read("told") == b"$(touch pwned)`touch pwned`;touch pwned\n")
    assert not os.path.exists(os.path.join(host.home(), "pwned"))
    host.submit('"joe-() { :;}; touch pwned"@example.test')
    assert "shell function" in host.wait_line("result=failed", "() {")


def test_an_mbox_that_is_locked_waits_and_one_that_is_cut_is_whole(host):
    path = host.put("mbox", "From x Thu Jan  1 00:00:00 1970\n\nold\n\n")
    host.put(".qmail", "./mbox\n")
    with open(path, "r+b") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        host.submit("joe@example.test")
        time.sleep(1)
        assert host.read("mbox").endswith(b"old\n\n")
    wait_for(lambda: not host.queued())
    assert b"old\n\nFrom you@sender.test " in host.read("mbox") and host.read("mbox").endswith(b"\nx\n\n")
    assert not os.path.exists(path + ".lock")


def test_a_file_is_written_by_nobody_else(host):
    host.put(".qmail", "./Maildir/\n", 0o602)
    at = len(host.log("send"))
    host.submit("joe@example.test")
    assert "4.7.0" in host.wait_line("result=deferred", since=at)


def test_switched_off_no_file_counts():
    with Host({"dotqmail": "no"}) as h:
        h.put(".qmail", "|exit 100\n")
        h.submit("joe@example.test", "joe-ext@example.test")
        h.wait_mails(2)


def test_a_home_without_a_file_costs_no_process():
    with Host() as h:
        h.submit("joe@example.test", "joe-ext@example.test")
        h.wait_mails(2)
        lspawn = h.pids("send")["lspawn"]
        names = set()
        with open(f"/proc/{lspawn}/task/{lspawn}/children") as f:
            for pid in f.read().split():
                with open(f"/proc/{pid}/comm") as c:
                    names.add(c.read().strip())
        assert names == {"local"}


def test_a_file_that_comes_counts_at_once(host):
    host.submit("joe@example.test")
    host.wait_mails(1)
    host.put(".qmail", "./second/\n")
    host.submit("joe@example.test")
    host.wait_mails(1, "second")
    os.unlink(os.path.join(host.home(), ".qmail"))
    host.submit("joe@example.test")
    host.wait_mails(2)


def test_a_program_that_hangs_keeps_nobody_else_waiting(host):
    host.put(".qmail-hang", "|sleep 20\n")
    host.put(".qmail-other", "./other/\n")
    for _ in range(20):
        host.submit("joe-hang@example.test")
    before = set(host.mailbox("alice"))
    host.submit("alice@example.test", "joe-other@example.test")
    host.wait_new(sorted(before), seconds=8)
    host.wait_mails(1, "other")


def test_the_programs_of_qmail_are_in_the_path(host):
    host.put(".qmail", "|bouncesaying 'no more mail here'\n")
    host.put(".qmail-x", "|echo \"$PATH\" > path\n")
    host.submit("joe-x@example.test")
    wait_for(lambda: b"/lib/postern/bin:" in host.read("path"))


@pytest.mark.skipif(shutil.which("dot-forward") is None, reason="dot-forward is not installed")
def test_dot_forward_sends_on_or_lets_the_next_line_deliver(host):
    host.put(".qmail", "|dot-forward .forward\n./Maildir/\n")
    host.submit("joe@example.test")
    host.wait_mails(1)
    host.put(".forward", "joe\n")
    host.submit("joe@example.test")
    host.wait_mails(2)


def test_a_program_that_says_99_ends_the_list(host):
    host.put(".qmail", "|test ! -f away || exit 99\n./Maildir/\n")
    host.put("away", "")
    host.submit("joe@example.test")
    wait_for(lambda: not host.queued())
    assert host.mails() == []


def test_a_pspawn_that_dies_keeps_mail_going(host):
    """a generation begins anew without pspawn, as without lspawn"""
    host.put(".qmail", "|cat > seen\n")
    before = host.pids("send")["pspawn"]
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: host.pids("send").get("pspawn") not in (None, before), 20, "another pspawn")  # queue goes with it: mail gets 451 until then
    host.submit("joe@example.test")

    def seen():
        host.postern("queue", "-R", host.path("run"), "retry", "all")
        return b"Subject: x" in host.read("seen")
    wait_for(seen, 20, "the message")


def test_a_stop_of_the_service_ends_programs_and_what_they_started():
    with Host() as h:
        h.put(".qmail", "|setsid sleep 4716 & echo $! > pid; sleep 4717 & echo $! >> pid; sleep 4718\n")
        h.submit("joe@example.test")
        pids = wait_for(lambda: len(h.read("pid").split()) == 2 and h.read("pid").split(), 15, "the program")
        h.stop("send")
        wait_for(lambda: not any(os.path.exists(f"/proc/{int(p)}") for p in pids), 10, "the end of what the program started")
