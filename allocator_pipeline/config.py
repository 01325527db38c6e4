"""Names and numbers that every room shares, and the settings read from the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Literal, get_args

from allocator_pipeline.errors import ConfigurationError

N_STOCKS = 15
CASH = "CASH"
SIGNALS = (
    "news_sentiment",
    "gross_margin",
    "operating_margin",
    "net_margin",
    "current_ratio",
    "debt_to_equity",
    "fundamental_age",
)
RATIOS = SIGNALS[1:6]
FORECASTERS = ("lstm", "patchtst", "ridge")
STATE_FORECASTERS = ("lstm", "patchtst")
"""Those whose forecasts states hold and allocators are named after; the others are judged only."""

OPPONENTS = ("lightgbm",)
"""Those that the panel judges beside ours where their library is installed; nothing else reads them."""

QUANTILES = {"q05": 0.05, "q10": 0.10, "q25": 0.25, "q50": 0.50, "q75": 0.75, "q90": 0.90, "q95": 0.95}
"""Columns of a forecast's quantiles and their levels, rising."""

ALGORITHMS = ("ppo", "sac", "dpg")
PLANNED_ALGORITHMS = ("ppo", "sac")
"""Those whose hyperparameters the plan names: they have a `reference` recipe."""

ALLOCATORS = tuple(f"{algorithm}_{forecaster}" for algorithm in ALGORITHMS for forecaster in STATE_FORECASTERS)
PLANNED_ALLOCATORS = tuple(name for name in ALLOCATORS if name.split("_", 1)[0] in PLANNED_ALGORITHMS)
STATE_SIZE = N_STOCKS * len(SIGNALS) + N_STOCKS + N_STOCKS + 1  # 136

FORECAST_TRAINING_YEARS = 5
FORECAST_CHAIN_YEARS = 5
"""Networks of years whose number is divisible by this start cold, the others from the year before's weights."""

WEEKS_PER_YEAR = 52
FINETUNE_WEEKS = 26
MIN_JUDGED_WEEKS = 26
ANCHOR = "equal_weight"
"""The baseline that policies tilt, and that is served where nothing better may be."""

BASELINES = (
    "equal_weight",
    "hrp",
    "inverse_volatility",
    "minimum_variance",
    "maximum_diversification",
    "equal_risk_contribution",
    "buy_and_hold",
    "momentum",
    "random",
)
"""What every policy is held against (docs/evaluation.md); ``random`` is the placebo."""

PRINCIPAL_BASELINES = BASELINES[:2]
"""Those that the gate reads: a report gives the interval of the Sharpe difference to them only."""

LOOPBACK = ("127.0.0.1", "::1", "localhost")
"""Hosts that are this machine: what is secret may reach them unencrypted."""

Market = Literal["sample", "files", "simulated", "live"]
UniverseMode = Literal["point_in_time", "fixed"]
Fallback = Literal["refuse", "previous"]
ScorerChoice = Literal["auto", "finbert", "vader"]
FundamentalsVendor = Literal["edgar", "alphavantage"]
MacroVendor = Literal["fred", "yahoo", "off"]
SWITCH = ("off", "on")


def algorithm_of(allocator: str) -> str:
    """Return the algorithm half of an allocator's name: ``"ppo_lstm"`` -> ``"ppo"``."""
    return allocator.split("_", 1)[0]


def forecaster_of(allocator: str) -> str:
    """Return the forecaster half of an allocator's name: ``"ppo_lstm"`` -> ``"lstm"``."""
    return allocator.split("_", 1)[1]


@dataclass(frozen=True)
class CostConfig:
    """Trading rules that training, evaluation, baselines and labelling share.

    Parameters
    ----------
    cost_bps : float
        Proportional cost in basis points of one-way turnover.
    cash_buffer : float
        Least weight of cash.
    max_position_weight : float
        Greatest weight of one stock.
    reward_scale : float
        Multiplies the weekly net log return to give the reward.
    """

    cost_bps: float = 10.0
    cash_buffer: float = 0.02
    max_position_weight: float = 0.20
    reward_scale: float = 100.0


