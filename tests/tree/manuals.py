#!/usr/bin/python3
"""Manual pages: every program that is installed has one, with its rights and what it logs, and what they refer to is there."""
import glob
import os
import re
import subprocess
import sys

EVENT = re.compile(r'log_(?:why\(|simple\(\s*SEVERITY_\w+,|begin\(&l,[^;]*?)\s*"([a-z][a-z-]+)"')
BY_ALL = {"ending", "refuse"}  # in warden's page
ELSEWHERE = {"resolv.conf.5", "crypt.5"}  # of other packages
pages = {os.path.basename(f): f for pattern in ("daemons/*/*.8", "tools/*/*.[18]", "doc/*.[57]") for f in glob.glob(pattern)}
programs = [os.path.basename(os.path.dirname(f)) for f in glob.glob("daemons/*/main.c") + glob.glob("tools/*/main.c")] + ["postern-setup"]
with open("tools/postern/main.c", encoding="utf-8") as f:
    programs += ["postern-" + word for word in re.findall(r'^\t\{ "([a-z]+)", ', f.read(), re.M)]
bad = [f"{name}:1: has no manual page" for name in programs if not {name + ".1", name + ".8"} & set(pages)]
for page in sorted(pages.values()):
    with open(page, encoding="utf-8") as f:
        whole = f.read()
        if page.startswith("daemons/") and ".SH PRIVILEGES\n" not in whole:
            bad.append(f"{page}:1: has no section PRIVILEGES")
        for source in glob.glob(f"{os.path.dirname(page)}/*.c") if page.startswith("daemons/") else ():
            with open(source, encoding="utf-8") as c:
                said = set(EVENT.findall(c.read())) - BY_ALL
            bad += [f"{page}:1: has nothing of {event}, which is logged" for event in sorted(said) if event not in whole.replace("\\-", "-")]
        f.seek(0)
        for at, line in enumerate(f, 1):
            plain = re.sub(r"\\f.|^\.[BI]R? ", "", line).replace("\\-", "-")
            for name, section in re.findall(r"([a-z][a-z0-9.-]*) ?\(([1578])\)", plain):
                if f"{name}.{section}" not in pages.keys() | ELSEWHERE:
                    bad.append(f"{page}:{at}: refers to {name}({section}), which is not there")
warnings = subprocess.run(["groff", "-Tutf8", "-mandoc", "-ww", "-z", *sorted(pages.values())], capture_output=True, text=True, check=False)
bad += [line.removeprefix("troff: ") for line in warnings.stderr.splitlines()]
print("\n".join(bad), end="\n" if bad else "")
sys.exit(1 if bad else 0)
