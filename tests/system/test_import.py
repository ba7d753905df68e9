"""postern import: a directory of qmail's becomes control directories that a start would take."""
import os
import stat
import subprocess

import pytest
from instance import BIN
from test_check import house_uids
from tls_rig import Certificates

QMAIL = {
    "control/me": "mx.old.test\n",
    "control/locals": "mx.old.test\nold.test\n",
    "control/rcpthosts": "mx.old.test\nold.test\nbackup.test\n",
    "control/virtualdomains": "virt.test:joe\n",
    "control/databytes": "1000000\n",
    "control/queuelifetime": "86400\n",
    "control/smtproutes": "inner.test:mail.inner.test\n",
    "control/badmimetypes": "TVqQAAMAA\n",
    "control/recipients": "@backup.test:users/recipients.cdb\n!*\n",
    "control/unheardof": "x\n",
    "control/rules.smtpd.txt": '127.:allow,RELAYCLIENT=""\n:allow\n',
    "control/rules.smtpd.cdb": "not looked at\n",
    "control/rules.smtpsub.txt": ":allow\n",
    "users/assign": "=joe:joe:1001:1001:/home/joe:::\n.\n",
    "users/cdb": "not looked at\n",
    "users/authuser": "joe:secret\n",
    "alias/.qmail-postmaster": "# who reads it\n&joe@old.test\n",
    "alias/.qmail-sales": "&joe\n&ann@elsewhere.test\n",
    "queue/mess/0/123": "waits\n",
}


@pytest.fixture
def old(tmp_path):
    for name, text in QMAIL.items():
        file = tmp_path / "qmail" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o660 if name == "users/authuser" else 0o644)
    table = tmp_path / "qmail/users/recipients.cdb"
    subprocess.run([f"{BIN}/postern", "recipients", str(table)], input="ann@backup.test\n", text=True, check=True)
    return tmp_path


def run(old, *options):
    r = subprocess.run([f"{BIN}/postern", "import", "-r", str(old / "root"), *options, str(old / "qmail"), str(old / "usr/etc")], capture_output=True, text=True)
    assert r.stderr == ""
    return r.returncode, dict(line.split(": ", 1) for line in r.stdout.splitlines())


def files(directory):
    out = {}
    for base, _, names in os.walk(directory):
        for n in names:
            with open(os.path.join(base, n), "rb") as f:
                out[os.path.relpath(os.path.join(base, n), directory)] = f.read()
    return out


def test_each_file_has_a_word_and_most_a_place(old):
    before = files(old / "qmail")
    status, said = run(old)
    assert status == 1
    assert said["control/me"] == "to me"
    assert said["control/databytes"] == "to submission/databytes"  # the last of two lines about it
    assert said["control/recipients"] == "to submission/recipients"
    assert said["control/queuelifetime"] == "to send/queuelifetime"
    assert said["control/smtproutes"] == "to send/smtproutes"
    assert said["control/rules.smtpd.txt"] == "to smtpd/rules"
    assert said["control/rules.smtpsub.txt"] == "to submission/rules"
    assert said["users/cdb"].startswith("not needed") and said["control/rules.smtpd.cdb"].startswith("not needed")
    assert said["alias/.qmail-postmaster"] == "to postmaster"
    for name in ("control/badmimetypes", "control/unheardof", "alias/.qmail-sales", "queue"):
        assert said[name].startswith("NOT TAKEN OVER: "), name
    new = files(old / "usr/etc")
    assert new["postmaster"] == b"joe@old.test\n"
    assert new["smtpd/rcpthosts"] == new["submission/rcpthosts"] == QMAIL["control/rcpthosts"].encode()
    assert new["users/recipients.cdb"] == before["users/recipients.cdb"]
    assert stat.S_IMODE((old / "usr/etc/users/authuser").stat().st_mode) == 0o640
    assert stat.S_IMODE((old / "usr/etc/users/assign").stat().st_mode) == 0o644
    assert files(old / "qmail") == before
    assert not [n for n in new if n.endswith(".tmp")]