@dataclass(frozen=True)
class AccountConfig:
    """How the paper accounts are kept.

    Parameters
    ----------
    deposit : float
        USD that an account opens with (``ALLOCATOR_PAPER_DEPOSIT``).
    whole_shares : bool
        Whether orders are rounded down to whole shares (``ALLOCATOR_PAPER_SHARES``: ``fractional`` or ``whole``).
    min_order_share, min_order_usd : float
        Least order, as a share of net asset value (full exits exempt) and in USD.
    reinvest : bool
        Whether dividends are reinvested on their ex-date, as adjusted prices have it (``ALLOCATOR_PAPER_DIVIDENDS``:
        ``reinvest`` or ``cash``); as cash they can be paid where the source tells them one by one.
    """

    deposit: float = 100_000.0
    whole_shares: bool = False
    min_order_share: float = 0.01
    min_order_usd: float = 10.0
    reinvest: bool = True


@dataclass(frozen=True)
class GateConfig:
    """What the badge `proven` is needed for.

    Parameters
    ----------
    proof_to_promote : bool
        A candidate that the rule would promote also needs the badge, unless there is no champion yet.
    proof_to_serve : bool
        A champion without the badge is not served; the anchor baseline, equal weight, is.
    """

    proof_to_promote: bool = False
    proof_to_serve: bool = False


@dataclass(frozen=True)
class SimulatedConfig:
    """The generated market.

    Parameters
    ----------
    seed : int
        Seed of every draw; the same seed gives the same market.
    start : date
        First session on or after this day.
    end : date or None
        Last session on or before this day; ``None`` means the last closed session up to now.
    n_symbols : int
        Number of generated stocks.
    weekly_ic : float
        Cross-sectional correlation of the planted signal with next week's return; 0 plants none.
    persistence : float
        Weekly autocorrelation of the planted signal.
    """

    seed: int = 7
    start: date = date(2008, 1, 1)
    end: date | None = None
    n_symbols: int = 20
    weekly_ic: float = 0.10
    persistence: float = 0.9


@dataclass(frozen=True)
class LiveConfig:
    """The live market: whose data, of which stocks, from when on (docs/live-data.md).

    Parameters
    ----------
    candidates : Path
        The dated list of listings that stocks are chosen from.
    start : date
        First session on or after this day.
    end : date or None
        Last session on or before this day; ``None`` means the last session that has settled.
    scorer : {"auto", "finbert", "vader"}
        What scores articles; ``auto`` takes FinBERT where it is at hand.
    fundamentals : {"edgar", "alphavantage"}
        Whose fundamentals.
    second_source : bool
        Whether prices are compared with a second vendor's.
    macro : {"fred", "yahoo", "off"}
        Whose macro series.
    confirmed : Path or None
        A list of moves over 40 % that the user has confirmed (CSV of symbol, date).
    """

    candidates: Path
    start: date = date(2010, 1, 1)
    end: date | None = None
    scorer: ScorerChoice = "auto"
    fundamentals: FundamentalsVendor = "edgar"
    second_source: bool = True
    macro: MacroVendor = "fred"
    confirmed: Path | None = None


