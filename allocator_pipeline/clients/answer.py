"""A vendor's whole answer, as a client returns it and the raw store keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Answer:
    """A whole, readable answer to one question.

    Parameters
    ----------
    body : bytes
        As it came; of several pages, as the client documents.
    fetched_at : datetime
        When its last byte had come, UTC.
    request : mapping of str to str
        Path and parameters, without anything secret.
    """

    body: bytes
    fetched_at: datetime
    request: Mapping[str, str]