def test_a_start_would_take_what_was_imported(old):
    run(old)
    (old / "usr/etc/smtpd/listen").write_text("127.0.0.1:2525\n")
    (old / "usr/etc/uids").write_text(house_uids())
    r = subprocess.run([f"{BIN}/postern", "check", str(old / "usr/etc"), "smtpd", "send"], capture_output=True, text=True)
    assert r.returncode == 0, r.stdout


def test_what_is_there_stays_unless_it_is_to_be_replaced(old):
    (old / "usr/etc").mkdir(parents=True)
    (old / "usr/etc/me").write_text("mx.new.test\n")
    status, said = run(old)
    assert status == 1 and said["control/me"].startswith("NOT TAKEN OVER: me is there and differs")
    assert (old / "usr/etc/me").read_text() == "mx.new.test\n"
    assert run(old)[1]["control/locals"] == "is in locals already"
    assert run(old, "-f")[1]["control/me"] == "to me"
    assert (old / "usr/etc/me").read_text() == "mx.old.test\n"
    assert (old / "usr/etc/.me.before").read_text() == "mx.new.test\n"


def test_nothing_is_written_to_look(old):
    status, said = run(old, "-n")
    assert status == 1 and said["control/me"] == "to me"
    assert files(old / "usr/etc") == {}


def test_what_is_no_file_is_told_and_nothing_else_is_lost(old):
    os.mkfifo(old / "qmail/control/badhelo")
    r = subprocess.run([f"{BIN}/postern", "import", "-r", str(old / "root"), str(old / "qmail"), str(old / "usr/etc")], capture_output=True, text=True, timeout=20)
    assert r.returncode == 111 and "badhelo" in r.stderr
    assert (old / "usr/etc/me").exists() and not (old / "usr/etc/smtpd/badhelo").exists()
    assert stat.S_IMODE((old / "usr/etc/me").stat().st_mode) == 0o644


def test_another_directory_is_refused(tmp_path):
    r = subprocess.run([f"{BIN}/postern", "import", str(tmp_path), str(tmp_path)], capture_output=True, text=True)
    assert r.returncode == 100 and "no directory of qmail's" in r.stderr


def put(directory, name, text, mode=0o644):
    file = directory / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(mode)


def test_files_that_have_a_successor_become_what_they_are_called_here(old, tmp_path_factory):
    made = Certificates(str(tmp_path_factory.mktemp("tls")))
    made.issue("server", names="DNS:mx.old.test")
    control = old / "qmail/control"
    pair = "".join(open(made.path(f"server.{end}")).read() for end in ("pem", "key"))
    for name, text in {"tlsserverciphers": "HIGH\n", "spfbehavior": "3\n", "rblhosts": "bl.example.org\nzen.example.org\n", "spfexp": "see %{d}\n",
                       "badmailto": "x@old.test\n", "tarpitcount": "5\n", "tarpitdelay": "9\n", "mfcheck": "1\n", "outgoingip": "127.0.0.1\n", "clientca.pem": pair,
                       "dh1024.pem": "x\n", "tlsclients": "joe@old.test\n"}.items():
        put(control, name, text)
    put(control, "servercert.pem", pair, 0o640)
    put(control, "clientcert.pem", pair, 0o640)
    status, said = run(old)
    etc = old / "usr/etc"
    assert said["control/servercert.pem"] == f"to variables, as CERTFILE={etc}/tls/servercert.pem"
    assert said["control/tlsserverciphers"] == "to variables, as CIPHERS=HIGH" and said["control/spfbehavior"] == "to variables, as SPF=3"
    assert said["control/rblhosts"] == "to submission/dnslists" and (etc / "smtpd/dnslists").read_text() == "bl.example.org\nzen.example.org\n"
    assert (etc / "smtpd/spfexplain").exists() and (etc / "smtpd/badrcptto").exists()
    assert (etc / "send/domainips").read_text() == "*:127.0.0.1\n" and (etc / "send/domaincerts").read_text() == f"*:{etc}/tls/clientcert.pem\n"
    assert {line for line in (etc / "variables").read_text().splitlines() if "tls/" not in line} == {
        "CIPHERS=HIGH", "MFDNSCHECK=1", "SPF=3", "TARPITCOUNT=5", "TARPITDELAY=9"}
    assert stat.S_IMODE((etc / "tls/servercert.pem").stat().st_mode) == 0o600 and (etc / "tls/servercert.pem").read_text() == pair
    assert "ECDHE" in said["control/dh1024.pem"] and "UCSPITLS" in said["control/tlsclients"]
    assert not [name for name, what in said.items() if "no such item" in what and name != "control/unheardof"]
    (etc / "uids").write_text(house_uids())
    (etc / "smtpd/listen").write_text("127.0.0.1:2525\n")
    r = subprocess.run([f"{BIN}/postern", "check", str(etc), "smtpd"], capture_output=True, text=True)
    assert r.returncode == 0 and "tls/" not in r.stdout, r.stdout