@dataclass(frozen=True)
class Settings:
    """Everything the environment decides; read once, when definitions load.

    Parameters
    ----------
    market : {"sample", "files", "simulated", "live"}
        The market source (``ALLOCATOR_MARKET``).
    data_dir : Path
        Root of everything written (``ALLOCATOR_DATA_DIR``).
    files_dir : Path or None
        Folder of the ``files`` market (``ALLOCATOR_FILES_DIR``).
    files_source : str or None
        Which source of a table that holds several (``ALLOCATOR_FILES_SOURCE``).
    universe : {"point_in_time", "fixed"}
        How the 15 stocks are chosen (``ALLOCATOR_UNIVERSE``).
    min_training_years : int
        Years of states a policy needs (``ALLOCATOR_MIN_TRAINING_YEARS``, at least 3).
    simulated : SimulatedConfig
        The generated market (``ALLOCATOR_SIMULATED_SEED``, ``_START``, ``_END``, ``_SYMBOLS``, ``_IC``,
        ``_PERSISTENCE``).
    live : LiveConfig or None
        The live market (``ALLOCATOR_LIVE_CANDIDATES``, ``_START``, ``_END``, ``_FUNDAMENTALS``, ``_SECOND_SOURCE``,
        ``_MACRO``, ``_CONFIRMED``, and ``ALLOCATOR_SCORER``).
    screens : tuple of Path
        Dated lists of which stocks may be chosen; each must let a stock pass (``ALLOCATOR_SCREENS``, with commas).
    external_forecasts : Path or None
        Table of forecasts from elsewhere (``ALLOCATOR_EXTERNAL_FORECASTS``, docs/external-forecasts.md).
    state_forecasts : tuple of (str, str)
        Which of our state forecasters are replaced by which of that table (``ALLOCATOR_STATE_FORECASTS``, such as
        ``lstm=toto``).
    costs : CostConfig
        Trading rules.
    account : AccountConfig
        The paper accounts (``ALLOCATOR_PAPER_DEPOSIT``, ``_SHARES``, ``_DIVIDENDS``).
    gate : GateConfig
        What the badge `proven` is needed for (``ALLOCATOR_PROOF_TO_PROMOTE``, ``ALLOCATOR_PROOF_TO_SERVE``).
    fallback : {"refuse", "previous"}
        What becomes of a week whose champion is damaged (``ALLOCATOR_FALLBACK``, see `registry.serving`).
    """

    market: Market = "sample"
    data_dir: Path = Path("data")
    files_dir: Path | None = None
    files_source: str | None = None
    universe: UniverseMode = "point_in_time"
    min_training_years: int = 10
    simulated: SimulatedConfig = field(default_factory=SimulatedConfig)
    live: LiveConfig | None = None
    screens: tuple[Path, ...] = ()
    external_forecasts: Path | None = None
    state_forecasts: tuple[tuple[str, str], ...] = ()
    costs: CostConfig = field(default_factory=CostConfig)
    account: AccountConfig = field(default_factory=AccountConfig)
    gate: GateConfig = field(default_factory=GateConfig)
    fallback: Fallback = "refuse"

    @property
    def market_dir(self) -> Path:
        """Folder of this market's tables, models, registry and experience."""
        return self.data_dir / self.market

    def shaping(self) -> dict[str, object]:
        """Return the settings that shape results, as JSON values: a data folder holds results of one choice of them.

        The gate is none of them: it may be made stricter or looser at any time, and every verdict and decision says
        which one was in force. Nor is the fallback: a decision that was served by it says so.
        """
        files = self.market == "files"
        table = self.external_forecasts
        return {
            "market": self.market,
            "universe": self.universe,
            "files_dir": str(self.files_dir.absolute()) if files and self.files_dir else None,
            "files_source": self.files_source if files else None,
            "simulated": {name: str(value) for name, value in asdict(self.simulated).items()}
            if self.market == "simulated"
            else None,
            "live": self._shaped_live(),
            "screens": [str(path.absolute()) for path in self.screens] or None,
            "costs": asdict(self.costs),
            # None where it is the default: folders from before there were accounts stay usable
            "account": None if self.account == AccountConfig() else asdict(self.account),
            # None where no state reads the table: then it adds rows to the panel and changes nothing of ours
            "state_forecasts": {**dict(self.state_forecasts), "table": str(table.absolute())}
            if self.state_forecasts and table
            else None,
        }

    def _shaped_live(self) -> dict[str, str] | None:
        """Return what shapes the tables of the live market: a second source and confirmed moves only judge them."""
        if self.market != "live" or self.live is None:
            return None
        values = {**asdict(self.live), "candidates": self.live.candidates.absolute()}
        return {name: str(value) for name, value in values.items() if name not in ("second_source", "confirmed")}

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Settings:
        """Read the ``ALLOCATOR_*`` variables.

        Parameters
        ----------
        env : mapping, optional
            Defaults to ``os.environ``.

        Returns
        -------
        Settings

        Raises
        ------
        ConfigurationError
            If a value cannot be read or is not allowed; it names the variable.
        """
        env = os.environ if env is None else env
        market = _choice(env, "ALLOCATOR_MARKET", get_args(Market), "sample")
        universe = _choice(env, "ALLOCATOR_UNIVERSE", get_args(UniverseMode), "point_in_time")
        years = _number(env, "ALLOCATOR_MIN_TRAINING_YEARS", int, 10)
        if years < 3:
            raise ConfigurationError(
                f"ALLOCATOR_MIN_TRAINING_YEARS is {years}; a policy needs at least 3 years of states.",
                todo="set it to 3 or more (the default is 10).",
            )
        files_dir = env.get("ALLOCATOR_FILES_DIR")
        if market == "files" and not files_dir:
            raise ConfigurationError(
                "ALLOCATOR_MARKET is 'files' but ALLOCATOR_FILES_DIR is not set.",
                todo="set ALLOCATOR_FILES_DIR to the folder that holds prices.parquet or prices.csv.",
            )
        table = env.get("ALLOCATOR_EXTERNAL_FORECASTS")
        default = SimulatedConfig()
        simulated = SimulatedConfig(
            seed=_number(env, "ALLOCATOR_SIMULATED_SEED", int, default.seed),
            start=_number(env, "ALLOCATOR_SIMULATED_START", date.fromisoformat, default.start),
            end=_number(env, "ALLOCATOR_SIMULATED_END", date.fromisoformat, default.end),
            n_symbols=_number(env, "ALLOCATOR_SIMULATED_SYMBOLS", int, default.n_symbols),
            weekly_ic=_number(env, "ALLOCATOR_SIMULATED_IC", float, default.weekly_ic),
            persistence=_number(env, "ALLOCATOR_SIMULATED_PERSISTENCE", float, default.persistence),
        )
        if simulated.n_symbols < N_STOCKS or not 0 <= simulated.weekly_ic < 1 or not 0 <= simulated.persistence < 1:
            raise ConfigurationError(
                "The simulated market needs at least 15 symbols, an IC in [0, 1) and a persistence in [0, 1).",
                todo="mend ALLOCATOR_SIMULATED_SYMBOLS, _IC or _PERSISTENCE.",
            )
        deposit = _number(env, "ALLOCATOR_PAPER_DEPOSIT", float, AccountConfig().deposit)
        if not 0 < deposit < float("inf"):
            raise ConfigurationError(
                f"ALLOCATOR_PAPER_DEPOSIT is {deposit}.", todo="set it to an amount in USD (the default is 100000)."
            )
        shares = _choice(env, "ALLOCATOR_PAPER_SHARES", ("fractional", "whole"), "fractional")
        dividends = _choice(env, "ALLOCATOR_PAPER_DIVIDENDS", ("reinvest", "cash"), "reinvest")
        if dividends == "cash" and market != "live":
            raise ConfigurationError(
                f"ALLOCATOR_PAPER_DIVIDENDS is cash, but the market {market} does not tell dividends one by one.",
                todo="leave it at reinvest, or choose the live market.",
            )
        return cls(
            market=market,  # type: ignore[arg-type]
            data_dir=Path(env.get("ALLOCATOR_DATA_DIR", "data")),
            files_dir=Path(files_dir) if files_dir else None,
            files_source=env.get("ALLOCATOR_FILES_SOURCE") or None,
            universe=universe,  # type: ignore[arg-type]
            min_training_years=years,
            simulated=simulated,
            live=_live(env) if market == "live" else None,
            screens=tuple(Path(part.strip()) for part in env.get("ALLOCATOR_SCREENS", "").split(",") if part.strip()),
            external_forecasts=Path(table) if table else None,
            state_forecasts=_replacements(env.get("ALLOCATOR_STATE_FORECASTS", ""), table),
            account=AccountConfig(deposit=deposit, whole_shares=shares == "whole", reinvest=dividends == "reinvest"),
            gate=GateConfig(
                proof_to_promote=_choice(env, "ALLOCATOR_PROOF_TO_PROMOTE", SWITCH, "off") == "on",
                proof_to_serve=_choice(env, "ALLOCATOR_PROOF_TO_SERVE", SWITCH, "off") == "on",
            ),
            fallback=_choice(env, "ALLOCATOR_FALLBACK", get_args(Fallback), "refuse"),  # type: ignore[arg-type]
        )


