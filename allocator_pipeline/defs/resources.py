"""Dagster resources: the market source and the stores, both made from the settings."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import dagster as dg

from allocator_pipeline.account.ledger import AccountLedger
from allocator_pipeline.config import AccountConfig, CostConfig, GateConfig, LiveConfig, Settings, SimulatedConfig
from allocator_pipeline.defs.storage import AssetStore
from allocator_pipeline.experience.store import ExperienceStore
from allocator_pipeline.market.source import NO_SCREEN, MarketSource
from allocator_pipeline.market.sources import open_live, open_market
from allocator_pipeline.registry.artifacts import ArtifactStore
from allocator_pipeline.registry.court import Court, open_court, open_ledger, open_verdicts
from allocator_pipeline.registry.ledger import EvidenceLedger
from allocator_pipeline.registry.verdicts import VerdictLog

if TYPE_CHECKING:
    from allocator_pipeline.market.live.market import LiveMarket


class MarketResource(dg.ConfigurableResource):
    """The market source that ``ALLOCATOR_MARKET`` chose, with the rules of trading on it."""

    market: str
    data_dir: str
    files_dir: str | None
    files_source: str | None
    universe: str
    min_training_years: int
    external_forecasts: str | None
    state_forecasts: dict[str, str]
    simulated: str
    live: str | None
    screens: list[str]
    costs: str
    account: str
    gate: str
    fallback: str

    @classmethod
    def of(cls, settings: Settings) -> MarketResource:
        """Make the resource of some settings."""
        return cls(
            market=settings.market,
            data_dir=str(settings.data_dir),
            files_dir=str(settings.files_dir) if settings.files_dir else None,
            files_source=settings.files_source,
            universe=settings.universe,
            min_training_years=settings.min_training_years,
            external_forecasts=str(settings.external_forecasts) if settings.external_forecasts else None,
            state_forecasts=dict(settings.state_forecasts),
            simulated=json.dumps(asdict(settings.simulated), default=str, sort_keys=True),
            live=json.dumps(asdict(settings.live), default=str, sort_keys=True) if settings.live else None,
            screens=[str(path) for path in settings.screens],
            costs=json.dumps(asdict(settings.costs), sort_keys=True),
            account=json.dumps(asdict(settings.account), sort_keys=True),
            gate=json.dumps(asdict(settings.gate), sort_keys=True),
            fallback=settings.fallback,
        )

    @cached_property
    def settings(self) -> Settings:
        """The settings behind it."""
        simulated = _with_dates(self.simulated)
        live = _with_dates(self.live) if self.live else None
        return Settings(
            market=self.market,  # type: ignore[arg-type]
            data_dir=Path(self.data_dir),
            files_dir=Path(self.files_dir) if self.files_dir else None,
            files_source=self.files_source,
            universe=self.universe,  # type: ignore[arg-type]
            min_training_years=self.min_training_years,
            external_forecasts=Path(self.external_forecasts) if self.external_forecasts else None,
            state_forecasts=tuple(sorted(self.state_forecasts.items())),
            simulated=SimulatedConfig(**simulated),
            live=LiveConfig(**_with_paths(live)) if live else None,
            screens=tuple(Path(path) for path in self.screens),
            costs=CostConfig(**json.loads(self.costs)),
            account=AccountConfig(**json.loads(self.account)),
            gate=GateConfig(**json.loads(self.gate)),
            fallback=self.fallback,  # type: ignore[arg-type]
        )

    @cached_property
    def source(self) -> MarketSource:
        """The opened market source."""
        return open_market(self.settings)

    @property
    def live_market(self) -> LiveMarket:
        """The opened source as the live market; only assets that are there because it is live ask for it.

        Raises
        ------
        ConfigurationError
            If the market is another.
        """
        source = self.source if self.market == "live" else None
        return cast("LiveMarket", source) if source is not None else open_live(self.settings)

    def telling(self, progress: Callable[[str], None]) -> MarketSource:
        """Return the source, which tells what it does where that takes long: a live one scores articles."""
        if self.market == "live":
            self.live_market.progress = progress
        return self.source

    @property
    def context(self) -> dict[str, object]:
        """What every report says about where its numbers come from."""
        coverage = self.source.coverage()
        return {
            "market": coverage.name,
            "universe": self.universe,
            "notes": [*self.notes, *self._injected()],
            "simulated": list(coverage.simulated),
            "execution": (
                "open of the week's first session" if coverage.has_open else "close of the week's first session"
            ),
        }

    @property
    def notes(self) -> list[str]:
        """What every report has to say about the source, and about screens."""
        told = list(self.source.coverage().notes)
        if not self.screens:
            return told
        names = ", ".join(Path(path).stem for path in self.screens)
        return [*(note for note in told if note != NO_SCREEN), f"Stocks are chosen among those that pass: {names}."]

    def _injected(self) -> list[str]:
        """Say whose forecasts the states of a forecaster hold, where they are not its own."""
        table = Path(self.external_forecasts or "").name
        return [
            f"The states of {ours} hold the forecasts of {theirs} ({table}), which were made elsewhere."
            for ours, theirs in sorted(self.state_forecasts.items())
        ]


def _with_dates(text: str) -> dict[str, Any]:
    """Read a configuration back, its days as dates."""
    values = json.loads(text)
    for name in ("start", "end"):
        values[name] = date.fromisoformat(values[name]) if values[name] not in (None, "None") else None
    return values


def _with_paths(values: dict[str, Any]) -> dict[str, Any]:
    """Return the live configuration with its lists as paths."""
    lists = {name: Path(values[name]) for name in ("candidates", "confirmed") if values[name] is not None}
    return {**values, **lists}


class StoreResource(dg.ConfigurableResource):
    """Everything written for one market: asset partitions, model artefacts, verdicts, experience."""

    root: str

    @property
    def assets(self) -> AssetStore:
        """Asset partitions."""
        return AssetStore(Path(self.root) / "assets")

    @property
    def models(self) -> ArtifactStore:
        """Model artefacts by name and version."""
        return ArtifactStore(Path(self.root) / "models")

    @property
    def experience(self) -> ExperienceStore:
        """Decisions and their labels."""
        return ExperienceStore(Path(self.root) / "experience.sqlite")

    def account(self, allocator: str) -> AccountLedger:
        """Return the ledger of an allocator's paper account."""
        return AccountLedger(Path(self.root) / "accounts", allocator)

    @property
    def orders(self) -> Path:
        """Folder of the orders that decisions from a known value ask for; nothing sends them."""
        return Path(self.root) / "orders"

    @property
    def exported(self) -> Path:
        """Folder of the export of experience."""
        return Path(self.root) / "experience"

    @property
    def checkpoints(self) -> Path:
        """Folder in which interrupted trainings leave off."""
        return Path(self.root) / "checkpoints"

    @property
    def tensorboard(self) -> Path:
        """Folder of TensorBoard's event files; they hold wall times, so they lie beside the market's folder."""
        return Path(self.root).parent / "tensorboard" / Path(self.root).name

    @property
    def ledger(self) -> EvidenceLedger:
        """Every try on this market, whichever allocator's."""
        return open_ledger(Path(self.root))

    def verdicts(self, allocator: str) -> VerdictLog:
        """Return the verdict log of an allocator; its champion is the last promoted version."""
        return open_verdicts(Path(self.root), allocator)

    def court(self, allocator: str, gate: GateConfig | None = None) -> Court:
        """Return what verdicts on an allocator are made with; replaying them asks for no gate."""
        return open_court(Path(self.root), allocator, gate)
