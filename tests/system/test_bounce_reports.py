"""Reports: who gets one, what it says, and what becomes of a report that can't be delivered."""
import email
import email.policy

import pytest
from instance import Instance, wait_for

KNOWN = ["alice@example.test:alice/Maildir", "bob@example.test:bob/Maildir", "postmaster@example.test:postmaster/Maildir"]
# policy takes mail for these; `send` finds that there is no such mailbox
GHOSTS = ["ghost@example.test:ghost/Maildir", "ghost2@example.test:ghost2/Maildir"]
CONTROL = {"smtpd/virtualusers": KNOWN + GHOSTS, "send/bouncemaxbytes": "2000", "smtpd/rcpthosts": ["example.test", "far.test"]}


@pytest.fixture
def mx():
    with Instance(CONTROL) as i:
        yield i


def parse(raw):
    return email.message_from_bytes(raw, policy=email.policy.default)


def send_one(mx, sender="alice@example.test", recipients=("ghost@example.test",), parameters="", content=b"Subject: original\r\n\r\nbody of it\r\n", options=None):
    with mx.connect() as s:
        s.ehlo()
        code, text = s.say(f"MAIL FROM:<{sender}>{parameters}")
        assert code == 250, text
        for r in recipients:
            code, text = s.say(f"RCPT TO:<{r}>" + (options or {}).get(r, ""))
            assert code == 250, text
        code, text = s.data(content + b".\r\n")
        assert code == 250, text


def queue_is_empty(mx):
    wait_for(lambda: not mx.queued(), what="the end of all messages")


def only_report(mx, user="alice"):
    report = parse(mx.wait_messages(1, user)[0])
    queue_is_empty(mx)
    assert len(mx.mailbox(user)) == 1
    return report


def parts_of(report):
    assert report.get_content_type() == "multipart/report"
    assert report.get_param("report-type") == "delivery-status"
    text, status, returned = report.iter_parts()
    assert status.get_content_type() == "message/delivery-status"
    return text, list(status.get_payload()), returned


def test_a_mailbox_that_is_not_there_comes_back_as_a_report(mx):
    send_one(mx)
    report = only_report(mx)
    assert report["Return-Path"] == "<>"
    assert report["Delivered-To"] == "alice@example.test"
    assert "MAILER-DAEMON@mx.example.test" in report["From"]
    assert report["To"] == "alice@example.test"
    assert report["Auto-Submitted"] == "auto-replied"
    assert report["Date"] and report["Message-ID"]
    text, (message, recipient), returned = parts_of(report)
    assert "ghost@example.test" in text.get_content()
    assert message["Reporting-MTA"] == "dns; mx.example.test"
    assert recipient["Final-Recipient"] == "rfc822;ghost@example.test"
    assert recipient["Action"] == "failed"
    assert recipient["Status"] == "5.1.1"
    assert recipient["Original-Recipient"] is None
    assert returned.get_content_type() == "message/rfc822"
    assert "body of it" in returned.as_string()
    assert "event=bounce" in mx.log("send")


def test_those_who_can_be_delivered_to_get_it_and_one_report_names_the_others(mx):
    send_one(mx, recipients=("bob@example.test", "ghost@example.test", "ghost2@example.test"))
    _, (_, *recipients), _ = parts_of(only_report(mx))
    assert [r["Final-Recipient"] for r in recipients] == ["rfc822;ghost@example.test", "rfc822;ghost2@example.test"]
    assert len(mx.messages("bob")) == 1


def test_what_the_sender_said_of_himself_is_in_the_report(mx):
    send_one(mx, parameters=" RET=HDRS ENVID=QQ314+2B159", options={"ghost@example.test": " NOTIFY=FAILURE,DELAY ORCPT=rfc822;Old+2BName@example.test"})
    report = only_report(mx)
    _, (message, recipient), returned = parts_of(report)
    assert message["Original-Envelope-Id"] == "QQ314+159"
    assert recipient["Original-Recipient"] == "rfc822;Old+Name@example.test"
    assert returned.get_content_type() == "text/rfc822-headers"
    assert "Subject: original" in returned.get_content() and "body of it" not in report.as_string()


def test_only_the_header_of_a_large_message_comes_back(mx):
    send_one(mx, content=b"Subject: large\r\n\r\n" + b"0123456789\r\n" * 1000)
    report = only_report(mx)
    _, _, returned = parts_of(report)
    assert returned.get_content_type() == "text/rfc822-headers"
    assert "0123456789" not in report.as_string()