def _choice(env: Mapping[str, str], name: str, allowed: tuple[str, ...], default: str) -> str:
    value = env.get(name) or default
    if value not in allowed:
        raise ConfigurationError(f"{name} is {value!r}.", todo=f"set it to one of {', '.join(allowed)}.")
    return value


def _live(env: Mapping[str, str]) -> LiveConfig:
    candidates = env.get("ALLOCATOR_LIVE_CANDIDATES")
    if not candidates:
        raise ConfigurationError(
            "ALLOCATOR_MARKET is 'live' but ALLOCATOR_LIVE_CANDIDATES is not set.",
            todo="set it to the list of stocks to choose from; docs/live-data.md has an example.",
        )
    default = LiveConfig(Path(candidates))
    config = LiveConfig(
        candidates=Path(candidates),
        start=_number(env, "ALLOCATOR_LIVE_START", date.fromisoformat, default.start),
        end=_number(env, "ALLOCATOR_LIVE_END", date.fromisoformat, default.end),
        scorer=_choice(env, "ALLOCATOR_SCORER", get_args(ScorerChoice), default.scorer),  # type: ignore[arg-type]
        fundamentals=_choice(  # type: ignore[arg-type]
            env, "ALLOCATOR_LIVE_FUNDAMENTALS", get_args(FundamentalsVendor), default.fundamentals
        ),
        second_source=_choice(env, "ALLOCATOR_LIVE_SECOND_SOURCE", SWITCH, "on") == "on",
        macro=_choice(env, "ALLOCATOR_LIVE_MACRO", get_args(MacroVendor), default.macro),  # type: ignore[arg-type]
        confirmed=Path(env["ALLOCATOR_LIVE_CONFIRMED"]) if env.get("ALLOCATOR_LIVE_CONFIRMED") else None,
    )
    if config.end is not None and config.end <= config.start:
        raise ConfigurationError(
            f"ALLOCATOR_LIVE_END ({config.end}) is not after ALLOCATOR_LIVE_START ({config.start}).",
            todo="set an end some years later, or leave it out.",
        )
    return config


