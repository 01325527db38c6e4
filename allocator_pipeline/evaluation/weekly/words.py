"""The weekly report in words: what the page opens with and the UI shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from allocator_pipeline.config import PRINCIPAL_BASELINES
from allocator_pipeline.evaluation.report.court import Champion
from allocator_pipeline.evaluation.report.estimates import Tries
from allocator_pipeline.evaluation.summary import LABELS, in_order
from allocator_pipeline.evaluation.weekly.rivals import INDEX_FUND, growth

Facts = Mapping[str, Any]
"""A week's facts, as `defs.weekly_report` gathers and stores them."""


def words(facts: Facts) -> list[str]:
    """Return the main sentences."""
    return [*_decided(facts), _last_week(facts), _since_start(facts), *_gate(facts), _warned(facts)]


def change(value: float) -> str:
    """Format a return with its sign: ``-0.0233`` -> ``"-2.33 %"``; what rounds to zero is ``"+0.00 %"``."""
    return f"{round(100 * value, 2) + 0.0:+.2f} %"


def rivals_of(facts: Facts) -> dict[str, str]:
    """Return what stands beside the accounts, principal baselines and index fund: name -> label."""
    return {**{name: LABELS[name] for name in PRINCIPAL_BASELINES}, INDEX_FUND: INDEX_FUND}


def champion(contender: Mapping[str, Any]) -> Champion | None:
    """Return an allocator's champion at the week, or None without one."""
    return Champion(**contender["champion"]) if contender["champion"] is not None else None


def lack(contender: Mapping[str, Any]) -> str:
    """Say why an allocator has no weights."""
    if "damaged" in contender:
        return f"what is stored of it is damaged. {contender['damaged']}"
    return "its champion has not decided it." if contender["champion"] is not None else "it has no champion."


def _decided(facts: Facts) -> list[str]:
    contenders = in_order(facts["allocators"])
    done = [name for name, one in contenders.items() if one["decision"] is not None]
    lines = [f"{len(done)} of {len(contenders)} allocators have decided the week of {facts['week']}."]
    for name, one in contenders.items():
        if one["decision"] is None:
            lines.append(f"{name} has no weights: {lack(one)}")
        elif one["decision"]["fallback"] is not None:
            lines.append(f"{name} was not decided by its champion. {one['decision']['fallback']}")
    return lines


def _last_week(facts: Facts) -> str:
    known, rivals = facts["known_week"], facts["rivals"]
    told = [
        f"{name} {change(one['result']['net'])}"
        for name, one in in_order(facts["allocators"]).items()
        if one["result"]["status"] == "labelled"
    ]
    if not told:
        return f"No allocator has a result of the week of {known}, the newest whose outcome was known."
    beside = [
        f"{label} {change(rivals['net'][name][-1])}"
        for name, label in rivals_of(facts).items()
        if name in rivals["net"]
    ]
    return f"The week of {known}, the newest whose outcome was known, paid after costs: {', '.join([*told, *beside])}."


def _since_start(facts: Facts) -> str:
    accounts = {name: one["account"] for name, one in in_order(facts["allocators"]).items() if one["account"]}
    if not accounts:
        return "No paper account is booked yet."
    start, rivals = min(account["weeks"][0] for account in accounts.values()), facts["rivals"]
    told = [
        f"{name} {change(account['growth'][-1] - 1.0)}"
        + (f" (since {account['weeks'][0]})" if account["weeks"][0] != start else "")
        for name, account in accounts.items()
    ]
    told += [
        f"{label} {change(growth(rivals['net'][name], rivals['weeks'], start))}"
        for name, label in rivals_of(facts).items()
        if name in rivals["net"]
    ]
    told_at_all = f"Since the week of {start}, after costs: {', '.join(told)}."
    return f"{told_at_all} That tells no skill from luck; report.html has the tests."


def _gate(facts: Facts) -> list[str]:
    tries = Tries(facts["tries"])
    champions = {name: one for name, value in in_order(facts["allocators"]).items() if (one := champion(value))}
    count = sum(len(one["verdicts"]) for one in facts["allocators"].values())
    new = (
        f"{count} {'verdict' if count == 1 else 'verdicts'} took effect since the week before."
        if count
        else ("No verdict took effect since the week before.")
    )
    if not champions:
        return [new]
    proven = [name for name, one in champions.items() if one.proven]
    if not proven:
        return [new, f"No champion is proven {tries.words()}."]
    others = "; the other champions are not" if len(proven) < len(champions) else ""
    return [new, f"Proven: {', '.join(proven)}{others}, {tries.words()}."]


def _warned(facts: Facts) -> str:
    count = len(facts["warnings"])
    return f"{count} {'warning' if count == 1 else 'warnings'} about data." if count else "No warning about data."
