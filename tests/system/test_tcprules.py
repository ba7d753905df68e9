"""tcprules and tcprulescheck as scripts call them: exit statuses, what is printed, and that the old table stays whole."""
import os
import subprocess

import pytest
from instance import BIN

RULES = """# comment
192.0.2.1-3:deny
192.168.0.0/16:allow,RELAYCLIENT="",A=/b c/
fe80::/10:deny
=.Example:allow,H="1"
=:allow,NAMED="1"
:deny
"""


def compile_rules(d, text):
    return subprocess.run([f"{BIN}/tcprules", "r.cdb", "r.tmp"], input=text, cwd=d, capture_output=True, text=True)


def check(d, file="r.cdb", **env):
    return subprocess.run([f"{BIN}/tcprulescheck", file], cwd=d, env=env, capture_output=True, text=True)


@pytest.fixture
def d(tmp_path):
    assert compile_rules(tmp_path, RULES).returncode == 0
    return tmp_path


@pytest.mark.parametrize("env,key,said", [
    ({"TCPREMOTEIP": "192.0.2.2"}, "192.0.2.2", ["deny connection"]),
    ({"TCPREMOTEIP": "192.168.9.9"}, None, ["set environment variable RELAYCLIENT=", "set environment variable A=b c", "allow connection"]),
    ({"TCP6REMOTEIP": "fe80::1", "TCPREMOTEIP": "192.168.9.9"}, None, ["deny connection"]),
    ({"TCPREMOTEIP": "::ffff:192.0.2.3"}, "192.0.2.3", ["deny connection"]),
    ({"TCPREMOTEIP": "198.51.100.1", "TCPREMOTEHOST": "a.EXAMPLE"}, "=.example", ["set environment variable H=1", "allow connection"]),
    ({"TCPREMOTEIP": "198.51.100.1", "TCPREMOTEHOST": "a.test"}, "=", ["set environment variable NAMED=1", "allow connection"]),
    ({"TCPREMOTEIP": "198.51.100.1"}, "", ["deny connection"]),
])
def test_a_client_is_looked_up_as_documented(d, env, key, said):
    r = check(d, **env)
    lines = r.stdout.splitlines()
    assert r.returncode == 0 and lines[1:] == said
    assert key is None or lines[0] == f"rule {key}:"


def test_without_a_rule_the_default_is_to_allow(tmp_path):
    assert compile_rules(tmp_path, "192.0.2.1:deny\n").returncode == 0
    assert check(tmp_path, TCPREMOTEIP="192.0.2.9").stdout == "default:\nallow connection\n"


def test_a_bad_line_is_named_and_the_old_table_stays(d):
    before = (d / "r.cdb").read_bytes()
    r = compile_rules(d, "192.0.2.1:allow\n\n192.0.2.1:maybe\n")
    assert r.returncode == 101 and "line 3: expected " in r.stderr
    assert (d / "r.cdb").read_bytes() == before and not (d / "r.tmp").exists()


@pytest.mark.parametrize("line,words", [
    (':allow,DATABYTES="10M"', "expected a number from 0 to 1099511627776 as DATABYTES"),
    (':allow,SPF="7"', "expected a number from 0 to 6 as SPF"),
    (':allow,UCSPITLS="always"', "expected nothing or one of"),
    (':allow,HELOCHEK=""', "expected a variable: HELOCHEK is none; did you mean HELOCHECK?"),
])
def test_a_wrong_variable_is_not_compiled(d, line, words):
    before = (d / "r.cdb").read_bytes()
    r = compile_rules(d, f"192.0.2.1:allow\n{line}\n")
    assert r.returncode == 101 and f"line 2: {words}" in r.stderr
    assert (d / "r.cdb").read_bytes() == before


def test_a_wrong_variable_that_another_compiler_took_is_told(d):
    (d / "r.cdb").write_bytes((d / "r.cdb").read_bytes().replace(b"+NAMED=1", b"+SPF=709"))
    r = check(d, TCPREMOTEIP="198.51.100.1", TCPREMOTEHOST="a.test")
    assert r.returncode == 101 and "set environment variable SPF=709" in r.stdout and "rule =: expected a number from 0 to 6 as SPF" in r.stderr


WITHOUT_ROOM = ["sh", "-c", "trap '' XFSZ; ulimit -f 0; exec \"$@\"", "sh"]  # no file may have an octet


@pytest.mark.parametrize("command,said", [
    ([f"{BIN}/tcprules", "r.cdb", "r.tmp"], "192.0.2.1:allow\n"),
    ([f"{BIN}/postern", "recipients", "r.cdb"], "joe@example.test\n"),
    ([f"{BIN}/postern", "passwd", "-f", "r.cdb", "set", "joe@example.test"], "a password\n"),
])
def test_without_room_the_old_table_stays_and_nothing_is_left_behind(d, command, said):
    before = (d / "r.cdb").read_bytes() if "passwd" not in command else b"ann@example.test:$y$j9T$x$y\n"
    (d / "r.cdb").write_bytes(before)
    r = subprocess.run(WITHOUT_ROOM + command, input=said, cwd=d, capture_output=True, text=True)
    assert r.returncode == 111 and "File too large" in r.stderr, r.stderr
    assert (d / "r.cdb").read_bytes() == before and os.listdir(d) == ["r.cdb"]


def test_trouble_is_111_and_misuse_100(d):
    assert subprocess.run([f"{BIN}/tcprules", "r.cdb"], capture_output=True).returncode == 100
    assert subprocess.run([f"{BIN}/tcprules", "no/r.cdb", "no/r.tmp"], cwd=d, input=b"", capture_output=True).returncode == 111
    assert check(d, "absent.cdb").returncode == 111
    (d / "short.cdb").write_bytes(b"short")
    assert check(d, "short.cdb").returncode == 111
    assert check(d, TCPREMOTEIP="somewhere").returncode == 100


def test_a_full_disk_leaves_the_old_table(d):
    before = (d / "r.cdb").read_bytes()
    big = "".join(f"10.{i // 250}.{i % 250}.:deny\n" for i in range(10000))
    r = subprocess.run(["sh", "-c", "ulimit -f 8; trap '' XFSZ; exec \"$@\"", "sh", f"{BIN}/tcprules", "r.cdb", "r.tmp"],
                       input=big, cwd=d, capture_output=True, text=True)
    assert r.returncode == 111
    assert (d / "r.cdb").read_bytes() == before and not (d / "r.tmp").exists()


def test_the_temporary_file_is_no_way_to_another_file(d):
    (d / "victim").write_text("mine")
    os.symlink("victim", d / "r.tmp")
    assert compile_rules(d, RULES).returncode == 111
    assert (d / "victim").read_text() == "mine"
