#!/usr/bin/python3
"""What a header declares is used: by the programs, not by tests alone."""
import re
from collections import Counter

import c_source

# How tests take down what a process keeps until it ends, and what they count by.
FOR_TESTS = {"counts_free", "credentials_close", "flush_close", "loop_close", "rack_close", "securing_close", "waiting_count"}
WORD = re.compile(r"\b[A-Za-z_]\w+\b")
LIBRARIES = ("SSL_", "ssl_")  # names of others, which a header of ours mentions
PROTOTYPE = re.compile(r"(?!typedef|static|extern|#)[A-Za-z_][^;{}#=()]*?\b(\w+)\(")
# A name for zero says what zero is; an enumeration's own name is for comments; the language's words are no names of ours.
NEEDS_NO_USE = r"\benum (?:\w+ \{{ )?{0}\b|\bspare\d*\b.*;|\[\[{0}\]\]|\balignas\(|##{0}\b"
found = c_source.Findings()
used, first, functions = Counter(), {}, set()

for path in c_source.files("lib", "daemons", "tools"):
    for at, line in enumerate(c_source.code(path), 1):
        if line.lstrip().startswith(("#include", "#pragma")):
            continue
        words = WORD.findall(line)
        used.update(words)
        if path.endswith(".h"):
            if m := PROTOTYPE.match(line):
                functions.add(m[1])
            for word in words:
                first.setdefault(word, (path, at, line))
for path in ("control/schema.def", "control/variables.def", "daemons/census.def", "daemons/graph.def"):
    for line in c_source.code(path):
        used.update(WORD.findall(line))

for word, (path, at, line) in sorted(first.items(), key=lambda x: x[1][:2]):
    own = 2 if word in functions else 1  # it is declared, and a function is defined as well
    if used[word] <= own and word not in FOR_TESTS and not word.startswith(LIBRARIES) and not re.search(NEEDS_NO_USE.format(word), line):
        found.add(path, at, f"{word} is used by no program")
found.end()
