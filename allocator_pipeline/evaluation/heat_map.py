"""A heat map of shares by row and column, as an SVG: which symbol has what of which year."""

from __future__ import annotations

import base64
from xml.sax.saxutils import escape

import pandas as pd

ROWS = 60
"""At most so many rows are drawn, those with the least first, so that the event log stays small."""

CELL, GAP, LEFT, TOP = 22, 12, 86, 40
COLOURS = ((1.0, "#2e8b6f"), (0.99, "#7fbf9f"), (0.9, "#e3c567"), (0.0, "#c04a00"))
"""Least share, and colour; what has no value is grey."""

NOTHING = "#d5d9dd"


def heat_svg(shares: pd.DataFrame, title: str, *, themed: bool = False) -> str:
    """Draw shares as coloured cells.

    Parameters
    ----------
    shares : DataFrame
        Between 0 and 1, NaN where nothing is due; index and columns are the names of rows and columns.
    title : str
    themed : bool
        For a page with a theme of its own: letters are its, and there is no paper.

    Returns
    -------
    str
        An SVG element; equal values give equal text.
    """
    shown = shares
    if len(shares) > ROWS:
        order = shares.fillna(1.0).mean(axis=1).sort_values(kind="stable").index[:ROWS]
        shown = shares.loc[[name for name in shares.index if name in set(order)]]
        title = f"{title}; the {ROWS} of {len(shares)} with the least"
    ink = "var(--ink)" if themed else "#1d2329"
    width = LEFT + CELL * len(shown.columns) + 10
    width, height = max(width, 10 + 7 * len(title)), TOP + GAP * len(shown) + 8
    parts = [] if themed else [f'<rect width="{width}" height="{height}" fill="#ffffff"/>']
    parts.append(f'<text x="4" y="14" fill="{ink}">{escape(title)}</text>')
    small = f'fill="{ink}" font-size="9"'
    for column, name in enumerate(shown.columns):
        x = LEFT + CELL * column + CELL / 2
        parts.append(f'<text x="{x:g}" y="{TOP - 6}" {small} text-anchor="middle">{escape(str(name)[-5:])}</text>')
    for row, (name, values) in enumerate(zip(shown.index, shown.to_numpy(), strict=True)):
        y = TOP + GAP * row
        parts.append(f'<text x="4" y="{y + 9}" {small}>{escape(str(name)[:14])}</text>')
        for column, share in enumerate(values):
            told = "nothing due" if share != share else f"{100 * share:.1f} %"
            parts.append(
                f'<rect x="{LEFT + CELL * column}" y="{y}" width="{CELL - 1}" height="{GAP - 1}" '
                f'fill="{_colour(share)}"><title>{escape(f"{name} {shown.columns[column]}: {told}")}</title></rect>'
            )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="sans-serif" font-size="12" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'
    )


def heat_picture(shares: pd.DataFrame, title: str) -> str:
    """Return `heat_svg` as a markdown image, for the metadata of assets."""
    svg = base64.b64encode(heat_svg(shares, title).encode()).decode()
    return f"![{title}](data:image/svg+xml;base64,{svg})"


def _colour(share: float) -> str:
    if share != share:
        return NOTHING
    return next(colour for least, colour in COLOURS if share >= least)
