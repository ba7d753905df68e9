"""configure, make and install as whoever builds this sees them."""
import os
import re
import subprocess

import pytest
import instance
from instance import TREE

BUILD = os.path.relpath(instance.BUILD, TREE)
MAKE = ["make", "-s"] + ([] if BUILD == "build" else ["-f", BUILD + "/Makefile"])

TOOLS = set(os.listdir(os.path.join(TREE, "tools"))) | {"sslserver", "warden"}

# Compiles as gcc does, but not what has $LACKS in it or among its options.
COMPILER = """#!/bin/sh
for word; do case $word in *.c) source=$word ;; esac; done
{ echo "$*"; cat "$source"; } | grep -qe "$LACKS" && exit 1
exec gcc "$@"
"""


def test_every_program_says_its_version_and_how_it_is_called():
    with open(os.path.join(TREE, "configure"), encoding="utf-8") as f:
        version = re.search(r"^version=(.*)$", f.read(), re.M).group(1)
    with open(os.path.join(TREE, "tools/postern/main.c"), encoding="utf-8") as f:
        words = re.findall(r'^\t\{ "([a-z]+)", ', f.read(), re.M)
    programs = sorted(n for n in os.listdir(instance.BIN) if not n.endswith(".map"))
    assert len(programs) > 25 and len(words) > 6
    for command in [[n] for n in programs] + [["postern", w] for w in words]:
        for option, begins in ("--version", f"{' '.join(command)} (Postern) {version}\n"), ("--help", "usage: " if command[0] in TOOLS else ""):
            r = subprocess.run([os.path.join(instance.BIN, command[0]), *command[1:], option], capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL)
            assert (r.returncode, r.stderr) == (0, "") and r.stdout.startswith(begins) and r.stdout, (command, option, r)


@pytest.mark.skipif(BUILD != "build", reason="the same for every build")
@pytest.mark.parametrize("lacks,packages", [
    ("int unit;", "gcc"), ("linux/landlock.h", "libc6-dev"), ("openssl/provider.h", "libssl-dev"), ("cdb.h\\|idn2.h", "libcdb-dev libidn2-dev"),
    ("static-pie.*-lseccomp", "libseccomp-dev"), ("crypt.h", "libcrypt-dev"), ("unbound.h", "libunbound-dev"),
])
def test_what_is_missing_is_one_line_with_its_package(tmp_path, lacks, packages):
    compiler = tmp_path / "cc"
    compiler.write_text(COMPILER)
    compiler.chmod(0o755)
    r = subprocess.run(["./configure", f"--builddir={tmp_path}/b"], cwd=TREE, env={**os.environ, "CC": str(compiler), "LACKS": lacks},
                       capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert r.returncode == 1 and r.stdout == "", r
    assert re.fullmatch(r"configure: no .*; on Debian: apt-get install " + re.escape(packages) + r"\n", r.stderr), r.stderr
    assert not (tmp_path / "b/Makefile").exists()


def test_what_is_installed_below_another_directory_goes_again(tmp_path):
    destination = f"DESTDIR={tmp_path}"
    for target in "install", "uninstall":
        r = subprocess.run([*MAKE, target, destination], cwd=TREE, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
        assert r.returncode == 0, r.stderr
        files = [os.path.join(base, name) for base, _, names in os.walk(tmp_path) for name in names]
        if target == "install":
            texts = "".join(open(f, encoding="utf-8").read() for f in files if f.endswith(("/run", "postern-setup")))
            assert len(files) > 100 and not re.search(r"@[A-Za-z_]+@", texts), "a name that configure knows was left out"
            assert not [f for f in files if str(tmp_path) in texts]
    assert files == []


def test_a_header_that_changes_is_compiled_again_where_it_is_included():
    r = subprocess.run([*MAKE, "-n", "-W", "lib/wire/queue_control.h", "all"], cwd=TREE, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    again = {line.split()[-1] for line in r.stdout.splitlines() if line.strip().startswith("echo CC")}
    assert {"daemons/queue/admin.c", "tools/postern/queue.c", "lib/wire/edges.c"} <= again, r.stdout + r.stderr
    assert "lib/base/buf.c" not in again and len(again) < 20, again
