"""What the benchmarks of this directory share: processes and what they use, POP3 sessions in number (pop3_load)."""
import glob
import os
import subprocess

from pop3_rig import PASSWORD

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
B = os.environ.get("B", "build")
LOAD = os.path.join(TREE, B, "bench/pop3_load")


def build():
    """Brings the programs and the benchmark's own up to date: what is measured is this tree."""
    makefile = "Makefile" if B == "build" else f"{B}/Makefile"
    if not os.path.exists(os.path.join(TREE, makefile)):
        subprocess.run(["./configure", f"--builddir={B}"], cwd=TREE, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["make", "-s", "-f", makefile, f"-j{os.cpu_count()}", "all", "bench-helpers"], cwd=TREE, check=True, stdout=subprocess.DEVNULL)


build()


def family(pid):
    out = [pid]
    for task in glob.glob(f"/proc/{pid}/task/*/children"):
        with open(task) as f:
            for child in f.read().split():
                out += family(int(child))
    return out


def memory(pids):
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup") as f:
                total += next(int(line.split()[1]) for line in f if line.startswith("Pss:"))
        except OSError:
            pass
    return total


def load(port, workers, seconds, user):
    done = subprocess.run([LOAD, str(port), str(workers), str(seconds), user + "@example.test", PASSWORD, "0"], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def memory_a_session(port, pids, n=100):
    before = memory(pids())
    holder = subprocess.Popen([LOAD, str(port), "0", str(n), "alice@example.test", PASSWORD, "0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"open\n"
    after = memory(pids())
    holder.stdin.close()
    holder.wait()
    return (after - before) / n
