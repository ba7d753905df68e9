#!/usr/bin/python3
"""A file is read in one sitting, a function on a screen, and a file opens with what it is, trusts and never does."""
import c_source

FILE_MAX = 500
FUNCTION_MAX = 100
FUNCTION_LONG = 60
LONG_SHARE = 20  # one function in so many may be longer than FUNCTION_LONG
OPENING = range(3, 9)
OPENING_OF_DATA = range(2, 9)  # privileges.c trusts nobody: it is one table
found = c_source.Findings()


def functions(path):
    """(line, lines) of each: the house's layout has their braces, and only theirs, alone in the first column."""
    start = 0
    for at, line in enumerate(c_source.code(path), 1):
        if line == "{":
            start = at
        elif line == "}" and start:
            yield start, at - start + 1
            start = 0


def opening(text):
    """How many lines the comment has with which the file begins."""
    if not text[0].startswith("/*"):
        return 0
    return next((n for n, line in enumerate(text, 1) if "*/" in line), 0)


n_functions, long_ones = 0, []
for path in c_source.files("lib", "daemons", "tools", "tests"):
    text = c_source.lines(path)
    ours = not path.startswith("tests/")
    if len(text) - 1 > FILE_MAX:
        found.add(path, FILE_MAX, f"{len(text) - 1} lines; a file has at most {FILE_MAX}")
    if path.endswith(".c") and path.startswith(("lib/", "daemons/")):
        if opening(text) not in (OPENING_OF_DATA if path.endswith("/privileges.c") else OPENING):
            found.add(path, 1, f"opens with a comment of {opening(text)} lines, not 3 to 8: what it is, trusts, never does")
    for at, n in functions(path):
        n_functions += ours
        if n > FUNCTION_MAX:
            found.add(path, at, f"a function of {n} lines; the longest may have {FUNCTION_MAX}")
        elif n > FUNCTION_LONG and ours:
            long_ones.append((path, at, n))
if len(long_ones) * LONG_SHARE > n_functions:
    for path, at, n in long_ones:
        found.add(path, at, f"{n} lines; more than one function in {LONG_SHARE} has over {FUNCTION_LONG}")
found.end()
