"""What the forecast panel says in words: which differences chance alone would not explain, and out of how many."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import NormalDist
from typing import Any, NamedTuple

from allocator_pipeline.config import MIN_JUDGED_WEEKS, QUANTILES
from allocator_pipeline.evaluation.forecast_panel import BASELINES, COMPARISONS
from allocator_pipeline.evaluation.significance import LEVEL
from allocator_pipeline.evaluation.summary import LABELS, compared_with, percent, signed
from allocator_pipeline.forecasters.quality import MIN_STOCKS

TOGETHER = "all of them"
"""What the last of the words are about."""

UNORDERED = (
    f"undefined, for in fewer than {MIN_JUDGED_WEEKS} weeks are there {MIN_STOCKS} forecasts that are not all the same"
)

NOTHING_HELD = "Its top 5 never held anything, for its forecasts do not tell the stocks apart."

Judgement = Mapping[str, Any]


def forecast_findings(judgements: Mapping[str, Judgement], absent: Mapping[str, str]) -> list[dict[str, Any]]:
    """Say what the panel found, forecaster by forecaster, and what chance alone would do.

    Parameters
    ----------
    judgements : mapping of str to dict
        Forecaster -> its judgement (`forecast_panel.judge`).
    absent : mapping of str to str
        Forecaster that was not judged -> why.

    Returns
    -------
    list of dict
        ``about`` (a forecaster, last "all of them") and ``says`` (sentences).
    """
    together = [*_multiplicity(judgements), *(f"{name} was not judged: {why}" for name, why in absent.items())]
    words = [{"about": name, "says": list(sentences(judgement))} for name, judgement in judgements.items()]
    return [*words, {"about": TOGETHER, "says": together}] if together else words


def as_lines(words: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the words as one line for each forecaster, and one about all of them."""
    return [f"- {item['about']}: {' '.join(item['says'])}" for item in words]


def sentences(judgement: Judgement) -> Iterator[str]:
    """Yield what one judgement says, a sentence for each kind of figure."""
    figures, compared = judgement["figures"], judgement["comparisons"]
    missing = f", {judgement['missing']:,} missing" if judgement["missing"] else ""
    yield (
        f"{judgement['weeks']:,} weeks from {judgement['first_week']} to {judgement['last_week']}, "
        f"{judgement['forecasts']:,} forecasts{missing}."
    )
    unordered = compared["rank_ic"] is None and judgement["weeks"] >= MIN_JUDGED_WEEKS
    yield f"Rank IC {_interval(compared['rank_ic'], 1, 4)}: {UNORDERED if unordered else _zero(compared['rank_ic'])}."
    for rival, label in (("zero", "that of forecasting zero"), ("mean", "that of the past mean")):
        difference = compared[f"mse_of_{rival}"]
        yield f"Squared error {_interval(difference, 100, 2)} % against {label}: {_verdict(difference, 'lower')}."
    if figures["hit_rate"] is not None:
        yield (
            f"Right signs {percent(figures['hit_rate'])}, always-up {percent(figures['always_up'])}: "
            f"{_verdict(compared['hits_of_up'], 'higher')}."
        )
    yield from _quantiles(judgement)
    yield from _portfolio(judgement)


def significant(judgement: Judgement) -> dict[str, bool]:
    """Return the comparisons whose interval leaves out zero: name -> whether it speaks for the forecaster."""
    return {
        name: item["estimate"] * COMPARISONS[name].better > 0
        for name, item in judgement["comparisons"].items()
        if compared_with(item) in ("above", "below")
    }


def _quantiles(judgement: Judgement) -> Iterator[str]:
    figures, compared = judgement["figures"], judgement["comparisons"]
    if figures["pinball_ratio"] is None:
        yield "It gives no quantiles."
        return
    difference = compared["pinball_of_history"]
    yield (
        f"Pinball loss {_interval(difference, 100, 1)} % against the stocks' own five-year quantiles: "
        f"{_verdict(difference, 'lower')}."
    )
    off = {name: figures["coverage"][name] - level for name, level in QUANTILES.items()}
    worst = max(off, key=lambda name: abs(off[name]))
    wrong = [name for name in QUANTILES if compared_with(compared[f"coverage_{name}"]) in ("above", "below")]
    told = (
        f"more than chance explains at {', '.join(f'{100 * QUANTILES[name]:g} %' for name in wrong)}"
        if wrong
        else "not distinguishable from nominal at any level"
        if compared[f"coverage_{worst}"] is not None
        else "too few weeks to tell"
    )
    yield (
        f"Coverage, pooled over stocks and weeks, is off by {100 * off[worst]:+.1f} points at most "
        f"(at {100 * QUANTILES[worst]:g} %): {told}."
    )


