"""A real install, as an administrator makes it, under runit, with real users; in namespaces of its own."""
import os
import subprocess

from instance import BUILD, TREE


def test_install_set_up_run_reload_and_remove():
    b = os.path.relpath(BUILD, TREE)
    r = subprocess.run(["unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "--propagation", "private",
                        "bash", "tests/system/install.sh", b], cwd=TREE, capture_output=True, text=True, timeout=400, stdin=subprocess.DEVNULL)
    assert r.returncode == 0 and r.stdout.endswith("all well\n"), r.stdout + r.stderr
