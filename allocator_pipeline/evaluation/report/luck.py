"""What other luck would have brought: other seeds of the same recipe, and forecasts that say nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from allocator_pipeline.config import PRINCIPAL_BASELINES
from allocator_pipeline.evaluation.page import chart, table
from allocator_pipeline.evaluation.placebo import least_p, placebo_p
from allocator_pipeline.evaluation.report import over_time, side_by_side
from allocator_pipeline.evaluation.report.estimates import Sharpe, Tries, sharpe_charts, sharpe_of
from allocator_pipeline.evaluation.report.section import Section, Summaries, bullets, note, without_summary
from allocator_pipeline.evaluation.seeds import mean_share, seed_label
from allocator_pipeline.evaluation.summary import p_value, percent

LEVEL = 0.05
"""Of the placebo tests of all allocators together (Bonferroni)."""


def seeds(allocators: Sequence[str], summaries: Summaries, tries: Tries) -> Section:
    """Show how far whole recipes from other seeds spread, then the members of the ensembles there are."""
    figures = {f"seeds-{name}": over_time.seeds(name, summary) for name, summary in summaries.items()}
    figures |= {f"recipes-{name}": over_time.recipes(name, summary) for name, summary in _replicated(summaries).items()}
    shown = _whole_recipes(summaries, tries) + _members(summaries, tries) if summaries else ""
    return Section("seeds", "Other seeds", shown + without_summary(allocators, summaries), figures)


def _replicated(summaries: Summaries) -> Summaries:
    return {name: summary for name, summary in summaries.items() if summary["recipes"]["walks"]}


def _whole_recipes(summaries: Summaries, tries: Tries) -> str:
    replicated = _replicated(summaries)
    body = []
    for name, summary in replicated.items():
        walks, spread = summary["recipes"]["walks"], summary["recipes"]["spread"]
        sharpe, growth = spread["sharpe"], spread["cagr"]
        served = "<br>".join(f"{escape(seed_label(walk))}: {percent(mean_share(walk), 0)}" for walk in walks)
        over = f"{sharpe['n']} seeds"
        body.append(
            [
                f"<strong>{escape(name)}</strong>",
                sharpe_of("policy", summary["series"], tries).html(),
                _over(sharpe["mean"], sharpe["min"], sharpe["max"], over, summary, tries),
                f"{sharpe['sd']:.3f}",
                _growth(growth),
                served,
            ]
        )
    header = ["", "as trained: net Sharpe ratio", "whole recipes: net Sharpe ratio, mean", "standard deviation"]
    header += ["CAGR, mean", "share served by seed, mean over the years"]
    missing = [summary["recipes"]["words"] for name, summary in summaries.items() if name not in replicated]
    if not body:
        return "<h3>Whole recipes</h3>" + bullets(missing)
    remark = (
        "The whole recipe, trained anew from other seeds: ensemble, cross-fit, and the share of the tilt that is "
        "served, which depends on the seed too. Each walks through all judged years with its holdings carried across. "
        "The band reaches from the worst to the best of them in each week, the policies as trained among them. Nobody "
        "can promote one of the others, so that they are no tries; a spread over few seeds is itself uncertain."
    )
    places = [
        chart(f"recipes-{name}", f"Wealth and drawdown of {name} with the band of its whole recipes")
        for name in replicated
    ]
    return (
        f'<h3>Whole recipes</h3><div class="pair">{"".join(places)}</div>{note(remark)}{table(header, body)}'
        + bullets(missing)
    )


def _members(summaries: Summaries, tries: Tries) -> str:
    body, places = [], []
    for name, summary in summaries.items():
        places.append(chart(f"seeds-{name}", f"Wealth and drawdown of {name} with the band of its members"))
        spread, members = summary["seeds"]["spread"], summary["seeds"]["served"]
        over = f"{len(members)} members"
        loose = summary["seeds"]["unshrunk_spread"]["sharpe"]
        body.append(
            [
                f"<strong>{escape(name)}</strong>",
                sharpe_of("policy", summary["series"], tries).html(),
                _over(spread["sharpe"]["mean"], spread["sharpe"]["min"], spread["sharpe"]["max"], over, summary, tries),
                _growth(spread["cagr"]),
                _over(loose["mean"], loose["min"], loose["max"], over, summary, tries),
            ]
        )
    header = ["", "ensemble: net Sharpe ratio", "its members: net Sharpe ratio, mean", "CAGR, mean"]
    header += ["unshrunk members: net Sharpe ratio, mean"]
    remark = (
        "Every member of an ensemble was trained from random numbers of its own and walks alone here, at the one "
        "share that the ensemble's cross-fit set: another seed changes that share too. The band reaches from the worst "
        "to the best of them in each week; the line is what is served, dotted what would be without shrinkage. The "
        "spread is no interval of the ensemble, which is their mean."
    )
    return f'<h3>Members at one share</h3><div class="pair">{"".join(places)}</div>{note(remark)}{table(header, body)}'


def _growth(spread: Mapping[str, float]) -> str:
    low, high = percent(spread["min"]), percent(spread["max"])
    return f"{percent(spread['mean'])}<br><small>{low} to {high}</small>"


def _over(mean: float, low: float, high: float, over: str, summary: Any, tries: Tries) -> str:
    beside = {
        name: summary["series"][name]["metrics"]["sharpe"] for name in PRINCIPAL_BASELINES if name in summary["series"]
    }
    return Sharpe(mean, {"low": low, "high": high}, tries, beside, over).html()


def placebo(allocators: Sequence[str], summaries: Summaries, tries: Tries) -> Section:
    """Show how the policies fare when the stocks have exchanged their forecasts, and random weights."""
    tested = {name: summary for name, summary in summaries.items() if summary["placebo"]["draws"]}
    if not tested:
        return Section("placebo", "Placebos", without_summary(allocators, summaries))
    body = []
    for name, summary in tested.items():
        found, draws = summary["placebo"], [draw["unshrunk_sharpe"] for draw in summary["placebo"]["draws"]]
        over, mean = f"{len(draws)} shuffles", sum(draws) / len(draws)
        body.append(
            [
                f"<strong>{escape(name)}</strong>",
                sharpe_of("unshrunk", summary["series"], tries).html(),
                _over(mean, min(draws), max(draws), over, summary, tries),
                percent(found["share_above"], 0),
                p_value(placebo_p(found)),
                _verdict(found, len(tested)),
                sharpe_of("random", summary["series"], tries).html() if "random" in summary["series"] else "",
            ]
        )
    header = [
        "",
        "unshrunk: net Sharpe ratio",
        "forecasts shuffled: net Sharpe ratio, mean",
        "shuffles as good or better",
        "p, two-sided",
    ]
    header += ["", "random weights: net Sharpe ratio"]
    place = sharpe_charts(
        {
            "placebos": "Sharpe ratio of each unshrunk policy, of the same policy on shuffled forecasts, and of the "
            "baselines"
        },
        interval="The bar is the 95 % interval of the real one.",
        tries=tries,
        text="Small dots: the stocks have exchanged their forecasts, in all weeks alike, before the policy sees them. "
        "A policy whose forecasts are worth something stands to the right of its dots.",
    )
    return Section(
        "placebo",
        "Placebos",
        place + table(header, body, text=[5]) + note(_resolution(tested)) + without_summary(allocators, summaries),
        {"placebos": side_by_side.placebo(tested)},
    )


def _verdict(found: Mapping[str, Any], tested: int) -> str:
    """Say what a placebo test means where so many are made."""
    if tested * placebo_p(found) > LEVEL:
        return "not distinguishable from shuffled forecasts"
    return f"{'better' if found['share_above'] < 0.5 else 'worse'} than its shuffled forecasts"


def _resolution(tested: Summaries) -> str:
    """Say what the tests can show at all, and how many there are."""
    draws = min(len(summary["placebo"]["draws"]) for summary in tested.values())
    least = least_p(draws)
    few = "" if len(tested) * least <= LEVEL else ", which so few shuffles cannot show"
    return (
        f"p of an allocator alone; no p of {draws} shuffles lies below {least:.3f}. Better or worse is said only where "
        f"p times {len(tested)}, the number of such tests, is at most {LEVEL}{few}."
    )
