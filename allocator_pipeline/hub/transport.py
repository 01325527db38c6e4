"""How every request to the Hub is sent: few tries, bounded time and size, and the token to one host only.

`huggingface_hub` retries some of its calls without a limit to the wait that the server asks for, and others not at
all; most have no timeout. It lets one give it an HTTP client, and this is the transport below that client, so that one
rule holds for all calls.
"""

from __future__ import annotations

from typing import ClassVar

import httpx2
from huggingface_hub.utils import parse_ratelimit_headers

from allocator_pipeline.errors import AllocatorError, HubError
from allocator_pipeline.registry.artifacts import MAX_FILE_BYTES
from allocator_pipeline.transport import Patience, PatientTransport, foreign_is_safe

PATIENCE = Patience(max_bytes=MAX_FILE_BYTES + 2**20)


class HubTransport(PatientTransport):
    """Sends requests to the Hub within a `Patience`; to another host, which the Hub may name, without the token."""

    error: ClassVar[type[AllocatorError]] = HubError
    refusal: ClassVar[type[AllocatorError]] = HubError
    credential: ClassVar[str] = "token"
    keys: ClassVar[str] = "check HF_TOKEN and the repository's name."

    def _check_foreign(self, request: httpx2.Request) -> None:
        request.headers.pop("authorization", None)
        if not foreign_is_safe(request, self._home):
            raise self._failure(request, "was named by the Hub and is no https address", "report it to the Hub.")

    def _passing(self, response: httpx2.Response) -> bool:
        # a 409 of this kind is what huggingface_hub itself would try again without end
        return super()._passing(response) or (response.status_code == 409 and b"in progress" in response.content)

    def _asked_wait(self, response: httpx2.Response) -> float | None:
        """Return the seconds that the Hub asks to wait: ``Retry-After``, or the rate limit's."""
        asked = super()._asked_wait(response)
        if asked is not None:
            return asked
        limit = parse_ratelimit_headers(response.headers)
        return float(limit.reset_in_seconds) if limit is not None and limit.remaining == 0 else None
