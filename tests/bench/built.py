"""Brings the programs and the benchmark's own up to date when it is imported: what is measured is this tree. It comes before the
rigs of tests/system, which copy the programs."""
import os
import subprocess

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
B = os.environ.get("B", "build")
MAKEFILE = "Makefile" if B == "build" else f"{B}/Makefile"

if not os.path.exists(os.path.join(TREE, MAKEFILE)):
    subprocess.run(["./configure", f"--builddir={B}"], cwd=TREE, check=True, stdout=subprocess.DEVNULL)
subprocess.run(["make", "-s", "-f", MAKEFILE, f"-j{os.cpu_count()}", "all", "bench-helpers"], cwd=TREE, check=True, stdout=subprocess.DEVNULL)
