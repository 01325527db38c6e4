"""Untrusted HTML becomes words."""

from __future__ import annotations

import html
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator_pipeline.market.plain_text import MOST_PLAIN, plain_text


@pytest.mark.parametrize(
    ("given_text", "words"),
    [
        ("Apple&#39;s profit &amp; loss", "Apple's profit & loss"),
        ("<p>One</p><p>Two</p>", "One Two"),
        ("<b>Bo</b>ld", "Bold"),
        ("a<br/>b<br>c", "a b c"),
        ("up <script>alert('x')</script>down", "up down"),
        ("<style>p {color: red}</style>seen", "seen"),
        ("<script>never closed", ""),
        ("<!-- hidden -->seen", "seen"),
        ("5 < 7 and 9 > 8", "5 < 7 and 9 > 8"),
        ("&lt;b&gt;not a tag&lt;/b&gt;", "<b>not a tag</b>"),
        ("<img src=x onerror=alert(1)>picture", "picture"),
        ("nul\x00 bell\x07 escape\x1b[31m", "nul bell escape [31m"),
        ("right\u202eto left\u2066 zero\u200bwidth", "right to left zero width"),
        ("half \ud800 pair", "half pair"),
        ("  many\n\t spaces\u00a0here ", "many spaces here"),
        ("", ""),
        ("<p></p>", ""),
    ],
)
def test_only_words_remain(given_text, words):
    assert plain_text(given_text) == words


@given(st.text())
def test_whatever_comes_is_plain_and_short(text):
    plain = plain_text(text)
    plain.encode()
    assert len(plain) <= MOST_PLAIN
    assert plain == " ".join(plain.split())
    assert all(one.isprintable() for one in plain if ord(one) < 128)


@given(st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs"]), max_size=300))
def test_escaped_text_comes_back(text):
    assert plain_text(html.escape(text)) == " ".join(text.split())


@pytest.mark.parametrize(
    "piece",
    ["<", "<a ", "<!--", "&#", "<script>", "</", "<a b='", "&lt;", "<![", "<!-- -->", "<script></script>", "<style "],
)
def test_a_hostile_text_takes_no_time(piece):
    began = time.process_time()
    plain_text(piece * 500_000)
    assert time.process_time() - began < 2
