"""postern queue, as an administrator uses it; and every act is in the log."""
import json

import pytest
from instance import Instance, wait_for


def test_messages_are_listed_shown_held_returned_and_deleted():
    with Instance({"smtpd/rules": ['127.:allow,RELAYCLIENT=""']}) as mx:
        ids = []
        with mx.connect() as s:
            s.ehlo()
            for i in range(3):
                s.transaction(recipients=("x@far.example.net", "alice@example.test"))
                code, text = s.data(b"Subject: far %d\r\n\r\nhello\r\n.\r\n" % i)
                assert code == 250
                ids.append(text.decode().split()[-1])
        mx.wait_messages(3)

        def queue(*words):
            return mx.postern("queue", "-R", mx.path("run"), *words)

        def rows():
            return {r["id"]: r for r in map(json.loads, queue("list", "--json").stdout.splitlines())}

        wait_for(lambda: all(r["waiting"] == 1 and r["delivered"] == 1 for r in rows().values()), what="one delivery of each")
        assert set(rows()) == set(ids)
        assert ids[0] in queue("list").stdout
        shown = queue("show", ids[0]).stdout
        assert "waiting    <x@far.example.net>" in shown and "delivered  <alice@example.test>" in shown
        for words in (("hold", ids[0]), ("delete", ids[1]), ("bounce", ids[2])):
            assert queue(*words).returncode == 0
        wait_for(lambda: ids[1] not in rows() and ids[2] not in rows(), what="two ends")
        assert rows()[ids[0]]["held"]
        assert [r["sender"] for i, r in rows().items() if i not in ids] == [""]  # the report on the one returned
        assert queue("retry", "all").returncode == 0
        assert queue("release", ids[0]).returncode == 0
        wait_for(lambda: not rows()[ids[0]]["held"], what="release")
        assert queue("show", "zzz").returncode == 100
        assert queue("delete", "00000000000").returncode == 100
        for act in ("hold", "delete", "bounce", "release", "retry"):
            assert f"event={act} service=send" in mx.log("send") and "uid=0" in mx.log("send")
        mx.stop("send")
        assert queue("list").returncode == 111


@pytest.fixture(scope="module")
def deferred():
    """Three messages that nothing can deliver: two were tried, the third is held."""
    routes = ["far.example.net:127.0.0.1;9", "near.example.net:127.0.0.1;9"]
    with Instance({"smtpd/rules": ['127.:allow,RELAYCLIENT=""'], "send/smtproutes": routes}) as mx:
        ids = []
        with mx.connect() as s:
            s.ehlo()
            for sender, recipients, size in (("b@one.test", ("x@far.example.net",), 3000), ("a@two.test", ("z@near.example.net", "y@far.example.net"), 10),
                                             ("c@one.test", ("w@far.example.net",), 20)):
                s.transaction(sender=sender, recipients=recipients)
                code, text = s.data(b"Subject: x\r\n\r\n" + b"x" * size + b"\r\n.\r\n")
                assert code == 250
                ids.append(text.decode().split()[-1])

        def queue(*words):
            return mx.postern("queue", "-R", mx.path("run"), *words)

        wait_for(lambda: all(json.loads(line)["attempts"] > 0 for line in queue("list", "--json").stdout.splitlines()), what="attempts")
        assert queue("hold", ids[2]).returncode == 0
        yield ids, queue


def listed(queue, ids, *words):
    """Which of the three are listed, in their order."""
    r = queue("list", *words)
    assert r.returncode == 0, r.stderr
    return [ids.index(line.split()[0]) for line in r.stdout.splitlines()]


def test_a_list_says_why_a_message_waits_and_is_in_order(deferred):
    ids, queue = deferred
    lines = queue("list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ids
    assert all("efused" in line and " next " in line for line in lines[:2]) and " held " in lines[2], lines
    assert "efused" not in queue("list", "--brief").stdout
    assert listed(queue, ids, "--order", "octets") == [0, 2, 1] and listed(queue, ids, "--order", "sender") == [1, 0, 2]
    rows = [json.loads(line) for line in queue("list", "--json", "--reason", "--order", "time").stdout.splitlines()]
    assert [r["id"] for r in rows] == ids and "efused" in rows[0]["reason"]
    assert "reason" not in queue("list", "--json").stdout


def test_a_list_shows_what_is_asked_for(deferred):
    ids, queue = deferred
    assert listed(queue, ids, "--held") == listed(queue, ids, "--state", "held") == [2]
    assert listed(queue, ids, "--state", "deferred") == [0, 1] and listed(queue, ids, "--state", "waiting") == []
    assert listed(queue, ids, "--sender", "ONE.test") == [0, 2] and listed(queue, ids, "--recipient", "Y@far") == [1]
    assert listed(queue, ids, "--recipient", "far.example.net") == [0, 1, 2]
    assert listed(queue, ids, "--older", "1d") == [] and listed(queue, ids, "--older", "0") == [0, 1, 2]
    for words in (("--order", "size"), ("--state", "gone"), ("--older", "soon"), ("--reason", "--brief"), ("--sender",), ("--content",)):
        assert queue("list", *words).returncode == 100, words
    assert queue("show", "--sender", "x", ids[0]).returncode == 100


def test_a_retry_for_whom_nothing_waits_is_not_silent(deferred):
    ids, queue = deferred
    for nobody in ("elsewhere.test", "x@far.example.net"):
        r = queue("retry", nobody)
        assert r.returncode == 100 and r.stderr == f"postern queue: nothing waits for mail to {nobody}: expected a domain, an id, or all\n"
    r = queue("retry", "far.example.net")
    assert (r.returncode, r.stderr) == (0, "")
