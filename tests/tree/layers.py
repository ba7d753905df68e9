#!/usr/bin/python3
"""An include points downward only, daemons include nothing of each other, and rights are taken in one place."""
import os
import re

import c_source

LIB = {
    "base": {"base"},
    "sys": {"base", "sys"},
    "wire": {"base", "sys", "wire"},
    "control": {"base", "sys", "control"},
    "net": {"base", "sys", "wire", "control", "net"},
    "mail": {"base", "sys", "wire", "control", "net", "mail"},
    "store": {"base", "sys", "wire", "control", "store"},
    "crypt": {"base", "sys", "wire", "control", "crypt"},
    "house": {"base", "sys", "wire", "control", "house"},
    "ucspi": {"base", "sys", "wire", "control", "ucspi"},
}
PLAN = {"census.def", "graph.def"}
SCHEMAS = {"../../control/schema.def", "../../control/variables.def"}  # the tables that are also an administrator's
INCLUDE = re.compile(r'\s*#\s*include\s*(["<])([^">]+)[">]')
CONFINEMENT = re.compile(r"lib/sys/(confine|syscalls)[^/]*\.[ch]$")
CONFINES = re.compile(
    r"\b(?:(?:chroot|pivot_root|setuid|seteuid|setreuid|setresuid|setgid|setegid|setregid|setresgid|setgroups|initgroups|capset)\s*\("
    r"|landlock_\w+\s*\(|SYS_landlock\w*|__NR_landlock\w*|seccomp_\w+\s*\(|PR_SET_SECCOMP|PR_SET_NO_NEW_PRIVS)"
)
found = c_source.Findings()


def beside(name, path):
    return os.path.exists(os.path.join(os.path.dirname(path), name))


def wrong_place(kind, own, name, path):
    """Why a file of lib/OWN, daemons/OWN or tools/OWN may not include "name"; none if it may."""
    if "/" not in name:
        if name == "config.h" or beside(name, path) or ((kind != "lib" or own == "house") and name in PLAN):
            return None
        return f'"{name}" is neither beside this file nor of the plan'
    top = name.split("/")[0]
    if kind == "lib":
        if own == "control" and name in SCHEMAS:
            return None
        return None if top in LIB.get(own, ()) else f"lib/{own} may not include {top}/"
    if top in LIB or top == own:
        return None
    # what prints or starts the plan sees every process's rights, as data
    if name.endswith("/privileges.h") and (kind == "tools" or own == "warden"):
        return None
    return f"{kind}/{own} may include lib and itself, not {top}/"


for path in c_source.files("lib", "daemons", "tools"):
    kind, own = path.split("/")[:2]
    if kind == "lib" and own not in LIB:
        found.add(path, 1, f"lib/{own} is not a layer")
    for at, line in enumerate(c_source.code(path), 1):
        if (m := INCLUDE.match(line)) and m[1] == '"':
            if reason := wrong_place(kind, own, m[2], path):
                found.add(path, at, reason)
        elif m and m[2].startswith("openssl/") and not path.startswith("lib/crypt/"):
            found.add(path, at, "OpenSSL is included in lib/crypt alone")
        elif m and m[2] in ("seccomp.h", "linux/landlock.h", "linux/seccomp.h") and not CONFINEMENT.match(path):
            found.add(path, at, f"<{m[2]}> is for lib/sys/confine*.c and lib/sys/syscalls*.c")
        elif (m := CONFINES.search(line)) and not CONFINEMENT.match(path):
            found.add(path, at, f"{m[0].rstrip('( ')}: rights are given up by process_confine() alone")
found.end()
