"""Reports through a real mail server on loopback."""

from __future__ import annotations

import email
import email.policy
import logging
import socket
import threading

import pytest

from allocator_pipeline.defs.delivery import deliver_report
from allocator_pipeline.delivery import mail
from allocator_pipeline.delivery.mail import send_report
from allocator_pipeline.delivery.settings import MailSettings
from allocator_pipeline.errors import DeliveryError
from allocator_pipeline_tests.delivery.conftest import PASSWORD, USER

PAGE = "<!doctype html><html><body><h1>Wöche</h1></body></html>"


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def send(slept):
    def sending(settings, page=PAGE, subject="Week of 2026-01-05", **options):
        return send_report(page, subject, settings, sleep=slept.append, **options)

    return sending


def received(server):
    (envelope,) = server.messages
    return email.message_from_bytes(envelope.content, policy=email.policy.default)


def test_a_report_arrives_whole(server, settings_of, send):
    assert send(settings_of(server.start())) == "sent to 2 recipient(s) by 127.0.0.1"
    message = received(server)
    assert (message["Subject"], message["From"]) == ("Week of 2026-01-05", "reports@example.org")
    assert message["To"] == "one@example.org, two@example.org"
    assert message.get_body(("html",)).get_content().strip() == PAGE
    (attached,) = message.iter_attachments()
    assert attached.get_filename() == "report.html"
    assert attached.get_content().strip() == PAGE
    assert server.messages[0].rcpt_tos == ["one@example.org", "two@example.org"]


def test_a_large_page_is_attached_only(server, settings_of, send):
    page = PAGE + "<p>x</p>" * 20_000
    send(settings_of(server.start()), page)
    message = received(server)
    assert message.get_body(("html",)) is None
    (attached,) = message.iter_attachments()
    assert attached.get_content().strip() == page


def test_nothing_is_sent_unless_a_server_is_named(send):
    assert send(MailSettings.from_env({})).startswith("not sent")


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_the_password_travels_encrypted(server, settings_of, send, server_context, trusting, security):
    if security == "starttls":
        options = {"tls_context": server_context, "require_starttls": True, "auth_required": True}
    else:  # the server's rules speak of STARTTLS
        options = {"ssl_context": server_context, "auth_require_tls": False}
    port = server.start(authenticator=server.authenticate, **options)
    send(settings_of(port, TLS=security, USER=USER, PASSWORD=PASSWORD), context=trusting)
    assert server.logins == 1
    assert received(server)["Subject"]


def test_a_certificate_that_nobody_vouches_for_is_refused(server, settings_of, send, server_context, slept):
    port = server.start(tls_context=server_context)
    with pytest.raises(DeliveryError, match="SSLCertVerificationError"):
        send(settings_of(port, TLS="starttls", USER=USER, PASSWORD=PASSWORD))
    assert (server.messages, server.logins, slept) == ([], 0, [])


def test_no_password_is_sent_where_starttls_is_missing(server, settings_of, send, slept):
    with pytest.raises(DeliveryError, match="SMTPNotSupportedError"):
        send(settings_of(server.start(), TLS="starttls", USER=USER, PASSWORD=PASSWORD))
    assert (server.logins, slept) == (0, [])


def test_a_wrong_password_is_tried_once_and_shown_nowhere(server, settings_of, send, slept, caplog):
    caplog.set_level(logging.DEBUG, "allocator_pipeline")
    port = server.start(authenticator=server.authenticate, auth_require_tls=False)
    settings = settings_of(port, USER=USER, PASSWORD="canary-wrong")
    with pytest.raises(DeliveryError, match="user or password are refused") as caught:
        send(settings)
    assert slept == []
    assert "canary" not in str(caught.value) + repr(settings) + caplog.text


@pytest.mark.parametrize("answers", [["451 later"], ["451 later", "421 busy"]])
def test_a_passing_refusal_is_overcome(server, settings_of, send, slept, answers):
    server.answers = list(answers)
    send(settings_of(server.start()))
    assert len(server.messages) == 1
    assert len(slept) == len(answers)


@pytest.mark.parametrize(("answer", "tries"), [("451 later", 3), ("554 no", 1)])
def test_what_stays_refused_is_one_error(server, settings_of, send, slept, answer, tries):
    server.answers = [answer] * 10
    with pytest.raises(DeliveryError, match=answer[:3]):
        send(settings_of(server.start()))
    assert len(slept) == tries - 1
    assert len(server.answers) == 10 - tries


def test_some_refused_recipients_are_told_and_the_others_get_it_once(server, settings_of, send):
    server.refused = {"two@example.org": "550 unknown"}
    assert send(settings_of(server.start())) == "sent to 1 recipient(s) by 127.0.0.1; 1 refused"
    assert len(server.messages) == 1


@pytest.mark.parametrize(("answer", "tries"), [("450 greylisted", 3), ("550 unknown", 1)])
def test_all_refused_recipients_are_an_error(server, settings_of, send, slept, answer, tries):
    server.refused = dict.fromkeys(("one@example.org", "two@example.org"), answer)
    with pytest.raises(DeliveryError, match="all recipients"):
        send(settings_of(server.start()))
    assert len(slept) == tries - 1


def test_nobody_there_is_one_error(settings_of, send, slept):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(DeliveryError, match="ConnectionRefusedError"):
        send(settings_of(port))
    assert len(slept) == 2


def test_a_server_that_hangs_up_or_says_nothing_is_one_error(settings_of, send, slept, monkeypatch):
    monkeypatch.setattr(mail, "TIMEOUT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:

        def accept() -> None:
            for number in range(3):
                connection, _ = silent.accept()
                connections.append(connection)
                if number == 0:
                    connection.close()

        connections: list[socket.socket] = []
        thread = threading.Thread(target=accept)
        thread.start()
        with pytest.raises(DeliveryError):
            send(settings_of(silent.getsockname()[1]))
        thread.join()
        for connection in connections:
            connection.close()
    assert len(slept) == 2


@pytest.mark.parametrize("subject", ["", "a\r\nBcc: evil@example.org", "a\nb", "a\0b", "x" * 201, "a\u2028b"])
def test_a_subject_is_one_line(server, settings_of, send, subject):
    with pytest.raises(DeliveryError, match="subject"):
        send(settings_of(server.start()), subject=subject)
    assert server.connections == 0


def test_a_page_that_is_too_large_is_refused(server, settings_of, send, monkeypatch):
    monkeypatch.setattr(mail, "MAX_BYTES", 10)
    with pytest.raises(DeliveryError, match="bytes"):
        send(settings_of(server.start()))


def test_a_dot_on_a_line_of_its_own_does_not_end_the_message(server, settings_of, send):
    page = PAGE + "\n.\nMAIL FROM:<evil@example.org>\n"
    send(settings_of(server.start()), page)
    assert received(server).get_body(("html",)).get_content().replace("\r\n", "\n") == page


def test_a_run_never_fails_for_its_mail(monkeypatch):
    told = []
    assert deliver_report(PAGE, "x", told.append).startswith("not sent")
    monkeypatch.setenv("ALLOCATOR_SMTP_HOST", "127.0.0.1")
    assert deliver_report(PAGE, "x", told.append).startswith("failed: ALLOCATOR_SMTP_FROM")
    assert len(told) == 2