def _portfolio(judgement: Judgement) -> Iterator[str]:
    runs, compared = judgement["portfolios"], judgement["comparisons"]
    if judgement["forecasts"] and not runs["top"]["turnover"]:
        yield NOTHING_HELD
        return
    yield f"Its top 5, after costs: turnover {percent(runs['top']['turnover'])} a week."
    for name in BASELINES:
        difference = compared[f"sharpe_of_{name}"]
        yield (f"Sharpe ratio less that of {LABELS[name]}: {signed(difference)}, {_verdict(difference, 'higher')}.")


class _Result(NamedTuple):
    """A comparison and the forecasters that share it to the digit."""

    name: str
    item: Mapping[str, Any]
    who: list[str]


def _results(judgements: Mapping[str, Judgement]) -> list[_Result]:
    """Return every comparison once: the quantiles of one calibration are one result, whoever gives them."""
    results: dict[tuple[str, float, float, float], _Result] = {}
    for who, one in judgements.items():
        for name, item in one["comparisons"].items():
            if item is not None:
                key = (name, item["low"], item["estimate"], item["high"])
                results.setdefault(key, _Result(name, item, [])).who.append(who)
    return list(results.values())


def _multiplicity(judgements: Mapping[str, Judgement]) -> Iterator[str]:
    results = _results(judgements)
    count, repeated = len(results), sum(len(result.who) - 1 for result in results)
    if not count:
        return
    verdicts = {who: significant(one) for who, one in judgements.items()}
    found = [result for result in results if result.name in verdicts[result.who[0]]]
    good = [result for result in found if verdicts[result.who[0]][result.name]]
    strict = [result for result in good if _remains(result.item, count)]
    do = f"{len(found)} {'does' if len(found) == 1 else 'do'}" if found else "None does"
    shared = f" ({repeated} more repeat another forecaster's numbers exactly and are counted once)" if repeated else ""
    yield (
        f"These are {count} comparisons at {100 * LEVEL:g} %{shared}: if nothing differed at all, about "
        f"{(1 - LEVEL) * count:.1f} of them would still seem to. {do}; "
        f"{len(good)} in a forecaster's favour{_named(good)}."
    )
    if good:
        yield f"Allowing for their number (Bonferroni), {len(strict)} of those in favour remain{_named(strict)}."
    years = sum(year["rank_ic"] is not None for one in judgements.values() for year in one.get("by_year", {}).values())
    if years:
        yield (
            f"The rank ICs of single years, {years} intervals more, are only shown: about {(1 - LEVEL) * years:.1f} of "
            "them would leave out zero if nothing were there."
        )


def _remains(item: Mapping[str, Any], count: int) -> bool:
    """Tell whether zero is also outside an interval at the level ``1 - 5 % / count``, by the normal distribution."""
    wider = NormalDist().inv_cdf(1 - (1 - LEVEL) / 2 / count) / NormalDist().inv_cdf((1 + LEVEL) / 2)
    return bool(abs(item["estimate"]) > wider * (item["high"] - item["low"]) / 2)


def _named(results: Sequence[_Result]) -> str:
    told = "; ".join(f"{' = '.join(result.who)}: {COMPARISONS[result.name].label}" for result in results)
    return f" ({told})" if told else ""


def _interval(item: Mapping[str, Any] | None, scale: float, decimals: int) -> str:
    if item is None:
        return "n/a"
    low, estimate, high = (f"{scale * item[key]:+.{decimals}f}" for key in ("low", "estimate", "high"))
    return f"{estimate} [{low}, {high}]"


def _zero(item: Mapping[str, Any] | None) -> str:
    return {
        "above": "above zero, more than chance explains",
        "below": "below zero, more than chance explains",
        "same": "not distinguishable from zero",
        "unknown": "too few weeks to tell",
    }[compared_with(item)]


def _verdict(item: Mapping[str, Any] | None, better: str) -> str:
    kind = compared_with(item)
    if kind in ("same", "unknown"):
        return "not distinguishable" if kind == "same" else "too few weeks to tell"
    good = (kind == "above") == (better == "higher")
    return f"{'better' if good else 'worse'}, more than chance explains"
