"""What a policy responds to, drawn as bars for the metadata of assets: permutation beside integrated gradients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from allocator_pipeline.evaluation.svg import COLOURS, FAINT, WIDTH, bar, element, image, text

ROW, TOP, LEFT, RIGHT = 22, 44, 130, 60
METHODS = {"permutation": "permutation", "integrated_gradients": "integrated gradients"}


def response_picture(found: Mapping[str, Any], kind: str) -> str:
    """Draw the share of each feature, or of each stock, in a policy's response, the strongest on top.

    Parameters
    ----------
    found : mapping
        ``permutation`` and ``integrated_gradients`` (None where there are none), as a summary holds them.
    kind : {"features", "stocks"}

    Returns
    -------
    str
        A markdown image; equal values give equal text.
    """
    shares = {method: shares_of(found[method][kind]) for method in METHODS if found[method]}
    order = sorted(shares["permutation"], key=lambda name: (-shares["permutation"][name], name))
    most = max(max(one.values(), default=0.0) for one in shares.values()) or 1.0
    parts = [text(8, 15, f"What the latest policy responds to, by {kind[:-1]}: shares, unshrunk")]
    offset = 8.0
    for method, colour in zip(shares, COLOURS, strict=False):
        parts.append(text(offset, 33, METHODS[method], colour))
        offset += 7.2 * len(METHODS[method]) + 16
    for number, name in enumerate(order):
        y = TOP + ROW * number
        parts.append(text(8, y + 13, name))
        for place, (one, colour) in enumerate(zip(shares.values(), COLOURS, strict=False)):
            width = one.get(name, 0.0) / most * (WIDTH - LEFT - RIGHT)
            parts.append(bar(LEFT, y + 1 + 9 * place, width, 8, colour))
        share = shares["permutation"][name]
        parts.append(text(WIDTH - 8, y + 13, f"{100 * share:.0f} %", FAINT, "end"))
    return image(f"response by {kind[:-1]}", element(parts, TOP + ROW * len(order) + 8))


def shares_of(moved: Mapping[str, float]) -> dict[str, float]:
    """Return how much each moves the weights as a share of all of it, without its sign."""
    total = sum(abs(value) for value in moved.values()) or 1.0
    return {name: abs(value) / total for name, value in moved.items()}
