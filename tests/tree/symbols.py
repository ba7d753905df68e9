#!/usr/bin/python3
"""What a program is linked to fits its rights: tests/tree/symbols.def says which functions of libc it must not reach.

The linker's map says which sections of which objects are in the program, the relocations of those who refers to what:
so a finding names the file that has to change. $B is the build directory.
"""
import functools
import os
import re
import subprocess
from collections import defaultdict

import c_source

TABLE = "tests/tree/symbols.def"
B = os.environ.get("B", "build")
found = c_source.Findings()


@functools.cache
def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def read_table():
    """Yields (line, program, its forbidden symbols); and fills in which source files are excused from what."""
    sets, excused, programs = {}, defaultdict(set), []
    for at, line in enumerate(c_source.lines(TABLE), 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        if len(words) < 3 or words[1] not in ("is", "may", "forbidden"):
            found.add(TABLE, at, "expected: SET is SYMBOL…, FILE may SYMBOL…, or PROGRAM forbidden SYMBOL…")
            continue
        symbols = {s for w in words[2:] for s in (sets.get(w) or {w})}
        if words[1] == "is":
            sets[words[0]] = symbols
        elif words[1] == "may":
            excused[words[0]] |= symbols
        else:
            programs.append((at, words[0], symbols))
    return excused, programs


def plain(symbol):
    """open for __open64_2@GLIBC_2.7: libc's variants count as one."""
    s = symbol.split("@")[0]
    s = re.sub(r"^__(?:isoc\w\w_)?(\w+?)(?:64)?(?:_2|_chk)$", r"\1", s)
    return re.sub(r"^(open|openat|creat|fopen)64$", r"\1", s)


def imports(binary):
    """What it takes from shared libraries; nothing if it is linked statically."""
    return {plain(line.split()[-1]) for line in run("nm", "-D", "-u", binary).splitlines()}


def kept_sections(binary):
    """Object -> the sections of it that the linker kept, from its map."""
    with open(binary + ".map", encoding="utf-8") as f:
        text = f.read().split("Linker script and memory map", 1)[1]
    kept = defaultdict(set)
    for section, of in re.findall(r"^ (\.\S+)\s+0x[0-9a-f]+\s+0x[0-9a-f]+ (\S+)$", text, re.M):
        kept[of].add(section)
    return kept


def references(obj):
    """(section, symbol) of each relocation in an object, also one inside an archive."""
    archive = re.match(r"(.*)\((.*)\)$", obj)
    path = archive[1] if archive else obj
    member = archive[2] if archive else None
    section, current = None, None
    for line in run("readelf", "-rW", path).splitlines():
        if line.startswith("File: "):
            current = line[6:].rpartition("(")[2].rstrip(")")
        elif line.startswith("Relocation section"):
            section = line.split("'")[1].removeprefix(".rela")
        elif (member is None or current == member) and len(w := line.split()) >= 5 and w[2].startswith("R_"):
            yield section, plain(w[4])


def source(obj):
    """lib/sys/fd.c for build/lib/sys.a(fd.o), daemons/smtpd/main.c for build/obj/daemons/smtpd/main.o."""
    if m := re.match(re.escape(B) + r"/lib/(\w+)\.a\((.*)\.o\)$", obj):
        return f"lib/{m[1]}/{m[2]}.c"
    return obj.removeprefix(B + "/obj/").removesuffix(".o") + ".c"


def check(at, program, forbidden, excused):
    binary = f"{B}/bin/{program}"
    users = defaultdict(set)
    for obj, sections in kept_sections(binary).items():
        if obj.startswith(B + "/"):
            for section, symbol in references(obj):
                if section in sections and symbol in forbidden:
                    users[symbol].add(source(obj))
    for symbol in imports(binary) & forbidden - users.keys():
        found.add(TABLE, at, f"{program} reaches {symbol}, from a library")
    for symbol in sorted(users):
        if guilty := {f for f in users[symbol] if symbol not in excused[f]}:
            found.add(TABLE, at, f"{program} reaches {symbol}, from {' '.join(sorted(guilty))}")


excused, programs = read_table()
absent = []
for at, program, forbidden in programs:
    if os.path.exists(f"{B}/bin/{program}"):
        check(at, program, forbidden, excused)
    else:
        absent.append(program)
if absent:
    print("symbols: not built, skipped:", *absent)
found.end()