def test_a_successor_that_would_be_refused_is_left_with_the_reason(old):
    put(old / "qmail/control", "spfbehavior", "9\n")
    put(old / "qmail/control", "rblhosts", "not a zone at all\n")
    _, said = run(old)
    assert said["control/spfbehavior"] == 'NOT TAKEN OVER: expected a number from 0 to 6 as SPF, not "9"'
    assert said["control/rblhosts"] == "NOT TAKEN OVER: a line has another form: say it in dnslists"
    assert not (old / "usr/etc/variables").exists()


def test_rules_of_tcpserver_and_files_in_homes_are_looked_at(old):
    root = old / "root"
    put(root, "etc/tcp.smtp", '10.:allow,RELAYCLIENT=""\n:allow\n')
    put(root, "etc/passwd", "root:x:0:0::/root:/bin/sh\njoe:x:1001:1001::/home/joe:/bin/sh\nann:x:1002:1002::/home/ann:/bin/sh\nbob:x:1003:1003::/home/bob:/bin/sh\n")
    for n in ("", "-a", "-b", "-c", "-d"):
        put(root, f"home/joe/.qmail{n}", "&joe@elsewhere.test\n")
    put(root, "home/ann/.qmail", "./Maildir/\n")
    put(root, "home/bob/.forward", "bob@elsewhere.test\n")
    _, said = run(old)
    assert said[f"{root}/etc/tcp.smtp"] == "not needed: control/rules.smtpd.txt was taken"
    joe = said[f"{root}/home/joe"]
    assert joe.endswith(": read where they are") and "and 1 more" in joe
    assert said[f"{root}/home/ann"] == ".qmail: read where they are" and ".forward is not read" in said[f"{root}/home/bob"]
    put(root, "home/ann/.qmail", "/var/mail/ann\n")
    assert run(old)[1][f"{root}/home/ann"] == "NOT TAKEN OVER: .qmail names /var/mail/ann, which is outside of the home"
    (old / "qmail/control/rules.smtpd.txt").unlink()
    _, said = run(old, "-f")
    assert said[f"{root}/etc/tcp.smtp"] == "to smtpd/rules"
    assert (old / "usr/etc/smtpd/rules").read_text().startswith('10.:allow,RELAYCLIENT=""')


def test_the_files_of_the_user_alias_are_read_where_they_are(old):
    put(old / "root", "etc/passwd", "alias:x:7790:2108::/var/qmail/alias:/bin/true\n")
    _, said = run(old)
    assert said["alias"] == "to aliasuser" and (old / "usr/etc/aliasuser").read_text() == "alias\n"
    for name in ("postmaster", "sales"):
        assert said[f"alias/.qmail-{name}"] == "read where it is: the item aliasuser names the user alias"
