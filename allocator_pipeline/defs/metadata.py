"""What assets tell the UI: column schemas, coverage and small pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg
import pandas as pd
import pandera.pandas as pa

from allocator_pipeline.defs.columns import MEANINGS
from allocator_pipeline.evaluation.heat_map import heat_picture
from allocator_pipeline.evaluation.plots import line_picture, markdown_table
from allocator_pipeline.evaluation.report.estimates import Tries, growth_numbers, sharpe_of
from allocator_pipeline.evaluation.walk_forward import POLICY


def column_schema(schema: pa.DataFrameSchema) -> dict[str, Any]:
    """Return the definition metadata that shows a table's columns, and what they mean, in the UI."""
    columns = [
        dg.TableColumn(
            name=name,
            type=str(column.dtype),
            description=MEANINGS[str(name)],
            constraints=dg.TableColumnConstraints(nullable=column.nullable),
        )
        for name, column in schema.columns.items()
    ]
    return {"dagster/column_schema": dg.TableSchema(columns=columns)}


def fields(**types: str) -> dict[str, Any]:
    """Return the definition metadata that shows the fields of a JSON or tensor asset in the UI, by name and type."""
    columns = [dg.TableColumn(name=name, type=kind) for name, kind in types.items()]
    return {"dagster/column_schema": dg.TableSchema(columns=columns)}


def bars(weights: Mapping[str, float]) -> dg.MarkdownMetadataValue:
    """Draw weights as horizontal bars, the largest first."""
    ordered = sorted(weights.items(), key=lambda item: (-item[1], item[0]))
    table = pd.DataFrame(
        [{"symbol": name, "weight": weight, "": "█" * round(100 * weight)} for name, weight in ordered]
    )
    return dg.MetadataValue.md(markdown_table(table, 4))


def table_facts(table: pd.DataFrame, known: str | None = None) -> dict[str, Any]:
    """Return row count, number of symbols and the range of the known-at column of a table."""
    facts: dict[str, Any] = {"dagster/row_count": dg.MetadataValue.int(len(table))}
    if "symbol" in table:
        facts["symbols"] = dg.MetadataValue.int(int(table["symbol"].nunique()))
    if known is not None and len(table):
        facts["known_at_first"] = dg.MetadataValue.text(str(table[known].min()))
        facts["known_at_last"] = dg.MetadataValue.text(str(table[known].max()))
    return facts


def markdown(table: pd.DataFrame, decimals: int = 4) -> dg.MarkdownMetadataValue:
    """Return a table as markdown for the UI."""
    return dg.MetadataValue.md(markdown_table(table, decimals))


def picture(lines: Mapping[str, pd.Series], title: str) -> dg.MarkdownMetadataValue:
    """Return lines over time as a picture for the UI.

    Parameters
    ----------
    lines : mapping of str to Series
        Name -> finite values, indexed by day; all with the same first and last day.
    title : str
    """
    index = next(iter(lines.values())).index
    if index.empty:
        return dg.MetadataValue.md(f"{title}: nothing to show")
    span = (str(index[0].date()), str(index[-1].date()))
    return dg.MetadataValue.md(line_picture({name: line.to_numpy() for name, line in lines.items()}, span, title))


def heat_map(shares: pd.DataFrame, title: str) -> dg.MarkdownMetadataValue:
    """Return shares by row and column as a picture for the UI."""
    return dg.MetadataValue.md(heat_picture(shares, title))


def numbers(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the numbers of a mapping as metadata, so that the UI plots them over partitions."""
    return {
        name: dg.MetadataValue.float(float(value))
        for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and value == value
    }


def series_numbers(series: Mapping[str, Mapping[str, Any]], tries: Tries) -> dict[str, Any]:
    """Return the policy's metrics among several series as metadata, Sharpe ratio and CAGR in their company.

    The Sortino ratio, which has no interval, is left to the tables.
    """
    own = series[POLICY]
    others = {name: value for name, value in own["metrics"].items() if name not in ("sharpe", "sortino", "cagr")}
    return numbers({**others, **growth_numbers(own), **sharpe_of(POLICY, series, tries).numbers()})
