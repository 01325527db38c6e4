"""Partitions and the mappings between them. Walk-forward is the yearly partition; nothing else implements it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

import dagster as dg
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from allocator_pipeline.config import (
    ALLOCATORS,
    BASELINES,
    FORECAST_TRAINING_YEARS,
    FORECASTERS,
    OPPONENTS,
    PLANNED_ALLOCATORS,
    PRINCIPAL_BASELINES,
    STATE_FORECASTERS,
    forecaster_of,
)

TIMEZONE = "America/New_York"
ALL_BEFORE = -100
"""Offset that reaches every earlier year."""


def split(key: str) -> tuple[str, str]:
    """Split a two-dimensional key: ``"lstm|2019"`` -> ``("lstm", "2019")``."""
    first, second = key.split("|")
    return first, second


def in_order(keys: list[str]) -> list[str]:
    """Return keys of name and week by week, then by name."""
    return sorted(keys, key=lambda key: split(key)[::-1])


def range_tags(first: str, last: str) -> dict[str, str]:
    """Return the tags of a run over the partitions from the first to the last key; two dimensions span a rectangle."""
    return {ASSET_PARTITION_RANGE_START_TAG: first, ASSET_PARTITION_RANGE_END_TAG: last}


def time_window(start: int, end: int) -> dg.TimeWindowPartitionMapping:
    """Map to the upstream windows from ``start`` to ``end`` windows away, as far as they exist."""
    return dg.TimeWindowPartitionMapping(start_offset=start, end_offset=end, allow_nonexistent_upstream_partitions=True)


FORECASTER_OF_ALLOCATOR = dg.StaticPartitionMapping(
    {forecaster: [name for name in ALLOCATORS if forecaster_of(name) == forecaster] for forecaster in STATE_FORECASTERS}
)
ITS_REFERENCE = dg.StaticPartitionMapping({name: name for name in PLANNED_ALLOCATORS})
SAME_ALLOCATOR = dg.MultiToSingleDimensionPartitionMapping("allocator")
SAME_YEAR = dg.MultiToSingleDimensionPartitionMapping("year")


def states_by_year(start: int, end: int) -> dg.MultiPartitionMapping:
    """Map allocator x year to forecaster x year."""
    return dg.MultiPartitionMapping(
        {
            "forecaster": dg.DimensionPartitionMapping("allocator", FORECASTER_OF_ALLOCATOR),
            "year": dg.DimensionPartitionMapping("year", time_window(start, end)),
        }
    )


def states_by_week(start: int, end: int) -> dg.MultiPartitionMapping:
    """Map allocator x week to forecaster x the years that some weeks around it touch; the offsets count weeks.

    A week that straddles two years maps to both; bodies choose the year of the week's Monday, which is the year of its
    execution.
    """
    return dg.MultiPartitionMapping(
        {
            "forecaster": dg.DimensionPartitionMapping("allocator", FORECASTER_OF_ALLOCATOR),
            "year": dg.DimensionPartitionMapping("week", time_window(start, end)),
        }
    )


def policies_by_year(start: int, end: int) -> dg.MultiPartitionMapping:
    """Map allocator x year to allocator x earlier years."""
    return dg.MultiPartitionMapping(
        {
            "allocator": dg.DimensionPartitionMapping("allocator", dg.IdentityPartitionMapping()),
            "year": dg.DimensionPartitionMapping("year", time_window(start, end)),
        }
    )


def references_by_year(start: int, end: int) -> dg.MultiPartitionMapping:
    """Map allocator x year to reference policies of earlier years; what the plan does not name has none."""
    return dg.MultiPartitionMapping(
        {
            "allocator": dg.DimensionPartitionMapping("allocator", ITS_REFERENCE),
            "year": dg.DimensionPartitionMapping("year", time_window(start, end)),
        }
    )


def allocator_weeks(start: int, end: int) -> dg.MultiPartitionMapping:
    """Map allocator x week to allocator x weeks around it."""
    return dg.MultiPartitionMapping(
        {
            "allocator": dg.DimensionPartitionMapping("allocator", dg.IdentityPartitionMapping()),
            "week": dg.DimensionPartitionMapping("week", time_window(start, end)),
        }
    )


OUR_FORECASTS = dg.MultiPartitionMapping(
    {
        "forecaster": dg.DimensionPartitionMapping(
            "forecaster", dg.StaticPartitionMapping({name: name for name in FORECASTERS})
        ),
        "year": dg.DimensionPartitionMapping("year", dg.IdentityPartitionMapping()),
    }
)
"""Maps what the panel judges to our forecasts of the same forecaster and year; what is not ours has none there."""

PRINCIPAL_BASELINES_OF_YEAR = dg.MultiPartitionMapping(
    {
        "baseline": dg.DimensionPartitionMapping(
            "forecaster", dg.SpecificPartitionsPartitionMapping(PRINCIPAL_BASELINES)
        ),
        "year": dg.DimensionPartitionMapping("year", dg.IdentityPartitionMapping()),
    }
)
"""Maps forecaster x year to the principal baselines of the same year: the panel reads no other."""


def baselines_by_year(start: int, end: int) -> dg.MultiPartitionMapping:
    """Map allocator x year to every baseline x years."""
    return dg.MultiPartitionMapping(
        {
            "baseline": dg.DimensionPartitionMapping("allocator", dg.AllPartitionMapping()),
            "year": dg.DimensionPartitionMapping("year", time_window(start, end)),
        }
    )


@dataclass(frozen=True)
class Partitions:
    """The partitions of one market.

    Parameters
    ----------
    first, last : date
        First and last session of the market; ``last`` matters only for a static one.
    static : bool
        A static market ends; a growing one has partitions up to now.
    min_training_years : int
        Years of states that a policy needs.
    last_week, last_label : date
        Mondays of the last week that a static market can decide and of the last whose outcome it knows.
    external : tuple of str
        Forecasters of the user's table of forecasts.
    """

    first: date
    last: date
    static: bool
    min_training_years: int
    last_week: date
    last_label: date
    external: tuple[str, ...] = ()

    def years(self, start: int) -> dg.TimeWindowPartitionsDefinition:
        """Years from ``start``; the running year is a partition too, also where a static market ends in it."""
        return dg.TimeWindowPartitionsDefinition(
            cron_schedule="0 0 1 1 *",
            fmt="%Y",
            start=str(start),
            end=str(self.last.year + 1) if self.static else None,
            timezone=TIMEZONE,
            end_offset=1,  # counted from now, and never beyond the end
        )

    def weeks(self, lead: int) -> dg.TimeWindowPartitionsDefinition:
        """Weeks by Monday.

        Parameters
        ----------
        lead : int
            How far a growing market's partitions lead the last finished week: 2 for fine-tunes (made on the Sunday
            before their week), 1 for decisions (made on their Monday), 0 for labels. A static market has its last
            label one week before its last decision.
        """
        first = date(self.first_report_year + 1, 1, 1)
        monday = first + timedelta(days=(7 - first.weekday()) % 7)
        end = (self.last_week if lead else self.last_label) + timedelta(days=7)
        return dg.WeeklyPartitionsDefinition(
            start_date=monday.isoformat(),
            end_date=end.isoformat() if self.static else None,
            day_offset=1,
            timezone=TIMEZONE,
            end_offset=2 if self.static else lead,  # counted from now, and never beyond the end
        )

    @property
    def first_year(self) -> int:
        """First year that the market covers from its start (a first session after January 10 starts the next year)."""
        return self.first.year if (self.first.month, self.first.day) <= (1, 10) else self.first.year + 1

    @property
    def first_forecast_year(self) -> int:
        """First year with five years of prices before it."""
        return self.first_year + FORECAST_TRAINING_YEARS

    @property
    def first_policy_year(self) -> int:
        """First year whose policy has enough years of states behind it, its own included."""
        return self.first_forecast_year + self.min_training_years - 1

    @property
    def first_report_year(self) -> int:
        """First year that judges a policy."""
        return self.first_policy_year + 1

    @cached_property
    def market_years(self) -> dg.TimeWindowPartitionsDefinition:
        """Years of raw data."""
        return self.years(self.first_year)

    @cached_property
    def feature_years(self) -> dg.TimeWindowPartitionsDefinition:
        """Years of universe, signals, outcomes and price windows."""
        return self.years(self.first_forecast_year)

    @cached_property
    def forecaster_years(self) -> dg.MultiPartitionsDefinition:
        """Forecaster x year."""
        return dg.MultiPartitionsDefinition(
            {"forecaster": dg.StaticPartitionsDefinition(list(FORECASTERS)), "year": self.feature_years}
        )

    @cached_property
    def panel_years(self) -> dg.MultiPartitionsDefinition:
        """Everything that the forecast panel judges x year: our forecasters, opponents, the user's table."""
        names = [*FORECASTERS, *OPPONENTS, *self.external]
        return dg.MultiPartitionsDefinition(
            {"forecaster": dg.StaticPartitionsDefinition(names), "year": self.feature_years}
        )

    @cached_property
    def baseline_years(self) -> dg.MultiPartitionsDefinition:
        """Baseline x year."""
        return dg.MultiPartitionsDefinition(
            {"baseline": dg.StaticPartitionsDefinition(list(BASELINES)), "year": self.feature_years}
        )

    @cached_property
    def allocators(self) -> dg.StaticPartitionsDefinition:
        """The six allocators."""
        return dg.StaticPartitionsDefinition(list(ALLOCATORS))

    @cached_property
    def policy_years(self) -> dg.MultiPartitionsDefinition:
        """Allocator x year of training."""
        return dg.MultiPartitionsDefinition({"allocator": self.allocators, "year": self.years(self.first_policy_year)})

    @cached_property
    def reference_years(self) -> dg.MultiPartitionsDefinition:
        """Allocator of the plan x year of training."""
        return dg.MultiPartitionsDefinition(
            {
                "allocator": dg.StaticPartitionsDefinition(list(PLANNED_ALLOCATORS)),
                "year": self.years(self.first_policy_year),
            }
        )

    @cached_property
    def report_years(self) -> dg.MultiPartitionsDefinition:
        """Allocator x year of judgement."""
        return dg.MultiPartitionsDefinition({"allocator": self.allocators, "year": self.years(self.first_report_year)})

    @cached_property
    def decision_weeks(self) -> dg.MultiPartitionsDefinition:
        """Allocator x week of decision."""
        return dg.MultiPartitionsDefinition({"allocator": self.allocators, "week": self.weeks(1)})

    @cached_property
    def finetune_weeks(self) -> dg.MultiPartitionsDefinition:
        """Allocator x week that a fine-tune is made for."""
        return dg.MultiPartitionsDefinition({"allocator": self.allocators, "week": self.weeks(2)})

    @cached_property
    def label_weeks(self) -> dg.MultiPartitionsDefinition:
        """Allocator x week whose outcome is known."""
        return dg.MultiPartitionsDefinition({"allocator": self.allocators, "week": self.weeks(0)})
