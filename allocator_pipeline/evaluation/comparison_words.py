"""What the comparison of allocators says, in plain sentences: each number with its interval, tries and baselines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from allocator_pipeline.config import ANCHOR
from allocator_pipeline.evaluation.summary import LABELS, beside_the_tested, in_order, plus


def pair_words(row: Mapping[str, Any], weeks: int, trials: int) -> str:
    """Say how an allocator compares with a baseline.

    Such as ``"not distinguishable from HRP over 416 weeks: Sharpe difference -0.02, 95 % interval -0.30 to +0.20,
    Ledoit-Wolf p 0.81, a gain above the luckiest of as many worthless tries with probability 1 %, after 48 tries"``.
    """
    label = LABELS.get(row["baseline"], row["baseline"])
    if row["verdict"] == "tie":
        why = ", for none of its tilt was served" if row["baseline"] == ANCHOR else ""
        return f"identical to {label} in each of {weeks} weeks: a tie{why}"
    return (
        f"{_verdict(row['verdict'], label)} over {weeks} weeks{_numbers(row)}, after {_count(trials, 'try', 'tries')}"
    )


def duel_words(row: Mapping[str, Any]) -> str:
    """Say how a challenger compares with the champion, after as many tries as there were when it was judged."""
    if row["verdict"] == "tie":
        return f"identical to the champion in each of {row['weeks']} weeks: a tie"
    told = f"{_verdict(row['verdict'], 'the champion')} over {row['weeks']} weeks{_numbers(row)}"
    return f"{told}, after {_count(row['trials'], 'try', 'tries')}"


def comparison_words(result: Mapping[str, Any]) -> list[str]:
    """Return the sentences that sum a comparison up (`comparison.evaluation_summary`)."""
    sentences = [_tries(result), *_by_baseline(result), *_chance(result)]
    if result["deflated"]:
        sentences.append(_deflated(result["deflated"], result["trials"]))
    if result["overfitting"]:
        sentences.append(_overfitting(result["overfitting"]))
    if result["confidence_set"]:
        sentences.append(_confidence_set(result["confidence_set"]))
    return sentences


def _tries(result: Mapping[str, Any]) -> str:
    span = f"{result['weeks']} weeks from {result['first_week']} to {result['last_week']}"
    counted = "recorded in the ledger" if result["tries"]["count"] else "years judged; the ledger holds none yet"
    tries = _count(result["trials"], "try", "tries")
    return f"{_count(len(result['allocators']), 'allocator', 'allocators')} over {span}, after {tries} ({counted})."


def _by_baseline(result: Mapping[str, Any]) -> list[str]:
    sentences = []
    for baseline in dict.fromkeys(row["baseline"] for row in result["pairs"]):
        label = LABELS.get(baseline, baseline)
        rows = [row for row in result["pairs"] if row["baseline"] == baseline]
        parts = []
        for verdict, words in _GROUPS.items():
            group = [_with_difference(row) for row in rows if row["verdict"] == verdict]
            if group:
                parts.append(f"{words}: {', '.join(group)}")
        test = result["superiority"].get(baseline)
        best = _best(test) if test and test["compared"] > 1 else ""
        sentences.append(f"Against {label}, Sharpe ratio less its own: {'; '.join(parts)}.{best}")
    return sentences


def _best(test: Mapping[str, Any]) -> str:
    """Say what the SPA test found, nothing where all are identical to the baseline."""
    if not tested(test):
        return ""
    if test["best"] in test["ties"]:
        return f" None of {test['compared']} is above it{of_which(test)}."
    verdict = "better" if test["p_value"] <= 0.05 else "not better"
    return (
        f" The best of {test['compared']}{of_which(test)} is {verdict} than it by more than chance explains "
        f"(SPA p {_p_value(test)})."
    )


def tested(test: Mapping[str, Any]) -> int:
    """Return how many of those compared in an SPA test are no ties."""
    return int(test["compared"]) - len(test["ties"])


def of_which(test: Mapping[str, Any]) -> str:
    """Return what those compared are, where some are ties: ``" (1 tested, 5 ties)"``."""
    return f" ({tested(test)} tested, {_count(len(test['ties']), 'tie', 'ties')})" if test["ties"] else ""


_GROUPS = {
    "above": "above by more than chance explains",
    "below": "below by more than chance explains",
    "same": "not distinguishable",
    "tie": "identical in every week",
    "unknown": "too few weeks to compare",
}


def _with_difference(row: Mapping[str, Any]) -> str:
    item = row["bootstrap"]
    if item is None or row["verdict"] == "tie":
        return str(row["allocator"])
    return f"{row['allocator']} ({plus(item['estimate'])}, 95 % {plus(item['low'])} to {plus(item['high'])})"


def _chance(result: Mapping[str, Any]) -> list[str]:
    first = result["alike"]
    ties = sum(row["verdict"] == "tie" for row in result["pairs"])
    tested = [row for row in result["pairs"] if row["verdict"] in ("above", "below", "same")]
    own = [row for row in tested if first[row["allocator"]] == row["allocator"]]
    if not own:
        return []
    found = sum(row["verdict"] in ("above", "below") for row in own)
    return [
        f"{_count(found, 'difference', 'differences')} in {_count(len(own), 'comparison', 'comparisons')} at 95 %"
        f"{beside_the_tested(len(tested) - len(own), ties)}: if nothing differed at all, up to about "
        f"{0.05 * len(own):.1f} would still be expected."
    ]


def _deflated(deflated: Mapping[str, Mapping[str, Any]], trials: int) -> str:
    first = next(iter(deflated.values()))
    seeds = ", each seed counted as one" if first["trials"] > trials else ""
    each = ", ".join(
        f"{LABELS.get(name, name)} {100 * item['probability']:.0f} %" for name, item in in_order(deflated).items()
    )
    return (
        f"Deflated for {_count(first['trials'], 'try', 'tries')}{seeds}: the probability that the true Sharpe ratio is "
        f"above the best to be expected of so many tries that earn nothing: {each}. In a rising market it is high "
        "without any skill, of which only the differences to the baselines speak."
    )


def candidates_words(item: Mapping[str, Any]) -> str:
    """Say among what `comparison.evaluation_summary` lets the best be picked: ``"9 recipes and seeds (...)"``."""
    whole = item["whole_recipes"]
    if not whole:
        kind = "each member of an ensemble is one"
    elif len(whole) == item["recipes"]:
        kind = "each seed a whole recipe"
    else:
        kind = f"each seed of {', '.join(whole)} a whole recipe, elsewhere each member of an ensemble is one"
    return f"{item['columns']} recipes and seeds ({kind}; unshrunk)"


def luck_words(item: Mapping[str, Any]) -> str:
    """Say how often the pick would be at or below the median by luck alone: ``"52 % is pure luck"``."""
    return f"{100 * item['by_luck']:.0f} % is pure luck"


def _overfitting(item: Mapping[str, Any]) -> str:
    return (
        f"Whoever picks the best of the {candidates_words(item)} on one half of the weeks finds it at or "
        f"below the median in the other half in {100 * item['probability']:.0f} % of {item['splits']} splits "
        f"({luck_words(item)})."
    )


def _confidence_set(item: Mapping[str, Any]) -> str:
    names = [LABELS.get(name, name) for name in item["included"]]
    may = "Only one" if len(names) == 1 else f"Any of {len(names)}"
    return f"{may} of {len(item['p_values'])} series may be the best (model confidence set, 95 %): {', '.join(names)}."


def _verdict(verdict: str, label: str) -> str:
    return {
        "above": f"above {label} by more than chance explains",
        "below": f"below {label} by more than chance explains",
        "same": f"not distinguishable from {label}",
        "unknown": f"too few weeks to compare with {label}",
    }[verdict]


def _numbers(row: Mapping[str, Any]) -> str:
    item, test = row["bootstrap"], row["ledoit_wolf"]
    if item is None:
        return ""
    gain = row.get("deflated")
    lucky = (
        f", a gain above the luckiest of as many worthless tries with probability {100 * gain['probability']:.0f} %"
        if gain
        else ""
    )
    return (
        f": Sharpe difference {plus(item['estimate'])}, 95 % interval {plus(item['low'])} to {plus(item['high'])}, "
        f"Ledoit-Wolf p {_p_value(test)}{lucky}"
    )


def _p_value(test: Mapping[str, Any]) -> str:
    return f"{test['p_value']:.2f}" if test["p_value"] >= 0.005 else "below 0.005"


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
