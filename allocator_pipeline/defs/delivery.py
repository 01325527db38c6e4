"""Delivery of a report for an asset body: what goes wrong is told, not raised."""

from __future__ import annotations

from collections.abc import Callable

from allocator_pipeline.delivery.settings import MailSettings
from allocator_pipeline.errors import AllocatorError


def deliver_report(html: str, subject: str, log: Callable[[str], None]) -> str:
    """Send a report if a mail server is named, and never fail the run for it.

    Parameters
    ----------
    html : str
        The whole page.
    subject : str
        One line.
    log : callable
        Receives one line.

    Returns
    -------
    str
        What happened, for the asset's metadata and a check: it starts with ``sent``, ``not sent`` or ``failed``.
    """
    from allocator_pipeline.delivery.mail import send_report

    try:
        told = send_report(html, subject, MailSettings.from_env())
    except AllocatorError as error:
        told = f"failed: {error}"
    log(f"report: {told}")
    return told


def arrived(told: str) -> bool:
    """Tell whether what `deliver_report` said is no failure, and no recipient was refused."""
    return not (told.startswith("failed") or told.endswith("refused"))
