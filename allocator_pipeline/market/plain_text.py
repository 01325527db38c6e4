"""Words out of untrusted HTML: no tags, no scripts, no control characters, of bounded length.

What comes out is scored and never shown as HTML, so that nothing hangs on telling tags from text in every case. Time is
linear in the text; that of the standard library's parser is not, and some texts it answers with an AssertionError.
"""

from __future__ import annotations

import html
import re
import unicodedata

MOST_RAW, MOST_PLAIN = 20_000, 2_000
"""Characters that are read, and kept."""

_SILENT = re.compile(r"<!--.*?(?:-->|\Z)|<(script|style|template)\b.*?(?:</\1\s*>|\Z)", re.DOTALL | re.IGNORECASE)
_INLINE = re.compile(r"</?(?:a|abbr|b|em|font|i|small|span|strong|sub|sup|u)\b[^<>]*>", re.IGNORECASE)
_UNSEEN = ("Cc", "Cf", "Cs")
"""Control, format and surrogate characters; what later versions of Unicode may add is left alone."""

_TAG = re.compile(r"<[/!?]?[a-z][^<>]*>", re.IGNORECASE)


def plain_text(text: str) -> str:
    """Return the words of a text that may hold HTML.

    Tags, comments, scripts and styles are left out, references such as ``&amp;`` become characters, control, format and
    unpaired surrogate characters become spaces, white space is joined.

    Parameters
    ----------
    text : str
        Of which 20,000 characters are read.

    Returns
    -------
    str
        At most 2,000 characters; perhaps none.
    """
    bare = _TAG.sub(" ", _INLINE.sub("", _SILENT.sub(" ", text[:MOST_RAW])))
    printable = "".join(" " if unicodedata.category(one) in _UNSEEN else one for one in html.unescape(bare))
    return " ".join(printable.split())[:MOST_PLAIN].rstrip()
