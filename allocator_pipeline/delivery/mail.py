"""A report by mail: an HTML page in the message itself and attached, over an encrypted connection, with few tries."""

from __future__ import annotations

import smtplib
import ssl
import time
from collections.abc import Callable
from email.message import EmailMessage
from hashlib import sha256

from allocator_pipeline.delivery.settings import MailSettings
from allocator_pipeline.errors import DeliveryError

MAX_BYTES = 20 * 2**20
INLINE_BYTES = 100_000
"""A larger page is attached only; mail programs cut such a one off."""

TRIES = 3
WAIT_SECONDS = 5.0
TIMEOUT_SECONDS = 30.0
FILE = "report.html"


def send_report(
    html: str,
    subject: str,
    settings: MailSettings,
    *,
    context: ssl.SSLContext | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Send an HTML page to all recipients.

    Parameters
    ----------
    html : str
        The whole page.
    subject : str
        One line.
    settings : MailSettings
    context : ssl.SSLContext, optional
        Whom to trust; by default the authorities that the system trusts.
    sleep : callable
        For tests.

    Returns
    -------
    str
        What happened, in a few words: ``"not sent: ..."`` where no server is named; how many recipients were refused,
        if it was not all.

    Raises
    ------
    DeliveryError
        If the subject is not one line, the page is too large, or the server cannot be reached or refuses, after a few
        tries where another may help. A message whose acceptance was not heard of may arrive twice; its Message-ID is
        the same.
    """
    if not settings.wanted:
        return "not sent: ALLOCATOR_SMTP_HOST is not set"
    message = _message(html, subject, settings)
    for number in range(1, TRIES + 1):
        try:
            refused = _send(message, settings, context or ssl.create_default_context())
        except OSError as error:  # as all errors of smtplib are
            if _final(error) or number == TRIES:
                raise DeliveryError(
                    f"The report was not sent: {_told(error)}.",
                    todo="check the ALLOCATOR_SMTP_ variables and the server, then send it again.",
                    source=f"{settings.host}:{settings.port}",
                ) from None
            sleep(WAIT_SECONDS * number)
        else:
            taken = f"sent to {len(settings.recipients) - len(refused)} recipient(s) by {settings.host}"
            return f"{taken}; {len(refused)} refused" if refused else taken
    raise AssertionError("the last try returns or raises")


def _message(html: str, subject: str, settings: MailSettings) -> EmailMessage:
    payload = html.encode()
    if not subject or len(subject) > 200 or not subject.isprintable():
        raise DeliveryError("The subject is not one short line.", todo="pass printable text without line breaks.")
    if len(payload) > MAX_BYTES:
        raise DeliveryError(f"The report has {len(payload)} bytes.", todo=f"keep it below {MAX_BYTES}.")
    message = EmailMessage()
    message["Subject"], message["From"] = subject, settings.sender
    message["To"] = ", ".join(settings.recipients)
    domain = settings.sender.rsplit("@", 1)[1]
    message["Message-ID"] = f"<{sha256(subject.encode() + payload).hexdigest()[:32]}@{domain}>"
    message.set_content("The report is attached as an HTML page; open it in a browser.\n")
    if len(payload) <= INLINE_BYTES:
        message.add_alternative(html, subtype="html")
    message.add_attachment(html, subtype="html", cte="base64", filename=FILE)
    return message


def _send(message: EmailMessage, settings: MailSettings, context: ssl.SSLContext) -> dict[str, tuple[int, bytes]]:
    """Send once; return the recipients that were refused while others were not."""
    if settings.security == "tls":
        server: smtplib.SMTP = smtplib.SMTP_SSL(
            str(settings.host), settings.port, timeout=TIMEOUT_SECONDS, context=context
        )
    else:
        server = smtplib.SMTP(str(settings.host), settings.port, timeout=TIMEOUT_SECONDS)
    with server:
        if settings.security == "starttls":
            server.starttls(context=context)
        if settings.user is not None and settings.password is not None:
            server.login(settings.user, settings.password)
        return server.send_message(message, settings.sender, list(settings.recipients))


def _final(error: Exception) -> bool:
    """Tell whether another try would end the same: the server said no for good, or cannot be trusted."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return any(code >= 500 for code, _ in error.recipients.values())
    if isinstance(error, smtplib.SMTPResponseException):
        return error.smtp_code >= 500
    return isinstance(error, ssl.SSLCertVerificationError | smtplib.SMTPNotSupportedError)


def _told(error: Exception) -> str:
    """Say what happened without the server's words, which may repeat what it was sent."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "all recipients are refused"
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return f"user or password are refused ({error.smtp_code})"
    if isinstance(error, smtplib.SMTPResponseException):
        return f"the server answered {error.smtp_code}"
    return type(error).__name__
