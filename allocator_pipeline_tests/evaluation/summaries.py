"""Made-up summaries over years, in the exact shape that the report reads: no skill anywhere, chance everywhere."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from allocator_pipeline.atomic import canonical_json
from allocator_pipeline.config import BASELINES, CASH, PRINCIPAL_BASELINES
from allocator_pipeline.evaluation.comparison import evaluation_summary
from allocator_pipeline.evaluation.metrics import drawdowns, sharpe_ratio, wealth
from allocator_pipeline.evaluation.significance import sharpe_difference, sharpe_interval
from allocator_pipeline.market.calendar import weeks_of_year

FEATURES = ("momentum 12", "momentum 52", "volatility", "reversal", "volume", "sentiment", "forecast", "held")
STOCKS = tuple(f"S{i:02d}" for i in range(15))
LEVELS = (0, 5, 10, 20, 50)


class MadeUpSummaries:
    """Summaries of some allocators over the same weeks, and their comparison.

    Parameters
    ----------
    allocators : sequence of str
    years : range
    shares : mapping of str to float
        Allocator -> share of its tilt that is served; 0 makes it equal weight itself.
    draws : int
        Placebo draws.
    replicated : sequence of str
        Allocators whose whole recipe was trained from two more seeds.
    """

    def __init__(self, allocators, years=range(2015, 2019), shares=None, draws=12, tries=12, replicated=()):
        self.years, self.shares, self.draws, self.tries = list(years), shares or {}, draws, tries
        self.replicated = replicated
        self.rng = np.random.default_rng(20_260_107)
        tables = [weeks_of_year(year) for year in self.years]
        self.weeks = [day.date().isoformat() for table in tables for day in table["week"]]
        self.last_exit = tables[-1]["exit_session"].iloc[-1].date().isoformat()
        self.market = self.rng.standard_t(5, len(self.weeks)) * 0.017 + 0.0035
        self.baselines = {name: self._series("baseline", *self._run(tilt)) for name, tilt in self._tilts().items()}
        self.summaries = {name: as_stored(self._summary(name)) for name in allocators}

    def _tilts(self) -> dict[str, float]:
        return {name: 0.0 if name == "equal_weight" else 0.004 for name in BASELINES}

    def _run(self, tilt: float) -> tuple[np.ndarray, np.ndarray]:
        turnover = np.abs(self.rng.normal(0.016 + 12 * tilt * (tilt > 0), 0.006, len(self.weeks)))
        return self.market + self.rng.normal(0, 1, len(self.weeks)) * tilt, turnover

    def _series(self, role: str, gross: np.ndarray, turnover: np.ndarray) -> dict[str, Any]:
        def net(bps: float) -> np.ndarray:
            return gross - 2 * turnover * bps / 1e4

        def level(bps: float) -> dict[str, float]:
            return {"sharpe": float(sharpe_ratio(net(bps))), "cagr": _cagr(net(bps))}

        return {
            "role": role,
            "metrics": _metrics(net(10), turnover),
            "cost_levels": {str(bps): level(bps) for bps in LEVELS},
            "interval": sharpe_interval(net(10), draws=200),
            "weekly": {
                "net": net(10).tolist(),
                "gross": gross.tolist(),
                "turnover": turnover.tolist(),
                "cost": (2 * turnover * 1e-3).tolist(),
            },
        }

    def _blend(self, unshrunk: tuple[np.ndarray, np.ndarray], share: float) -> tuple[np.ndarray, np.ndarray]:
        plain = self.baselines["equal_weight"]["weekly"]
        return tuple(
            share * one + (1 - share) * np.array(plain[key])
            for one, key in zip(unshrunk, ("gross", "turnover"), strict=True)
        )

    def _summary(self, allocator: str) -> dict[str, Any]:
        share = self.shares.get(allocator, 0.2)
        runs = [self._run(0.007) for _ in range(4)]
        mean = tuple(np.mean([run[i] for run in runs], axis=0) for i in (0, 1))
        policy, unshrunk = self._series("candidate", *self._blend(mean, share)), self._series("unshrunk", *mean)
        served, loose = (
            [self._member(i, *run) for i, run in enumerate(some)]
            for some in ([self._blend(run, share) for run in runs], runs)
        )
        shuffled = [float(sharpe_ratio(self._run(0.007)[0] - 0.0002)) for _ in range(self.draws)]
        real = unshrunk["metrics"]["sharpe"]
        draws = [
            {
                "seed": i,
                "sharpe": policy["metrics"]["sharpe"] + 0.1 * share * i / self.draws,
                "cagr": 0.1,
                "unshrunk_sharpe": value,
            }
            for i, value in enumerate(shuffled)
        ]
        held = self.rng.dirichlet(np.full(16, 30.0), len(self.weeks))
        return {
            "format": 2,
            "allocator": allocator,
            "years": self.years,
            "first_week": self.weeks[0],
            "last_week": self.weeks[-1],
            "last_exit": self.last_exit,
            "weeks": self.weeks,
            "costs": {"cost_bps": 10.0},
            "universe": "point_in_time",
            "notes": ["Survivorship: none."],
            "market": "made-up",
            "versions": {str(year): f"v{year - 1}-12-28-{allocator[:3]}{year % 100:03d}" for year in self.years},
            "shares": {str(year): share for year in self.years},
            "series": {"policy": policy, "unshrunk": unshrunk, **self.baselines},
            "recipes": self._recipes(allocator, share, policy, unshrunk),
            "seeds": {
                "served": served,
                "unshrunk": loose,
                "spread": _spread(served),
                "unshrunk_spread": _spread(loose),
            },
            "placebo": {
                "draws": draws,
                "sharpe": policy["metrics"]["sharpe"],
                "unshrunk_sharpe": real,
                "share_above": float(np.mean([value >= real for value in shuffled])),
            },
            "calendar": [self._year(year, allocator, share, policy) for year in self.years],
            "rolling": {
                "weeks": self.weeks[51:],
                "window": 52,
                "policy": _rolling(policy),
                **{name: _rolling(self.baselines[name]) for name in ("hrp", "equal_weight")},
            },
            "response": {
                "weeks": 52,
                **{method: self._response() for method in ("permutation", "integrated_gradients")},
            },
            "weights": {name: np.round(held[:, i], 6).tolist() for i, name in enumerate([*STOCKS, CASH])},
        }

    def _recipes(self, allocator: str, share: float, policy: Any, unshrunk: Any) -> dict[str, Any]:
        if allocator not in self.replicated:
            words = f"No other seed of {allocator}: materialise seed_policies of {allocator}|2015 to {allocator}|2017."
            return {"walks": [], "spread": None, "words": words}

        def walk(seed: int, share: float, net: Any, unshrunk_net: Any, metrics: Any) -> dict[str, Any]:
            shares = {str(year): share for year in self.years}
            return {"seed": seed, "shares": shares, "net": net, "unshrunk_net": unshrunk_net, "metrics": metrics}

        walks = [walk(42, share, policy["weekly"]["net"], unshrunk["weekly"]["net"], policy["metrics"])]
        for seed in (1, 2):
            rng = np.random.default_rng(seed)  # of its own, so that all else stays as it is
            loose = self.market + rng.normal(0, 0.007, len(self.weeks))
            net = share / seed * loose + (1 - share / seed) * np.array(self.baselines["equal_weight"]["weekly"]["net"])
            metrics = _metrics(net, np.full(len(net), 0.02))
            walks.append(walk(seed, share / seed, net.tolist(), loose.tolist(), metrics))
        spread = {key: {**item, "n": len(walks)} for key, item in _spread(walks).items()}
        return {"walks": walks, "spread": spread, "words": f"The whole recipe from {len(walks)} seeds."}

    def _member(self, number: int, gross: np.ndarray, turnover: np.ndarray) -> dict[str, Any]:
        net = gross - 2 * turnover * 1e-3
        return {"member": number, "metrics": _metrics(net, turnover), "net": net.tolist()}

    def _response(self) -> dict[str, dict[str, float]]:
        return {
            "features": {
                name: float(value)
                for name, value in zip(FEATURES, self.rng.gamma(1.0, 0.01, len(FEATURES)), strict=True)
            },
            "stocks": {
                name: float(value) for name, value in zip(STOCKS, self.rng.gamma(2.0, 0.005, len(STOCKS)), strict=True)
            },
        }

    def _year(self, year: int, allocator: str, share: float, policy: dict[str, Any]) -> dict[str, Any]:
        picked = [i for i, week in enumerate(self.weeks) if week.startswith(str(year))]

        def of(series: dict[str, Any], key: str = "net") -> np.ndarray:
            return np.array(series["weekly"][key])[picked]

        net = of(policy)
        return {
            "year": year,
            "version": f"v{year - 1}-12-28-{allocator[:3]}{year % 100:03d}",
            "share": share,
            "return": float(wealth(net)[-1] - 1),
            "sharpe": float(sharpe_ratio(net)),
            "max_drawdown": float(drawdowns(net).min()),
            "turnover": float(of(policy, "turnover").mean()),
            "costs": float(of(policy, "cost").sum()),
            "returns": {name: float(wealth(of(one))[-1] - 1) for name, one in self.baselines.items()},
        }

    def report(self, allocator: str, year: int) -> dict[str, Any]:
        """Return the walk-forward part of the annual report of a year, as far as the page reads it."""
        summary = self.summaries[allocator]
        count = sum(week < str(year + 1) for week in self.weeks)
        version = summary["versions"][str(year)]

        def series(name: str) -> dict[str, Any]:
            one = summary["series"][name]
            weekly = {key: values[:count] for key, values in one["weekly"].items()}
            net = np.array(weekly["net"])
            rivals = PRINCIPAL_BASELINES if name == "policy" else ()
            return {
                "role": one["role"],
                "version": version if name == "policy" else None,
                "metrics": _metrics(net, np.array(weekly["turnover"])),
                "interval": sharpe_interval(net, draws=200),
                "against": {
                    rival: sharpe_difference(net, summary["series"][rival]["weekly"]["net"][:count], draws=200)
                    for rival in rivals
                },
                "weekly": {"weeks": self.weeks[:count], **weekly},
                "weights": {symbol: values[:count] for symbol, values in summary["weights"].items()},
            }

        return as_stored(
            {
                **{key: summary[key] for key in ("market", "universe", "notes", "costs", "first_week")},
                "format": 2,
                "allocator": allocator,
                "year": year,
                "candidate": version,
                "execution": "open of the first session",
                "last_week": self.weeks[count - 1],
                "last_exit": self.last_exit,
                "walk_forward": {
                    "years": self.years,
                    "versions": summary["versions"],
                    "series": {name: series(name) for name in ("policy", *BASELINES)},
                },
            }
        )

    def comparison(self) -> dict[str, Any]:
        """Return the comparison of all allocators."""
        first = next(iter(self.summaries))
        duel = {
            "allocator": first,
            "challenger": "v2018-06-29-chal01-ft",
            "champion": "v2017-12-26-cham01",
            "weeks": 27,
            "trials": 12,
            "bootstrap": {"estimate": 0.12, "low": -0.4, "high": 0.61, "p_value": 0.62},
            "ledoit_wolf": {"p_value": 0.58},
            "deflated": {"difference": 0.2, "threshold": 1.1, "probability": 0.17, "trials": 12},
            "verdict": "same",
            "words": "not distinguishable from the champion over 27 weeks",
        }
        tries = {"count": self.tries, "sequence": 1, "position": self.tries, "by_allocator": {first: self.tries}}
        return as_stored(evaluation_summary(self.summaries, tries, [duel]))


def as_stored(value: dict[str, Any]) -> dict[str, Any]:
    """Return a value as it comes back from the store: plain JSON, its keys in the order of the alphabet."""
    return json.loads(canonical_json(value))


def _cagr(net: np.ndarray) -> float:
    return float(wealth(net)[-1] ** (52 / len(net)) - 1)


def _metrics(net: np.ndarray, turnover: np.ndarray) -> dict[str, float | None]:
    sharpe = float(sharpe_ratio(net))
    return {
        "weeks": len(net),
        "sharpe": sharpe,
        "sortino": 1.4 * sharpe,
        "cagr": _cagr(net),
        "volatility": float(net.std(ddof=1) * np.sqrt(52)),
        "max_drawdown": float(drawdowns(net).min()),
        "drawdown_weeks": 31,
        "cvar": float(np.sort(net)[: len(net) // 20].mean()),
        "tail_hit_rate": 0.05,
        "hit_rate": float((net > 0).mean()),
        "turnover": float(turnover.mean()),
        "costs": float(104 * turnover.mean() * 1e-3),
        "break_even_bps": 37.0 if sharpe > 1 else None,
        "concentration": 0.07,
        "market_exposure": 0.99,
    }


def _spread(members: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    each = {key: [member["metrics"][key] for member in members] for key in ("sharpe", "cagr")}
    return {
        key: {"mean": float(np.mean(v)), "sd": float(np.std(v, ddof=1)), "min": min(v), "max": max(v)}
        for key, v in each.items()
    }


def _rolling(series: dict[str, Any]) -> list[float]:
    windows = np.lib.stride_tricks.sliding_window_view(np.array(series["weekly"]["net"]), 52)
    return sharpe_ratio(windows).tolist()
