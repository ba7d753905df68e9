"""What the tree checks share: the C files of the tree, and their text without comments and strings."""
import glob
import re
import sys

TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def files(*places):
    """The .c and .h files two levels down from each place, such as lib, in order."""
    return sorted(f for p in places for f in glob.glob(f"{p}/*/*.[ch]") + glob.glob(f"{p}/*.[ch]"))


def lines(path):
    with open(path, encoding="utf-8") as f:
        return f.read().split("\n")


def code(path):
    """Its lines with comments blanked and strings emptied; the names in #include lines stay."""

    def blank(m):
        t = m.group()
        if t.startswith("/"):
            return "\n" * t.count("\n") or " "
        return t[0] + t[0]

    text = "\n".join(lines(path))
    out = TOKEN.sub(blank, text).split("\n")
    for i, raw in enumerate(text.split("\n")):
        if raw.lstrip().startswith("#include"):
            out[i] = raw
    return out


class Findings:
    """Prints FILE:LINE: reason for each; the exit status says whether there was one."""

    def __init__(self):
        self.n = 0

    def add(self, path, line, reason):
        self.n += 1
        print(f"{path}:{line}: {reason}")

    def end(self):
        sys.exit(1 if self.n else 0)
