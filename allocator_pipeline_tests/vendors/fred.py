"""FRED on loopback: observations as they stand, or as first released, out of a table of releases."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from datetime import date

import pandas as pd

from allocator_pipeline_tests.vendors.server import Asked, Reply, VendorServer

MAX_RELEASES = 2000
NO_KEY = "Bad Request.  Variable api_key is not set.  Read https://fred.stlouisfed.org/docs/api/api_key.html."
BAD_KEY = "Bad Request.  The value for variable api_key is not a 32 character alpha-numeric lower-case string."
UNKNOWN_KEY = "Bad Request.  The value for variable api_key is not registered."


class Fred:
    """Answers as api.stlouisfed.org does.

    Parameters
    ----------
    releases : DataFrame
        ``series``, ``date``, ``value`` (NaN for a day without one) and ``released`` (dates), one row for each value
        that a date was ever given.
    today : date
        Today, for the server.
    keys : collection of str
        Registered keys.
    """

    def __init__(self, releases: pd.DataFrame, today: date, keys: Collection[str]) -> None:
        self.releases, self.today, self.keys = releases.sort_values(["date", "released"]), today, keys

    def serve(self) -> VendorServer:
        return VendorServer(self.answer)

    def answer(self, asked: Asked) -> Reply:
        query, key = asked.query, asked.query.get("api_key")
        if not key:
            return _refused(400, NO_KEY)
        if not re.fullmatch(r"[0-9a-z]{32}", key):
            return _refused(400, BAD_KEY)
        if key not in self.keys:
            return _refused(400, UNKNOWN_KEY)
        if asked.path != "/fred/series/observations":
            return _refused(404, "Not Found.")
        if query.get("file_type") != "json":
            return Reply(b'<?xml version="1.0" encoding="utf-8" ?><observations/>', 200, {"Content-Type": "text/xml"})
        told = self.releases[self.releases["series"] == query.get("series_id")]
        if told.empty:
            return _refused(400, "Bad Request.  The series does not exist.")
        now = str(self.today)
        start, end = query.get("realtime_start", now), query.get("realtime_end", now)
        rows = told[told["released"].astype(str).between("0001-01-01", end)]
        kind, limit = int(query.get("output_type", "1")), int(query.get("limit", "100000"))
        if kind == 4:
            dates = rows["released"][rows["released"].astype(str) >= start].nunique()
            if dates > MAX_RELEASES:
                return _refused(
                    400,
                    f"Bad Request.  There are {dates} vintage dates in the specified real-time period: {start} to "
                    f"{end}.  This exceeds the maximum number of vintage dates allowed ({MAX_RELEASES}).",
                )
            rows = rows.drop_duplicates("date", keep="first")
        else:
            rows = rows.drop_duplicates("date", keep="last")
        first, last = query.get("observation_start", "1776-07-04"), query.get("observation_end", "9999-12-31")
        rows = rows[rows["date"].astype(str).between(first, last)]
        offset = int(query.get("offset", "0"))
        page = rows.iloc[offset : offset + limit]
        observations = [
            {
                "realtime_start": str(_day(row["released"])) if kind == 4 else start,
                "realtime_end": end,
                "date": str(_day(row["date"])),
                "value": "." if pd.isna(row["value"]) else repr(float(row["value"])),
            }
            for row in page.to_dict("records")
        ]
        return _json(
            {
                "realtime_start": start,
                "realtime_end": end,
                "observation_start": first,
                "observation_end": last,
                "units": "lin",
                "output_type": kind,
                "file_type": "json",
                "order_by": "observation_date",
                "sort_order": "asc",
                "count": len(rows),
                "offset": offset,
                "limit": limit,
                "observations": observations,
            }
        )


def _refused(status: int, message: str) -> Reply:
    return _json({"error_code": status, "error_message": message}, status)


def _json(value: object, status: int = 200) -> Reply:
    return Reply(json.dumps(value).encode(), status)


def _day(value: object) -> date:
    return pd.Timestamp(value).date()  # type: ignore[arg-type]
