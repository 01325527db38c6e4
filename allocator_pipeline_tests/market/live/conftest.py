"""Vendors of a small market whose truth holds nothing special; a file whose truth does has its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from allocator_pipeline_tests.vendors.small import made_up
from allocator_pipeline_tests.vendors.together import Vendors


@pytest.fixture(scope="module")
def vendors() -> Iterator[Vendors]:
    with Vendors(made_up(5, [])) as started:
        yield started
