"""The page of the weekly report: one HTML file without scripts, small enough for a mail."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np

from allocator_pipeline.evaluation.charts import series_colour
from allocator_pipeline.evaluation.page import page, table
from allocator_pipeline.evaluation.plots import line_picture, line_svg
from allocator_pipeline.evaluation.report.court import cases, full_seal
from allocator_pipeline.evaluation.report.estimates import Tries
from allocator_pipeline.evaluation.report.section import Section, absent, bullets, folded, note
from allocator_pipeline.evaluation.report.today import weight_rows
from allocator_pipeline.evaluation.summary import LABELS, in_order, percent
from allocator_pipeline.evaluation.weekly.rivals import INDEX_FUND, growth
from allocator_pipeline.evaluation.weekly.words import Facts, champion, change, lack, rivals_of, words

_NAV_TITLE = "value, start = 1, after costs"


def weekly_page(facts: Facts) -> str:
    """Write the page.

    Parameters
    ----------
    facts : mapping
        As `defs.weekly_report.weekly_facts` gathers them.

    Returns
    -------
    str
        A whole HTML document that needs neither network nor scripts; equal facts give equal text.
    """
    sections = [
        Section("words", "In words", bullets(words(facts))),
        Section("weights", "Target weights", _weights(facts)),
        Section("orders", "Orders", _orders(facts)),
        Section("result", f"The week of {facts['known_week']}", _result(facts)),
        Section("value", "Value since the start", _value(facts)),
        Section("gate", "Champions and verdicts", _gate(facts)),
        Section("warnings", "Data", _data(facts)),
    ]
    lede = f"Market: {facts['market']}. What was known at the close of {facts['decision_session']}."
    shown = [(section.key, section.heading, section.body) for section in sections]
    return page(f"Weekly report: {facts['week']}", lede, shown, {})


def nav_picture(facts: Facts) -> str | None:
    """Draw the accounts and what stands beside them as a markdown image, or None before anything is booked."""
    lines = _lines(facts)
    return line_picture(lines, _span(facts), _NAV_TITLE) if lines else None


def _weights(facts: Facts) -> str:
    decided = {name: one["decision"] for name, one in in_order(facts["allocators"]).items() if one["decision"]}
    baselines = in_order(facts["rivals"]["target"])
    principal = {LABELS[name]: baselines[name] for name in rivals_of(facts) if name in baselines}
    others = {LABELS.get(name, name): target for name, target in baselines.items() if LABELS.get(name) not in principal}
    shown = {**{name: one["target"] for name, one in decided.items()}, **principal}
    if not shown:
        return absent("target_weights", [facts["week"]])
    body = weight_rows(shown)
    classes = [""] * len(body) + ["group", "", ""]
    fill = [""] * len(principal)
    body += [
        ["turnover", *(percent(one["turnover"]) for one in decided.values()), *fill],
        ["decided by", *(_decider(facts["allocators"][name]) for name in decided), *fill],
        ["from", *(f"<small>{escape(_SOURCES[one['source']])}</small>" for one in decided.values()), *fill],
    ]
    more = folded("The other baselines", table(["", *others], weight_rows(others))) if others else ""
    return table(["", *shown], body, classes) + more + _absent_decisions(facts) + _absent_rivals(facts, "target")


def _decider(contender: Mapping[str, Any]) -> str:
    serving, version = champion(contender), contender["decision"]["version"]
    its_own = serving is not None and serving.version == version
    return "<small>its champion</small>" if its_own else f"<small><code>{escape(version)}</code></small>"


_SOURCES = {"cash": "cash", "paper": "what it decided the week before", "given": "a given portfolio"}


def _absent_decisions(facts: Facts) -> str:
    lacking = {name: one for name, one in in_order(facts["allocators"]).items() if one["decision"] is None}
    led = [f"{name}|{facts['week']}" for name, one in lacking.items() if one["champion"] is not None]
    others = [f"{name}: {lack(one)}" for name, one in lacking.items() if one["champion"] is None]
    return (absent("decisions", led) if led else "") + bullets(others)


def _absent_rivals(facts: Facts, kind: str) -> str:
    told = in_order(facts["rivals"]["absent"])
    return bullets([f"{LABELS.get(name, name)}: {why[kind]}" for name, why in told.items() if kind in why])


def _orders(facts: Facts) -> str:
    parts = []
    for name, one in in_order(facts["allocators"]).items():
        if one["decision"] is None:
            continue
        orders, source = one["decision"]["orders"], note(f"From {one['decision']['orders_from']}.")
        sold, bought = (sum(o["notional"] for o in orders if o["side"] == side) for side in ("SELL", "BUY"))
        if not orders:
            none = f"<p><strong>{escape(name)}</strong>: no order; every change is below the thresholds.</p>"
            parts.append(none + source)
            continue
        body = [
            [f"<strong>{escape(o['symbol'])}</strong>", escape(o["side"].lower()), _usd(o["notional"])] for o in orders
        ]
        heading = f"{name}: {len(orders)} orders, sells {_usd(sold)}, buys {_usd(bought)}"
        parts.append(folded(heading, source + table(["", "side", "USD"], body, text=[1])))
    remark = (
        "By the account's own rules: they are those that it fills if its prices are these closes. Changes under 1 % of "
        "value or 10 USD are left out, full exits under 10 USD only. Nothing sends orders."
    )
    return ("".join(parts) or absent("decisions", [facts["week"]])) + note(remark)


def _result(facts: Facts) -> str:
    rivals, body, missing = facts["rivals"], [], []
    anchor = rivals["net"].get("equal_weight", [None])[-1]
    for name, one in in_order(facts["allocators"]).items():
        result = one["result"]
        if result["status"] != "labelled":
            missing.append(f"{name}: {_STATUS[result['status']]}")
            continue
        body.append(
            [
                f"<strong>{escape(name)}</strong><br><small><code>{escape(result['version'])}</code></small>",
                change(result["net"]),
                _less(result["net"], anchor),
                percent(result["turnover"]),
                _dollars(result["account_net"]),
                *_challenger(one["paper"]),
            ]
        )
    classes = [""] * len(body) + ["group"] + [""] * len(rivals["net"])
    for name, nets in in_order(rivals["net"]).items():
        body.append(
            [f"<strong>{escape(LABELS.get(name, name))}</strong>", change(nets[-1]), _less(nets[-1], anchor), *[""] * 4]
        )
    header = [
        "",
        "net return",
        "less equal weight",
        "turnover",
        "account in USD",
        "champion on paper",
        "challenger on paper",
    ]
    remark = (
        "Net of costs, from the execution of that week to the next. The account in USD differs from the decided "
        "weights by order thresholds and whole shares. On paper: champion and challenger side by side, each with its "
        "own holdings. Baselines started in cash in the first decided week."
    )
    shown = table(header, body, classes) if body else absent("labeled_experience", [facts["known_week"]])
    return shown + bullets(missing) + _absent_rivals(facts, "net") + note(remark)


_STATUS = {
    "not_decided": "it had not decided that week.",
    "pending": "no label yet, though it is due; materialise labeled_experience.",
    "damaged": "what is stored of it is damaged, see above.",
}


def _less(net: float, anchor: float | None) -> str:
    return change(net - anchor) if anchor is not None else "<small>not made yet</small>"


def _dollars(net: float | None) -> str:
    return change(net) if net is not None else "<small>not booked</small>"


def _challenger(paper: Mapping[str, Any] | None) -> list[str]:
    if paper is None:
        return ["<small>not scored</small>"] * 2
    other = paper["challenger"]
    cell = (
        f"{change(other['net'])}<br><small><code>{escape(other['version'])}</code></small>"
        if other
        else "<small>none</small>"
    )
    return [change(paper["champion"]["net"]), cell]


def _value(facts: Facts) -> str:
    lines = _lines(facts)
    if not lines:
        return absent("paper_account", [facts["known_week"]]) + _absent_rivals(facts, "net")
    rivals, body, missing = facts["rivals"], [], []
    beside = rivals_of(facts)
    for name, one in in_order(facts["allocators"]).items():
        account = one["account"]
        if account is None:
            missing += [] if "damaged" in one else [name]
            continue
        start = account["weeks"][0]
        body.append(
            [
                f"<strong>{escape(name)}</strong>",
                escape(start),
                f"{len(account['weeks'])}",
                _usd(account["nav"]),
                change(account["growth"][-1] - 1.0),
                *(
                    change(growth(rivals["net"][other], rivals["weeks"], start))
                    if other in rivals["net"]
                    else "<small>absent</small>"
                    for other in beside
                ),
            ]
        )
    colours = _colours(lines)
    key = "".join(f'<li><i style="background:{colours[name]}"></i>{escape(name)}</li>' for name in lines)
    drawing = line_svg(lines, _span(facts), _NAV_TITLE, colours=colours)
    described = f"Value of every account since {facts['rivals']['weeks'][0]} beside {', '.join(beside.values())}"
    chart = (
        f'<ul class="key">{key}</ul><div class="drawing" role="img" aria-label="{escape(described)}">{drawing}</div>'
    )
    header = ["", "since", "weeks", "value, USD", "growth", *(f"{label}, same weeks" for label in beside.values())]
    accounts = absent("paper_account", [f"{name}|{facts['known_week']}" for name in missing]) if missing else ""
    return chart + table(header, body, text=[1]) + accounts + _absent_rivals(facts, "net")


def _lines(facts: Facts) -> dict[str, np.ndarray]:
    """Return growth since the start on the common sessions, NaN before an account began; empty before any has."""
    rivals = facts["rivals"]
    accounts = {name: one["account"] for name, one in in_order(facts["allocators"]).items() if one["account"]}
    if not accounts or not rivals["sessions"]:
        return {}
    lines = {}
    for name, account in accounts.items():
        known = dict(zip(account["sessions"], account["growth"], strict=True))
        lines[name] = np.array([known.get(session, np.nan) for session in rivals["sessions"]])
    for name, label in rivals_of(facts).items():
        if name in rivals["net"]:
            lines[label] = np.cumprod([1.0, *(1.0 + net for net in rivals["net"][name])])
    return lines


def _span(facts: Facts) -> tuple[str, str]:
    return facts["rivals"]["sessions"][0], facts["rivals"]["sessions"][-1]


def _colours(lines: Mapping[str, Any]) -> dict[str, str]:
    names = {label: name for name, label in LABELS.items()}
    return {
        label: "var(--versus-1)"
        if label == INDEX_FUND
        else series_colour(names.get(label, label), "" if label in names else label)
        for label in lines
    }


def _gate(facts: Facts) -> str:
    tries, body, fresh = Tries(facts["tries"]), [], []
    for name, one in in_order(facts["allocators"]).items():
        serving = champion(one)
        if serving is not None:
            mark = full_seal(serving, tries)
            changed = "yes" if serving.version != one["champion_before"] else "no"
            body.append(
                [
                    f"<strong>{escape(name)}</strong>",
                    f"<code>{escape(serving.version)}</code>",
                    escape(serving.since),
                    changed,
                    mark,
                ]
            )
        if one["verdicts"]:
            fresh.append(f"<h3>{escape(name)}</h3>{cases(one['verdicts'])}")
    header = ["", "champion of the week", "serves from", "new this week", "evidence"]
    shown = table(header, body, text=[4]) if body else absent("promoted_policies")
    news = "".join(fresh) or note("No verdict took effect since the week before.")
    return shown + "<h3>Verdicts since the week before</h3>" + news


def _data(facts: Facts) -> str:
    found = bullets(facts["warnings"]) or note(
        "No check failed or warned, no label is missing, and every stock has news."
    )
    simulated = ", ".join(facts["simulated"])
    told = [f"Simulated, not observed: {simulated}."] if simulated else []
    return (
        found
        + "<h3>About this market</h3>"
        + bullets([*told, f"Executed at the {facts['execution']}.", *facts["notes"]])
    )


def _usd(value: float) -> str:
    return f"{value:,.0f} USD"