def _replacements(text: str, table: str | None) -> tuple[tuple[str, str], ...]:
    """Read ``lstm=toto,patchtst=kronos``."""
    pairs = [tuple(part.strip() for part in item.split("=")) for item in text.split(",") if item.strip()]
    if any(len(pair) != 2 or pair[0] not in STATE_FORECASTERS or not pair[1] for pair in pairs) or (
        len({pair[0] for pair in pairs}) < len(pairs)
    ):
        raise ConfigurationError(
            f"ALLOCATOR_STATE_FORECASTS is {text!r}.",
            todo=f"write one of {', '.join(STATE_FORECASTERS)}, '=' and a forecaster of your table: lstm=toto.",
        )
    if pairs and not table:
        raise ConfigurationError(
            "ALLOCATOR_STATE_FORECASTS is set but ALLOCATOR_EXTERNAL_FORECASTS is not.",
            todo="set ALLOCATOR_EXTERNAL_FORECASTS to the table that holds those forecasts.",
        )
    return tuple(sorted((pair[0], pair[1]) for pair in pairs))


def _number(env, name, parse, default):  # type: ignore[no-untyped-def]
    text = env.get(name)
    if not text:
        return default
    try:
        return parse(text)
    except ValueError as error:
        raise ConfigurationError(
            f"{name} is {text!r}, which cannot be read.", todo=f"write it like {default!s}, or unset it."
        ) from error
