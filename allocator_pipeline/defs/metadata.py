"""What assets tell the UI: column schemas, coverage and small pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg
import pandas as pd
import pandera.pandas as pa


def column_schema(schema: pa.DataFrameSchema) -> dict[str, Any]:
    """Return the definition metadata that shows a table's columns in the UI."""
    columns = [
        dg.TableColumn(
            name=name,
            type=str(column.dtype),
            constraints=dg.TableColumnConstraints(nullable=column.nullable),
        )
        for name, column in schema.columns.items()
    ]
    return {"dagster/column_schema": dg.TableSchema(columns=columns)}


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
    header = "| " + " | ".join(map(str, table.columns)) + " |\n|" + "---|" * len(table.columns)
    rows = [
        "| "
        + " | ".join(f"{value:.{decimals}f}" if isinstance(value, float) else str(value) for value in row)
        + " |"
        for row in table.itertuples(index=False)
    ]
    return dg.MetadataValue.md("\n".join([header, *rows]))


def numbers(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the numbers of a mapping as metadata, so that the UI plots them over partitions."""
    return {
        name: dg.MetadataValue.float(float(value))
        for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and value == value
    }
