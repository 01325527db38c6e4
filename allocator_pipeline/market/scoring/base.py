"""What a scorer is, and which one there is."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Literal, Protocol, get_args

import numpy as np

from allocator_pipeline.errors import ConfigurationError
from allocator_pipeline.market.scoring.vader import Vader

Choice = Literal["auto", "finbert", "vader"]
Progress = Callable[[str], None]


class Scorer(Protocol):
    """Scores texts by sentiment.

    Attributes
    ----------
    version : str
        Name and, from its weights, settings and words, a hash: the same version gives a text the same score.
    """

    version: str

    def score(self, texts: Sequence[str], progress: Progress | None = None) -> np.ndarray:
        """Return P(positive) - P(negative) of each text, float64 in [-1, 1]; a text's score depends on it alone."""


def open_scorer(choice: Choice = "auto", env: Mapping[str, str] | None = None) -> Scorer:
    """Return the scorer of that name.

    Parameters
    ----------
    choice : {"auto", "finbert", "vader"}
        ``"auto"`` takes FinBERT where ``ALLOCATOR_FINBERT`` names its weights and transformers is installed, else
        VADER; every score says by its version which it was.
    env : mapping, optional
        Defaults to ``os.environ``.

    Raises
    ------
    ConfigurationError
        If there is no such choice, or weights that are named cannot be used.
    """
    if choice not in get_args(Choice):
        raise ConfigurationError(
            f"There is no scorer {choice!r}.", todo=f"choose one of {', '.join(get_args(Choice))}."
        )
    named = (os.environ if env is None else env).get("ALLOCATOR_FINBERT") or ""
    if choice == "finbert" or (choice == "auto" and named and find_spec("transformers") is not None):
        from allocator_pipeline.market.scoring.finbert import FinBert

        return FinBert(named)
    return Vader()
