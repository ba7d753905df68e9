#!/usr/bin/python3
"""postern-control(5) against control/schema.def and control/variables.def: the lists in the page are made from these.
Prints what differs; with --write, writes the lists into the page."""
import re
import sys

SCHEMA = "control/schema.def"
VARIABLES = "control/variables.def"
PAGE = "doc/postern-control.5"
KIND = {
    "LINE": "a line of text",
    "NUMBER": "a number",
    "BOOL": "yes or no",
    "DOMAIN": "a domain",
    "PATH": "an absolute path",
    "MAILDIR": "a Maildir, ./NAME/",
    "OWNER": "uid:gid:home",
    "DOMAINS": "domains, one a line",
    "VIRTUALDOMAINS": "domain:user, one a line",
    "MAILBOXES": "local@domain:maildir, one a line",
    "ASSIGN": "assignments, one a line",
    "RULES": "connection rules, one a line",
    "SENDERS": "key&sender,sender, one a line",
    "DNSLISTS": "zones of DNS lists, one a line",
    "RECIPIENTS": "what:table, one a line",
    "VARIABLES": "NAME=value, one a line",
    "FORWARDERS": "addresses, or the path of a file with nameserver lines",
    "ANCHORS": "DNS records, or the path of a file of them",
    "PATTERNS": "patterns, one a line",
    "NETWORKS": "networks, one a line",
    "ENDPOINTS": "addresses, one a line",
    "ROUTES": "routes, one a line",
    "SENDERROUTES": "routes by sender, one a line",
    "DOMAINIPS": "addresses by sender, one a line",
    "DOMAINCERTS": "certificates by sender, one a line",
    "MECHANISMS": "words",
    "TLSDESTINATIONS": "TLS policies, one a line",
    "DANE": "a word",
    "PASSWORDS": "name:hash, one a line",
    "AUTHUSER": "user:password, one a line",
    "PROGRAM": "a program and its arguments",
}
ITEM = re.compile(r'^ITEM\((\w+), "([^"]*)", KIND_(\w+), (\d+), (\d+), (NULL|"[^"]*"), ([A-Z_ |]+), "([^"]*)"\)$')
VARIABLE = re.compile(r'^VARIABLE\((\w+), (\w+), (\d+), (\d+), "([^"]*)", ([A-Z_0-9 |]+), "([^"]*)"\)$')
ALIAS = re.compile(r"^ALIAS\((\w+), (\w+)\)$")
VALUE = {
    "FLAG": "any value",
    "NUMBER": "a number, {least} to {most}",
    "TEXT": "text",
    "SUFFIX": "empty, or a suffix",
    "WORD": "empty, or one of {words}",
    "WORD_OR_DOMAIN": "empty, a domain, or one of {words}",
    "LETTERS": "letters out of {words}",
    "FILE": "an absolute path",
    "FILES": "absolute paths, colons between",
}
LOOKS = {"FOR_SMTP": "smtpd smtps submission", "FOR_INJECT": "inject", "FOR_POP3": "pop3 pop3s", "FOR_SSLSERVER": "sslserver",
         "FOR_TCPSERVER": "tcpserver"}
GROUP = re.compile(r"^/\* ([^*]+) \*/$")


def roff(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    text = re.sub(r"[0-9A-F]{32}", lambda m: m.group(0) + "\\:", text)  # where a long word may be broken
    return "\\&" + text if text[:1] in ".'" else text


def default(text):
    if text == "NULL":
        return "must be there"
    text = text.strip('"').replace("\\n", ", ")  # lines, as C has them
    if text.startswith("="):
        return f"default: what \\fB{text[1:]}\\fR has"
    return f"default: {roff(text)}" if text else "default: empty"


def items():
    out = []
    with open(SCHEMA, encoding="utf-8") as f:
        for at, line in enumerate(f.read().split("\n"), 1):
            if m := GROUP.match(line):
                out += [f".SS {m[1]}"]
            elif m := ITEM.match(line):
                _, file, kind, least, most, otherwise, readers, meaning = m.groups()
                bounds = f", {least} to {most}" if kind == "NUMBER" else ""
                who = " ".join(r.strip()[3:].lower() for r in readers.split("|"))
                out += [".TP", f"\\fB{file}\\fR", roff(meaning[0].upper() + meaning[1:]) + ".", ".br",
                        f"({KIND[kind]}{bounds}; {default(otherwise)}; read by {who})"]
            elif line.startswith("ITEM("):
                sys.exit(f"{SCHEMA}:{at}: is not as this check reads items")
    return "\n".join(out)


def variables():
    out = []
    with open(VARIABLES, encoding="utf-8") as f:
        for at, line in enumerate(f.read().split("\n"), 1):
            if m := GROUP.match(line):
                out += [f".SS {m[1]}"] if m[1] != "Other programs'" else []
            elif m := VARIABLE.match(line):
                name, kind, least, most, words, services, meaning = m.groups()
                value = roff(VALUE[kind].format(least=least, most=most, words=words))
                if kind == "FLAG" and words:
                    value += f"; {roff(words)} switches it off"
                who = " ".join(LOOKS[w.strip()] for w in services.split("|"))
                out += [".TP", f".B {name}", roff(meaning[0].upper() + meaning[1:]) + ".", ".br", f"({value}; {who})"]
            elif m := ALIAS.match(line):
                out += [".TP", f".B {m[1]}", f"An older name of {m[2]}."]
            elif line.startswith(("VARIABLE(", "ALIAS(")):
                sys.exit(f"{VARIABLES}:{at}: is not as this check reads variables")
    return "\n".join(out)


def put(page, what, made):
    begin, end = f'.\\" {what}: made by tests/tree/control_manual.py --write', f'.\\" end of {what}'
    head, rest = page.split(begin)
    return head + begin + "\n" + made + "\n" + end + rest.split(end)[1]


with open(PAGE, encoding="utf-8") as f:
    have = f.read()
want = put(put(have, "items", items()), "variables", variables())
if "--write" in sys.argv:
    with open(PAGE, "w", encoding="utf-8") as f:
        f.write(want)
elif have != want:
    old, new = have.split("\n"), want.split("\n")
    for line in new:
        if line not in old:
            print(f"{PAGE}:1: lacks: {line}")
    for line in old:
        if line not in new:
            print(f"{PAGE}:1: nothing makes: {line}")
    sys.exit(1)
