"""What notqmail 1.09's qmail-local did with 59 homes, files and messages (vectors/dotqmail.json), and what Postern does with the same.
A row where Postern means to differ says why."""
import json
import os
import re

import pytest
from instance import TREE, wait_for
from test_dotqmail import Host

with open(os.path.join(TREE, "tests/system/vectors/dotqmail.json"), encoding="utf-8") as f:
    CASES = json.load(f)

CAN_NOT_BE = {  # no message comes in so
    "mbox sender with blank": "an address with a bare blank is refused at MAIL",
    "owner, double bounce sender": "only send itself makes a report about a report",
    "queue says soft": "tests/unit/send tries a queue that refuses",
}
EXPECTED = {  # exit code of qmail, result of ours, and why
    "no such ext": (100, "delivered", "in a home without any .qmail extensions mean nothing, as on hosts that never had qmail"),
    "group-writable home": (0, "deferred", "whoever is in the group could put a .qmail there"),
    "loop line other case": (0, "failed", "hosts on the way change the case; the loop would only be longer"),
    "loop field name other case": (0, "failed", "names of fields have no case"),
    "leading blank is a forward": (0, "delivered", "nobody has that local part, as with qmail; but the blank is not part of it"),
}
OTHER_STATUS = {"sticky home": "4.7.0: a matter of the home's safety, as for any other delivery"}
RESULTS = {0: "delivered", 100: "failed", 111: "deferred"}
OWN_TRACE = re.compile(rb"Received: from [^\n]*\n([ \t][^\n]*\n)*|Received: by mx\.example\.test \(Postern send[^\n]*\n([ \t][^\n]*\n)*")


@pytest.fixture(scope="module")
def shared():
    items = {"locals": ["example.org", "mail.sub.example.org", "example.test"],
             "virtualusers": ["@example.net:net/Maildir", "@remote.example:remote/Maildir", "postmaster@example.test:postmaster/Maildir"]}
    with Host(items) as h:
        yield h


def arrange(host, case):
    host.empty()
    os.makedirs(os.path.join(host.home(), "Maildir"), exist_ok=True)
    os.chown(os.path.join(host.home(), "Maildir"), host.joe, host.joe)
    for name, file in case["files"].items():
        if "link" in file:
            os.symlink(file["link"], os.path.join(host.home(), name))
        else:
            host.put(name, file["content"], int(file["mode"], 8))
    os.chmod(host.home(), int(case["home_mode"], 8))


def drop(host):
    """All that waits, and what was forwarded or returned for a case before."""
    for path in host.queued():
        host.postern("queue", "-R", host.path("run"), "delete", os.path.basename(path))
    wait_for(lambda: not host.queued(), 15, "an empty queue")
    for user in ("net", "remote"):
        for name in host.mailbox(user):
            os.unlink(name)


def outcome(host, case):
    """The line of the log about the first attempt, and what programs said."""
    at = len(host.log("send"))
    address = f"{case['local']}@{case['host']}"
    content = case["message"].replace("\n", "\r\n")
    host.submit(address, sender=case["sender"], content=(content if content.endswith("\r\n") else content + "\r\n").encode())
    line = host.wait_line("event=delivery ", f"rcpt={address} ", since=at)
    said = re.findall(r'event=program-said service=send msg=\S+ words=(?:"((?:[^"\\]|\\.)*)"|(\S+))', host.log("send")[at:])
    return line, "".join((a or b).replace("\\x0a", "\n").replace('\\"', '"') + "\n" for a, b in said)


def field(line, name):
    found = re.search(rf' {name}=(?:"((?:[^"\\]|\\.)*)"|(\S+))', line)
    return (found[1] or found[2]) if found else None


def without_ours(message):
    return OWN_TRACE.sub(b"", message)


def check_forward(host, expected):
    """One message: its sender, whom it goes to, and what it says."""
    n = len([r for r in expected["recipients"] if r])
    wait_for(lambda: len(host.mailbox("net")) >= n, 15, "the forwarded message")
    messages = host.messages("net")
    assert len(messages) == n
    senders = {m.split(b"\n")[0] for m in messages}
    verp = expected["sender"].endswith("-@[]")
    for r in expected["recipients"]:
        sender = expected["sender"]
        if verp:
            local, domain = sender[:-4].rsplit("@", 1)
            sender = f"{local}{r.replace('@', '=')}@{domain}"
        assert f"Return-Path: <{sender}>".encode() in senders
    assert sorted(m.split(b"\n")[1] for m in messages) == sorted(f"Delivered-To: {r}".encode() for r in expected["recipients"])
    for m in messages:
        assert without_ours(m).split(b"\n", 2)[2] == expected["message"].encode()


@pytest.mark.parametrize("case", [c for c in CASES if c["name"] not in CAN_NOT_BE], ids=lambda c: c["name"].replace(" ", "-"))
def test_a_home_is_read_as_qmail_reads_it(shared, case):
    drop(shared)
    arrange(shared, case)
    expected, name = case["expected"], case["name"]
    line, said = outcome(shared, case)
    was, result, _ = EXPECTED.get(name, (expected["exit"], RESULTS[expected["exit"]], ""))
    assert was == expected["exit"] and field(line, "result") == result, line
    if name in EXPECTED:
        return
    status = re.search(r"\(#(\d\.\d\.\d)\)", expected["stderr"])
    if status and name not in OTHER_STATUS:
        assert field(line, "status") == status[1], line
    stdout = re.sub(r"(?m)^(did \d+\+\d+\+\d+|qp N)\n", "", expected["stdout"])
    if name == "programs read the message from its start":
        assert re.match(r"Received: from [^\n]*\n\d+\n$", said)  # our own trace field comes first
    else:
        assert said == stdout
    mails = [without_ours(m) for m in shared.mails()]
    assert mails == [m.encode() for m in expected.get("maildir", [])]
    if "mbox" in expected:
        mbox = re.sub(rb"(?m)^(From \S+) .*", rb"\1 DATE", without_ours(shared.read("mbox")), count=1)
        assert mbox == expected["mbox"].encode()
    if "forward" in expected and any(expected["forward"]["recipients"]):
        check_forward(shared, expected["forward"])
    else:
        assert shared.mailbox("net") == []


def test_every_case_is_one_that_runs_or_says_why_not():
    names = {c["name"] for c in CASES}
    assert len(names) == len(CASES) == 59 and set(CAN_NOT_BE) | set(EXPECTED) | set(OTHER_STATUS) <= names
