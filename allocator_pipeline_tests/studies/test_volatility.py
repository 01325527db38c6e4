from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from allocator_pipeline.forecasters import inputs
from allocator_pipeline.studies import volatility

PLANTED = {
    "own 20": 0.2,
    "own 125": 0.5,
    "market 5": 0.4,
    "market 20": -0.1,
    "market's trend 5": -0.2,
    "own trend 5": 0.1,
}


def restless(days: int, stocks: int = 20, seed: int = 0) -> np.ndarray:
    """Returns whose volatility wanders, the market's and each stock's own."""
    random = np.random.default_rng(seed)
    level = sum(np.sin(np.arange(days) / length + shift) for length, shift in ((15, 0.0), (60, 1.0), (250, 2.0)))
    own = np.sin(np.arange(days)[:, None] / random.uniform(40, 200, stocks))
    both = np.exp(0.2 * level[:, None] + 0.3 * own)
    return 0.01 * both * (random.standard_normal((days, stocks)) + 0.7 * random.standard_normal((days, 1)))


def test_planted_weights_are_found(monkeypatch: pytest.MonkeyPatch):
    returns = restless(2500)
    terms = zip(PLANTED.values(), inputs.outlook_terms(returns), strict=True)
    scale = np.exp(np.sum([weight * term for weight, term in terms], axis=0))
    drawn = np.random.default_rng(1).laplace(size=returns.shape)
    monkeypatch.setattr(volatility, "weekly_returns", lambda _: scale * drawn)
    found = volatility.estimated(returns)
    assert list(found) == list(inputs.OUTLOOK)
    assert found == pytest.approx(PLANTED, abs=0.06)


def test_weights_of_volatilities_add_up_to_one():
    for weights in (inputs.OUTLOOK, volatility.estimated(restless(600))):
        assert sum(weight for name, weight in weights.items() if "trend" not in name) == pytest.approx(1)


def test_the_command_reads_a_table_and_tells_wandering_volatility_from_none(tmp_path, capsys):
    losses = []
    for name, returns in (
        ("wanders.parquet", restless(2000)),
        ("flat.csv", 0.01 * np.random.default_rng(2).standard_normal((2000, 20))),
    ):
        table = pd.DataFrame(np.exp(returns)).set_axis([f"a{k}" for k in range(20)], axis=1)
        path = tmp_path / name
        table.to_csv(path, index=False) if path.suffix == ".csv" else table.to_parquet(path)
        volatility.main([str(path)])
        said = capsys.readouterr().out
        assert said.count("\n| ") == 5
        losses.append(float(said.rsplit(maxsplit=1)[-1]))
    assert losses[0] < 0.985
    assert losses[1] == pytest.approx(1, abs=0.01)
