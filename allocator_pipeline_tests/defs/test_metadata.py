"""What the UI plots: no Sharpe ratio without its interval, the tries and the baselines."""

from __future__ import annotations

import copy

import dagster as dg
import pandera.pandas as pa

from allocator_pipeline import schemas
from allocator_pipeline.defs.columns import MEANINGS
from allocator_pipeline.defs.metadata import column_schema, series_numbers
from allocator_pipeline.evaluation.report.estimates import Tries
from allocator_pipeline_tests.evaluation.summaries import MadeUpSummaries

COMPANY = {"sharpe_low", "sharpe_high", "sharpe_equal_weight", "sharpe_hrp", "tries"}


def test_a_plotted_sharpe_ratio_has_its_company_and_the_sortino_ratio_is_left_out():
    series = MadeUpSummaries(["ppo_lstm"], range(2016, 2018)).summaries["ppo_lstm"]["series"]
    shown = series_numbers(series, Tries(12))
    assert COMPANY | {"sharpe", "cagr", "max_drawdown", "turnover"} <= set(shown)
    assert "sortino" not in shown
    assert shown["tries"].value == 12.0
    assert shown["cagr_low"].value < shown["cagr"].value < shown["cagr_high"].value
    assert shown["sharpe_low"].value < shown["sharpe"].value < shown["sharpe_high"].value
    short = copy.deepcopy(series)
    short["policy"]["interval"] = None
    short["policy"]["weekly"]["net"] = short["policy"]["weekly"]["net"][:20]
    assert [name for name in series_numbers(short, Tries(12)) if "sharpe" in name or "cagr" in name] == []


def test_every_column_of_every_table_says_what_it_means():
    tables = [schema for schema in vars(schemas).values() if isinstance(schema, pa.DataFrameSchema)]
    shown = [table for table in tables if table.name not in ("articles", "corporate_actions")]  # no asset of their own
    assert len(shown) > 12
    for table in shown:
        columns = column_schema(table)["dagster/column_schema"].columns
        assert [column.name for column in columns] == list(table.columns)
        assert all(column.description for column in columns)
    assert set(MEANINGS) <= {name for table in tables for name in table.columns}, "a meaning without a column"


def test_a_description_is_not_lost_on_the_way_to_the_ui():
    columns = column_schema(schemas.DOWNLOADS)["dagster/column_schema"].columns
    assert columns[-1] == dg.TableColumn(
        name="there",
        type="int64",
        description="How many of them are there",
        constraints=dg.TableColumnConstraints(nullable=False),
    )