def test_notify_never_means_never(mx):
    send_one(mx, options={"ghost@example.test": " NOTIFY=NEVER"})
    wait_for(lambda: "event=done" in mx.log("send"))
    queue_is_empty(mx)
    assert mx.mailbox() == []


def test_notify_success_only_keeps_failures_to_itself(mx):
    send_one(mx, recipients=("bob@example.test", "ghost@example.test"), options={"bob@example.test": " NOTIFY=SUCCESS", "ghost@example.test": " NOTIFY=SUCCESS"})
    report = only_report(mx)
    _, (_, *recipients), _ = parts_of(report)
    assert [(r["Final-Recipient"], r["Action"], r["Status"]) for r in recipients] == [("rfc822;bob@example.test", "delivered", "2.0.0")]
    assert "success notice" in report["Subject"]


def test_success_of_a_lone_recipient_is_reported_once(mx):
    send_one(mx, recipients=("bob@example.test",), options={"bob@example.test": " NOTIFY=SUCCESS,FAILURE"})
    only_report(mx)
    assert len(mx.messages("bob")) == 1


def test_a_failure_of_the_null_sender_goes_to_the_postmaster(mx):
    send_one(mx, sender="")
    report = only_report(mx, "postmaster")
    assert report["Return-Path"] == "<>"
    assert report["To"] == "postmaster@mx.example.test"
    assert mx.mailbox() == []


def test_a_report_that_bounces_goes_to_the_postmaster(mx):
    send_one(mx, sender="ghost2@example.test")
    report = only_report(mx, "postmaster")
    _, (_, recipient), returned = parts_of(report)
    assert recipient["Final-Recipient"] == "rfc822;ghost2@example.test"
    assert returned.get_content_type() in ("message/rfc822", "text/rfc822-headers")
    assert mx.log("send").count("event=bounce ") == 2


def test_a_third_report_is_logged_and_dropped():
    with Instance({**CONTROL, "send/doublebounceto": "ghost@example.test"}) as mx:
        send_one(mx, sender="ghost2@example.test")
        wait_for(lambda: "triple bounce" in mx.log("send"))
        queue_is_empty(mx)
        assert mx.log("send").count("event=done") == 3


def test_without_doublebounceto_a_second_report_is_dropped():
    with Instance({**CONTROL, "send/doublebounceto": ""}) as mx:
        send_one(mx, sender="ghost2@example.test")
        wait_for(lambda: "double bounce" in mx.log("send"))
        queue_is_empty(mx)


def test_a_message_that_comes_again_is_returned_not_delivered_forever(mx):
    send_one(mx, recipients=("bob@example.test",), content=b"Delivered-To: bob@example.test\r\nSubject: x\r\n\r\nloop\r\n")
    _, (_, recipient), _ = parts_of(only_report(mx))
    assert recipient["Status"] == "5.4.6"
    assert mx.mailbox("bob") == []


def test_a_report_with_utf8_addresses_says_so(mx):
    send_one(mx, sender="alice@example.test", recipients=("ghost@example.test",), parameters=" SMTPUTF8 BODY=8BITMIME", content="Subject: Grüße\r\n\r\nschön\r\n".encode())
    report = parse(mx.wait_messages(1)[0])
    assert report.get_param("report-type") == "global-delivery-status"
    text, status, returned = report.iter_parts()
    assert status.get_content_type() == "message/global-delivery-status"
    assert returned.get_content_type() == "message/global"


def test_a_report_on_an_8_bit_message_is_one_itself(mx):
    send_one(mx, parameters=" BODY=8BITMIME", content="Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nsch\u00f6n\r\n".encode())
    report = only_report(mx)
    text, status, returned = report.iter_parts()
    assert report["Content-Transfer-Encoding"] == returned["Content-Transfer-Encoding"] == "8bit"
    assert text["Content-Transfer-Encoding"] is None and status["Content-Transfer-Encoding"] is None
    assert "sch\u00f6n".encode() in mx.messages()[0]


def test_text_of_hostile_header_fields_can_not_forge_the_report(mx):
    send_one(mx, content=b"Subject: x\r\n\r\n--=_postern_\r\nContent-Type: message/delivery-status\r\n\r\nAction: delivered\r\n")
    report = only_report(mx)
    assert len(list(report.iter_parts())) == 3
