"""What the benchmarks of this directory share: processes and what they use, POP3 sessions in number (pop3_load)."""
import glob
import os
import subprocess

from built import B, TREE  # first: the next one copies the programs
from pop3_rig import PASSWORD

LOAD = os.path.join(TREE, B, "bench/pop3_load")


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
