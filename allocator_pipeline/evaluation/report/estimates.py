"""Estimates that cannot be shown alone: a Sharpe ratio has its interval, its tries and its baselines.

Whoever picks the best of many numbers picks luck as well. So a Sharpe ratio is shown only through `Sharpe`, which
cannot be built without its company: on the page, as text in the Dagster UI, and as numbers that it plots. The page
shows a difference of two only through `difference`, and charts of some only through `sharpe_charts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from allocator_pipeline.config import MIN_JUDGED_WEEKS, PRINCIPAL_BASELINES
from allocator_pipeline.errors import NotEnoughDataError
from allocator_pipeline.evaluation.growth import cagr_interval
from allocator_pipeline.evaluation.page import chart
from allocator_pipeline.evaluation.summary import LABELS, percent, plus


@dataclass(frozen=True)
class Tries:
    """How many candidates have been tried, among whom what is shown may be the luckiest.

    Parameters
    ----------
    count : int or None
        0 while none has been counted; None for what nobody chose by its results.
    fixed : str
        What such a thing is.
    """

    count: int | None
    fixed: str = "a fixed rule"

    def words(self) -> str:
        """Return ``"after 12 tries"`` or what there is to say instead."""
        if self.count is None:
            return self.fixed
        if self.count == 0:
            return "no try counted yet"
        return f"after {self.count} {'try' if self.count == 1 else 'tries'}"

    def html(self) -> str:
        """Return the words as they stand beside an estimate."""
        return f'<small class="tries">{self.words()}</small>'


FIXED_RULE = Tries(None)
FIXED_RECIPE = Tries(None, "a fixed recipe, not counted")


@dataclass(frozen=True)
class Sharpe:
    """A net Sharpe ratio in its company.

    Parameters
    ----------
    estimate : float
        Annualised, per root year.
    interval : mapping or None
        ``low`` and ``high``, the unit of the estimate; None below 26 weeks, and the page says so.
    tries : Tries
    baselines : mapping of str to float
        Name -> Sharpe ratio over the same weeks, at least one.
    over : str
        What the interval is over, where it is not the 95 % interval of the weeks: ``"4 seeds"``.

    Raises
    ------
    NotEnoughDataError
        If there is no baseline.
    """

    estimate: float
    interval: Mapping[str, Any] | None
    tries: Tries
    baselines: Mapping[str, float]
    over: str = ""

    def __post_init__(self) -> None:
        if not self.baselines:
            raise NotEnoughDataError(
                f"A Sharpe ratio of {self.estimate:.2f} stands alone.",
                todo="run a baseline over the same weeks and show both.",
            )

    def html(self) -> str:
        """Return the estimate with interval, tries and baselines beside it."""
        return (
            f'<span class="sharpe">{self.estimate:.2f}<span class="beside">'
            f'<small class="interval">{escape(self._between())}</small>, {self.tries.html()}</span>'
            f'<small class="beside baselines">{escape(self._beside())}</small></span>'
        )

    def text(self) -> str:
        """Return the same in a line: ``"0.91 [0.20 to 1.63], after 12 tries; equal weight 0.90, HRP 0.92"``."""
        return f"{self.estimate:.2f} [{self._between()}], {self.tries.words()}; {self._beside()}"

    def numbers(self) -> dict[str, float]:
        """Return the same as numbers that a chart takes, without an interval none.

        Returns
        -------
        dict of str to float
            ``sharpe``, ``sharpe_low``, ``sharpe_high``, ``sharpe_`` and the name of each baseline, ``tries``.
        """
        if not self.interval:
            return {}
        ends = {f"sharpe_{end}": float(self.interval[end]) for end in ("low", "high")}
        beside = {f"sharpe_{name}": float(value) for name, value in self.baselines.items()}
        return {"sharpe": float(self.estimate), **ends, **beside, "tries": float(self.tries.count or 0)}

    def _between(self) -> str:
        if not self.interval:
            return "too few weeks"
        over = f" over {self.over}" if self.over else ""
        return f"{self.interval['low']:.2f} to {self.interval['high']:.2f}{over}"

    def _beside(self) -> str:
        return ", ".join(f"{LABELS.get(name, name)} {value:.2f}" for name, value in self.baselines.items())


def sharpe_of(name: str, series: Mapping[str, Mapping[str, Any]], tries: Tries) -> Sharpe:
    """Return the Sharpe ratio of one of several series over the same weeks.

    Parameters
    ----------
    name : str
    series : mapping of str to dict
        Name -> ``role``, ``metrics`` and ``interval``, as reports and summaries hold them; the baselines among them.
    tries : Tries
        Of what is neither a baseline nor the fixed reference recipe.

    Returns
    -------
    Sharpe

    Raises
    ------
    NotEnoughDataError
        If no baseline is among the series.
    """
    own = series[name]
    beside = {
        other: series[other]["metrics"]["sharpe"] for other in PRINCIPAL_BASELINES if other in series and other != name
    }
    fixed = {"baseline": FIXED_RULE, "reference": FIXED_RECIPE}
    return Sharpe(own["metrics"]["sharpe"], own["interval"], fixed.get(own["role"], tries), beside)


def difference(item: Mapping[str, Any] | None) -> str:
    """Return a difference of two Sharpe ratios with its interval; the row it stands in says the tries.

    Parameters
    ----------
    item : mapping or None
        ``estimate``, ``low`` and ``high``; None below 26 weeks.
    """
    if item is None:
        return "<small>too few weeks</small>"
    return (
        f'<span class="difference">{plus(item["estimate"])}'
        f'<small class="interval">{plus(item["low"])} to {plus(item["high"])}</small></span>'
    )


def growth(series: Mapping[str, Any]) -> str:
    """Return the CAGR of a series with its 95 % interval; the row it stands in says the tries.

    Parameters
    ----------
    series : mapping
        ``metrics`` and ``weekly`` net returns, as reports and summaries hold them.
    """
    estimate, net = series["metrics"]["cagr"], series["weekly"]["net"]
    if len(net) < MIN_JUDGED_WEEKS:
        return f"{percent(estimate)}<br><small>too few weeks</small>"
    item = cagr_interval(net)
    between = f"{percent(item['low'])} to {percent(item['high'])}"
    return f'<span class="growth">{percent(estimate)}<small class="interval">{between}</small></span>'


def growth_text(series: Mapping[str, Any]) -> str:
    """Return the same as text: ``"9.5 % [2.1,17.0]"``."""
    estimate, net = percent(series["metrics"]["cagr"]), series["weekly"]["net"]
    if len(net) < MIN_JUDGED_WEEKS:
        return f"{estimate} [n/a]"
    item = cagr_interval(net)
    return f"{estimate} [{100 * item['low']:.1f},{100 * item['high']:.1f}]"


def growth_numbers(series: Mapping[str, Any]) -> dict[str, float]:
    """Return the same as numbers that a chart takes, ``cagr``, ``cagr_low``, ``cagr_high``; none without interval."""
    if len(series["weekly"]["net"]) < MIN_JUDGED_WEEKS:
        return {}
    item = cagr_interval(series["weekly"]["net"])
    return {"cagr": series["metrics"]["cagr"], "cagr_low": item["low"], "cagr_high": item["high"]}


def sharpe_charts(places: Mapping[str, str], *, interval: str, tries: Tries, text: str) -> str:
    """Return the places of charts of Sharpe ratios, with what has to be said about them.

    Parameters
    ----------
    places : mapping of str to str
        Key -> description, as in `page.chart`. Each figure draws the baselines as well.
    interval : str
        Where the reader finds the interval: ``"The bar is the 95 % interval."``
    tries : Tries
    text : str
        What else to say.
    """
    drawn = "".join(chart(key, description) for key, description in places.items())
    if len(places) > 1:
        drawn = f'<div class="trio">{drawn}</div>'
    return (
        f'<div class="sharpes">{drawn}<p class="note">{escape(text)} <span class="interval">{escape(interval)}</span> '
        f'<span class="tries">{tries.words().capitalize()}.</span></p></div>'
    )
