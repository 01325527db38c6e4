"""What the environment may say about the mail server."""

from __future__ import annotations

import pytest

from allocator_pipeline.delivery.settings import MailSettings
from allocator_pipeline.errors import ConfigurationError

COMPLETE = {
    "ALLOCATOR_SMTP_HOST": "mail.example.org",
    "ALLOCATOR_SMTP_FROM": "reports@example.org",
    "ALLOCATOR_SMTP_TO": "one@example.org,two@example.org",
    "ALLOCATOR_SMTP_USER": "reporter",
    "ALLOCATOR_SMTP_PASSWORD": "canary",
}


def test_nothing_is_sent_by_default():
    assert not MailSettings.from_env({"ALLOCATOR_SMTP_TO": "one@example.org"}).wanted


@pytest.mark.parametrize(("security", "port"), [("starttls", 587), ("tls", 465)])
def test_the_port_follows_the_encryption(security, port):
    settings = MailSettings.from_env({**COMPLETE, "ALLOCATOR_SMTP_TLS": security})
    assert (settings.port, settings.recipients) == (port, ("one@example.org", "two@example.org"))
    assert "canary" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HOST", "mail.example.org\r\nX"),
        ("HOST", "mail example"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "25x"),
        ("TLS", "yes"),
        ("TLS", "none"),
        ("FROM", ""),
        ("FROM", "a@example.org,b@example.org"),
        ("FROM", "reports@example.org\r\nBcc: evil@example.org"),
        ("TO", ""),
        ("TO", "one@example.org,"),
        ("TO", "one@example.org\nRCPT TO:<evil@example.org>"),
        ("TO", "One <one@example.org>"),
        ("TO", ",".join(["one@example.org"] * 51)),
        ("USER", ""),
        ("PASSWORD", "canäry"),
        ("PASSWORD", "canary\r\n"),
    ],
)
def test_a_value_that_is_not_allowed_is_named_and_not_shown(name, value):
    with pytest.raises(ConfigurationError, match="ALLOCATOR_SMTP_") as caught:
        MailSettings.from_env({**COMPLETE, f"ALLOCATOR_SMTP_{name}": value})
    assert "canary" not in str(caught.value)


def test_a_password_may_reach_this_machine_unencrypted():
    env = {**COMPLETE, "ALLOCATOR_SMTP_HOST": "localhost", "ALLOCATOR_SMTP_TLS": "none"}
    assert MailSettings.from_env(env).password == "canary"
