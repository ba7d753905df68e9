"""postern queue, as an administrator uses it; and every act is in the log."""
import json

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
