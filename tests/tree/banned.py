#!/usr/bin/python3
"""Functions that nobody calls here: without a bound, without an error, with hidden state, or with a shell."""
import re

import c_source

BANNED = {
    "strcpy stpcpy strcat sprintf vsprintf gets": "has no bound: use struct buf",
    "strncpy strncat": "ends or does not end: use struct buf",
    "strtok": "keeps hidden state: use struct bytes",
    "atoi atol atoll atof": "knows no error: use bytes_to_number",
    "system popen": "runs a shell",
    "alloca": "takes stack without a bound",
    "rand srand random srandom drand48": "can be foretold: use getrandom",
    "tmpnam tempnam mktemp": "races",
    "gethostbyname gethostbyaddr getaddrinfo getnameinfo": "asks names by libc: resolve does that",
}
TESTS_MAY = set("rand srand random srandom drand48 strncpy strncat getaddrinfo".split())
MAY = {
    ("tools/postern/check_mail.c", "getaddrinfo"): "an administrator asks, in a shell of his own, what the host itself would say",
    ("lib/ucspi/lookup.c", "getaddrinfo"): "in a process that has given root up and may say one bounded answer",
    ("lib/ucspi/lookup.c", "getnameinfo"): "likewise",
}
WHY = {name: why for names, why in BANNED.items() for name in names.split()}
CALL = re.compile(r"(?<![\w.>])(" + "|".join(WHY) + r")\s*\(")
found = c_source.Findings()

for path in c_source.files("lib", "daemons", "tools", "tests"):
    for at, line in enumerate(c_source.code(path), 1):
        for m in CALL.finditer(line):
            if not (path.startswith("tests/") and m[1] in TESTS_MAY) and (path, m[1]) not in MAY:
                found.add(path, at, f"{m[1]} {WHY[m[1]]}")
found.end()
