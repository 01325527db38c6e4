"""What small drawings are made of: letters, and an SVG element inside a markdown image."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from xml.sax.saxutils import escape

WIDTH = 760
INK, FAINT, PAPER = "#1d2329", "#66707a", "#ffffff"
COLOURS = ("#0072b2", "#c04a00", "#3b444c", "#8a8f94", "#a06a9b", "#2e8b6f", "#b8860b", "#5d6b78")


def text(x: float, y: float, content: str, colour: str = INK, anchor: str = "start") -> str:
    """Return a line of letters; ``anchor`` is ``start``, ``middle`` or ``end``."""
    return f'<text x="{round(x, 1):g}" y="{y:g}" fill="{colour}" text-anchor="{anchor}">{escape(content)}</text>'


def rule(x1: float, y1: float, x2: float, y2: float, colour: str, width: float = 1) -> str:
    """Return a straight line."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width:g}"/>'


def bar(x: float, y: float, width: float, height: float, colour: str) -> str:
    """Return a filled rectangle."""
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'


def element(parts: Sequence[str], height: int, paper: str = PAPER) -> str:
    """Return an SVG element of the usual width on some paper."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'font-family="sans-serif" font-size="12"><rect width="{WIDTH}" height="{height}" fill="{paper}"/>'
        f"{''.join(parts)}</svg>"
    )


def image(title: str, svg: str) -> str:
    """Return an SVG element as a markdown image, ``![title](data:image/svg+xml;base64,...)``."""
    return f"![{title}](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"
