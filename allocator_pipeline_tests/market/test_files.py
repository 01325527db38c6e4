"""The user's own folder: read, checked, and never silently mended."""

import os
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from allocator_pipeline.config import Settings
from allocator_pipeline.errors import AllocatorError, MarketDataError, NotEnoughDataError
from allocator_pipeline.features.outcomes import weekly_outcomes
from allocator_pipeline.features.signals import weekly_signals
from allocator_pipeline.market import calendar
from allocator_pipeline.market.files import FilesMarket
from allocator_pipeline.market.scoring.vader import Vader
from allocator_pipeline.market.sources import open_market
from allocator_pipeline.market.universe import universe_of

DAYS = calendar.sessions("2015-01-01", "2016-12-31")


def price_rows(symbols: list[str] | None = None, **changes) -> pl.DataFrame:
    symbols = symbols or [f"S{i:02d}" for i in range(16)]
    generator = np.random.default_rng(0)
    parts = []
    for symbol in symbols:
        close = 50 * np.exp(np.cumsum(generator.normal(0, 0.01, len(DAYS))))
        columns = {
            "date": DAYS.date.tolist(),
            "symbol": symbol,
            "open": close * 0.99,
            "high": close * 1.02,
            "low": close * 0.98,
        }
        columns |= {"close": close, "adj_close": close * 0.5, "volume": 1000.0}
        parts.append(pl.DataFrame(columns | changes))
    return pl.concat(parts)


def news_rows(**changes) -> pl.DataFrame:
    count = 4
    columns = {
        "symbol": ["S00"] * count,
        "published_at": [f"2015-03-0{i + 2}T14:00:00Z" for i in range(count)],
        "headline": ["great growth", "terrible loss", "a plain word", "strong gain"],
    }
    return pl.DataFrame(columns | changes, strict=False)


def fundamental_rows(**changes) -> pl.DataFrame:
    columns = {
        "symbol": ["S00", "S01"],
        "period_end": ["2014-12-31", "2014-12-31"],
        "report_date": ["2015-02-02", "2015-02-03"],
        "revenue": [100.0, 0.0],
        "gross_profit": [40.0, 1.0],
        "equity": [50.0, -5.0],
        "total_debt": [25.0, 1.0],
    }
    return pl.DataFrame(columns | changes, strict=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    price_rows().write_parquet(tmp_path / "prices.parquet")
    return tmp_path


def refused(folder: Path, source: str | None = None) -> str:
    """Read everything and return the one error's text."""

    def read() -> None:
        market = FilesMarket(folder, source)
        market.coverage()
        market.sentiment(2015)
        market.fundamentals(2015)

    with pytest.raises(MarketDataError) as caught:
        read()
    return str(caught.value)


class TestPrices:
    def test_parquet_and_csv_give_the_same(self, folder, tmp_path_factory):
        other = tmp_path_factory.mktemp("csv")
        price_rows().write_csv(other / "prices_daily.csv")

        for year in (2015, 2016):
            one, two = FilesMarket(folder).prices(year), FilesMarket(other).prices(year)
            pd.testing.assert_frame_equal(one.drop(columns="source"), two.drop(columns="source"))
        assert FilesMarket(folder).coverage().first_session == DAYS[0].date()

    def test_open_market_finds_it(self, folder):
        coverage = open_market(Settings(market="files", files_dir=folder)).coverage()

        assert coverage.has_open
        assert coverage.has_volume
        assert "survivorship" in " ".join(coverage.notes)
        assert len(coverage.symbols) == 16

    def test_opens_and_volumes_may_be_absent(self, tmp_path):
        price_rows().drop("open", "high", "low", "volume").write_csv(tmp_path / "prices.csv")
        market = FilesMarket(tmp_path)

        assert not market.coverage().has_open
        assert not market.coverage().has_volume
        assert market.prices(2015)[["open", "volume"]].isna().all(axis=None)
        assert len(market.fixed_universe()) == 15

    def test_vendor_headers_are_understood(self, tmp_path):
        renamed = price_rows().rename({"date": "Date", "symbol": "Ticker", "adj_close": "Adj Close", "open": "Open"})
        renamed.write_csv(tmp_path / "prices.csv")

        assert FilesMarket(tmp_path).coverage().has_open

    def test_dates_may_be_times_in_their_own_zone(self, tmp_path):
        rows = price_rows().with_columns(
            pl.col("date").cast(pl.Datetime("ns")).dt.replace_time_zone("America/New_York")
        )
        rows.write_parquet(tmp_path / "prices.parquet")

        assert FilesMarket(tmp_path).coverage().first_session == DAYS[0].date()

    def test_years_outside_are_refused(self, folder):
        with pytest.raises(NotEnoughDataError, match="2017"):
            FilesMarket(folder).prices(2017)

    def test_no_prices_is_an_error(self, tmp_path):
        assert "holds no prices" in refused(tmp_path)

    def test_a_folder_that_is_not_there_is_an_error_of_its_own(self, folder):
        assert "no such folder" in refused(folder / "absent")
        assert "a file, not a folder" in refused(folder / "prices.parquet")

    def test_two_files_for_one_table_are_an_error(self, folder):
        price_rows().write_csv(folder / "prices_daily.csv")

        assert "prices.parquet, prices_daily.csv" in refused(folder)

    @pytest.mark.parametrize(
        ("column", "value", "words"),
        [
            ("close", "abc", "'abc' is no finite number"),
            ("close", "", "there is no value"),
            ("close", "0", "a price must be positive"),
            ("adj_close", "-3", "a price must be positive"),
            ("high", "0.01", "the high is below the low"),
            ("open", "inf", "'inf' is no finite number"),
            ("open", "None", "there is no value though other rows have one"),
            ("volume", "-1", "a volume cannot be negative"),
            ("date", "01/02/2015", "'01/02/2015' is no date"),
            ("date", "2015-02-30", "'2015-02-30' is no date"),
            ("date", "", "there is no value"),
            ("symbol", "", "there is no value"),
            ("symbol", "../../etc", "cannot be used as a file name"),
            ("symbol", "CASH", "means the cash"),
        ],
    )
    def test_a_bad_value_names_file_column_and_row(self, tmp_path, column, value, words):
        rows = price_rows().cast(pl.String).with_row_index("n")
        rows = rows.with_columns(pl.when(pl.col("n") == 41).then(pl.lit(value)).otherwise(column).alias(column))
        rows.drop("n").write_csv(tmp_path / "prices.csv")
        message = refused(tmp_path)

        assert words in message
        assert f"Column '{column}', row 42" in message
        assert "source=prices.csv" in message

    def test_a_missing_column_is_named(self, tmp_path):
        price_rows().drop("adj_close").write_parquet(tmp_path / "prices.parquet")
        message = refused(tmp_path)

        assert "no column 'adj_close'" in message
        assert "adjusted_close" in message

    @pytest.mark.parametrize("name", ["prices.parquet", "prices.csv"])
    @pytest.mark.parametrize("content", [b"", b"PAR1 not really", b"\xff\xfe\x00a,b\n1,2,3\n", b"<html></html>"])
    def test_a_file_of_another_kind_is_one_clear_error(self, tmp_path, name, content):
        (tmp_path / name).write_bytes(content)

        assert f"source={name}" in refused(tmp_path)

    def test_a_cut_parquet_is_one_clear_error(self, folder):
        content = (folder / "prices.parquet").read_bytes()
        for share in (0.1, 0.5, 0.99):
            (folder / "prices.parquet").write_bytes(content[: int(len(content) * share)])
            assert "cannot be read" in refused(folder)

    def test_only_a_header_is_an_error(self, tmp_path):
        price_rows().head(0).write_csv(tmp_path / "prices.csv")

        assert "no bar" in refused(tmp_path)

    def test_repeated_rows_and_closed_days_are_counted(self, tmp_path):
        rows = price_rows()
        sunday = rows.head(1).with_columns(date=pl.lit("2015-01-04").str.to_date())
        pl.concat([rows, rows.slice(5, 3), sunday]).write_parquet(tmp_path / "prices.parquet")
        market = FilesMarket(tmp_path)

        assert len(market.prices(2015)) == 252 * 16
        assert market.rejections(2015) == {"prices: duplicate": 3, "prices: not a session of the exchange": 1}
        assert market.rejections(2016) == {}

    def test_a_contradiction_names_both_rows(self, tmp_path):
        rows = price_rows()
        pl.concat([rows, rows.slice(6, 1).with_columns(close=pl.lit(1.0))]).write_parquet(tmp_path / "prices.parquet")

        assert f"row {len(rows) + 1}: it contradicts row 7" in refused(tmp_path)


class TestSources:
    @pytest.fixture
    def mixed(self, tmp_path: Path) -> Path:
        pl.concat([price_rows(source="a/1"), price_rows(source="b,2")]).write_parquet(tmp_path / "prices.parquet")
        pl.concat([fundamental_rows(source="x"), fundamental_rows(source="y", revenue=[50.0, 60.0])]).write_csv(
            tmp_path / "fundamentals.csv"
        )
        news_rows(source="only").write_csv(tmp_path / "news.csv")
        return tmp_path

    def test_several_without_a_choice_are_listed(self, mixed):
        message = refused(mixed)

        assert "a/1, b,2" in message
        assert "ALLOCATOR_FILES_SOURCE" in message

    def test_a_bare_name_serves_every_table_with_several(self, mixed):
        assert "fundamentals table has x, y, and the choice is 'a/1'" in refused(mixed, "a/1")

    def test_a_choice_for_each_table(self, mixed):
        market = FilesMarket(mixed, "prices=b,2,fundamentals=y")

        assert set(market.prices(2015)["source"]) == {"b,2"}
        assert len(market.prices(2015)) == 252 * 16
        assert set(market.fundamentals(2015)["source"]) == {"y"}
        assert set(market.sentiment(2015)["source"]) == {"only"}
        assert market.fundamentals(2015)["gross_margin"].tolist() == [0.8, 1 / 60]

    def test_an_unknown_choice_is_refused(self, mixed):
        assert "the choice is 'c'" in refused(mixed, "prices=c")
        assert "the choice is 'c'" in refused(mixed, "prices=a/1,fundamentals=x,news=c")


class TestNews:
    def read(self, folder: Path, rows: pl.DataFrame) -> FilesMarket:
        rows.write_csv(folder / "news.csv")
        return FilesMarket(folder)

    def test_unscored_text_is_scored_by_vader(self, folder):
        news = self.read(folder, news_rows(score=[0.5, None, None, -1.0])).sentiment(2015)

        assert news["scorer"].tolist() == ["given", Vader().version, Vader().version, "given"]
        assert news["score"][0] == 0.5
        assert news["score"][1] < 0
        assert news["score"][2] == 0

    def test_ids_are_hashed_from_symbol_time_and_text(self, folder):
        rows = news_rows()
        one = self.read(folder, rows).sentiment(2015)["article_id"]
        two = self.read(folder, pl.concat([rows, rows])).sentiment(2015)["article_id"]
        other = self.read(folder, rows.with_columns(symbol=pl.lit("S01"))).sentiment(2015)["article_id"]

        assert one.tolist() == two.tolist()
        assert one.is_unique
        assert not set(one) & set(other)

    def test_the_earliest_of_a_repeated_id_counts(self, folder):
        market = self.read(folder, news_rows(article_id=["a", "b", "b", "a"]))

        assert market.sentiment(2015)["published_at"].dt.day.tolist() == [2, 3]
        assert market.rejections(2015) == {"news: duplicate": 2}

    def test_a_text_that_is_repeated_within_seven_days_counts_once(self, folder):
        times = ["2015-03-02T14:00:00Z", "2015-03-09T14:00:00Z", "2015-03-16T14:00:01Z", "2015-03-16T15:00:00Z"]
        texts = ["great growth", "great <b>growth</b>", "great\u200bgrowth", "great growth"]
        market = self.read(folder, news_rows(published_at=times, headline=texts))

        assert market.sentiment(2015)["published_at"].dt.day.tolist() == [2, 16]
        assert market.rejections(2015) == {"news: the text repeats another of the seven days before": 2}
        another = news_rows(published_at=times, headline=texts, symbol=["S00", "S01", "S02", "S03"])
        assert len(self.read(folder, another).sentiment(2015)) == 4

    def test_a_score_alone_repeats_nothing(self, folder):
        market = self.read(folder, news_rows(score=[0.1] * 4, headline=[None] * 4))

        assert len(market.sentiment(2015)) == 4
        assert market.rejections(2015) == {}

    def test_a_text_is_scored_as_plain_text(self, folder):
        texts = ["<i>great</i> growth &amp; gain", "loss\x00 loss", "gain " * 500, "<script>great</script>"]
        rows = news_rows(headline=texts, article_id=["a", "b", "c", "d"])
        rows.write_parquet(folder / "news.parquet")
        market = FilesMarket(folder)

        wanted = Vader().score(["great growth & gain", "loss loss", ("gain " * 400).rstrip()])
        assert market.sentiment(2015)["score"].tolist() == wanted.tolist()
        assert market.rejections(2015) == {"news: neither score nor text": 1}

    def test_rows_without_time_or_text_are_counted(self, folder):
        rows = news_rows(
            published_at=["", "2015-03-02T14:00:00Z", "2015-03-03 10:00:00-05:00", ""], headline=["a", "", "b", "c"]
        )
        market = self.read(folder, rows)

        assert len(market.sentiment(2015)) == 1
        assert market.rejections(2015) == {"news: neither score nor text": 1, "news: no known-at date": 2}

    @pytest.mark.parametrize(
        ("written", "instant"),
        [
            ("2015-03-02", "2015-03-03 04:59:59.999999"),  # a date alone: the end of that day in New York
            ("2015-07-02", "2015-07-03 03:59:59.999999"),
            ("2015-03-02T14:00:00Z", "2015-03-02 14:00"),
            ("2015-03-02T14:00:00+05:30", "2015-03-02 08:30"),
            ("2015-03-02 14:00:00", "2015-03-02 19:00"),  # no zone: New York
            ("20150702T140000", "2015-07-02 18:00"),
            ("2015-11-01 01:30:00", "2015-11-01 06:30"),  # the clock shows this twice: the later
            ("2015-03-08 02:30:00", "2015-03-08 07:30"),  # the clock never shows this: the later
        ],
    )
    def test_times_are_never_read_too_early(self, folder, written, instant):
        rows = news_rows(published_at=[written, "2015-12-24T15:00:00Z", "2015-12-24T16:00:00Z", "2015-12-24T17:00:00Z"])

        assert self.read(folder, rows).sentiment(2015)["published_at"][0] == pd.Timestamp(instant, tz="UTC")

    @pytest.mark.parametrize("unit", [pl.Date(), pl.Datetime("ns"), pl.Datetime("us", "UTC"), pl.String()])
    def test_a_column_of_midnights_is_a_column_of_dates(self, folder, unit):
        days = pl.Series(["2015-03-02", "2015-03-03", "2015-03-04", "2015-03-05"]).str.to_date()
        written = (
            days.cast(pl.Datetime("us")).dt.to_string("%Y-%m-%d %H:%M:%S") if unit == pl.String else days.cast(unit)
        )
        news_rows().with_columns(published_at=written).write_parquet(folder / "news.parquet")
        news = FilesMarket(folder).sentiment(2015)

        assert news["published_at"][0] == pd.Timestamp("2015-03-03 04:59:59.999999", tz="UTC")

    @pytest.mark.parametrize(
        "column",
        [
            pl.Series(["2015-03-02 00:00:00", *["2015-03-03 14:00:00"] * 3]),
            pl.Series(["2015-03-02T00:00:00Z", *["2015-03-03T14:00:00Z"] * 3]),
            pl.Series([datetime(2015, 3, 2), *[datetime(2015, 3, 3, 14)] * 3]),
            pl.Series([datetime(2015, 3, 2), *[datetime(2015, 3, 3, 14)] * 3], dtype=pl.Datetime("ns", "UTC")),
            pl.Series([datetime(2015, 3, 2), *[datetime(2015, 3, 3, 14)] * 3]).dt.replace_time_zone("America/New_York"),
        ],
        ids=["text", "text with zone", "naive", "UTC", "New York"],
    )
    def test_a_date_among_times_is_known_at_the_end_of_that_day(self, folder, column):
        news_rows().with_columns(published_at=column).write_parquet(folder / "news.parquet")
        news = FilesMarket(folder).sentiment(2015)["published_at"]

        assert news[0] == pd.Timestamp("2015-03-03 04:59:59.999999", tz="UTC")
        assert (news[1:].dt.minute == 0).all(), "a time beside it stays what it is"

    def test_a_new_years_evening_belongs_to_the_old_year_in_new_york(self, folder):
        market = self.read(folder, news_rows(published_at=["2016-01-01T03:00:00Z"] * 4))

        assert len(market.sentiment(2015)) == 4
        assert market.sentiment(2016).empty

    def test_a_score_out_of_range_is_refused(self, folder):
        news_rows(score=[0.1, 1.5, 0.0, 0.0]).write_csv(folder / "news.csv")

        assert "Column 'score', row 2: 1.5" in refused(folder)

    def test_a_folder_without_news_says_so(self, folder):
        market = FilesMarket(folder)

        assert market.sentiment(2015).empty
        assert market.fundamentals(2015).empty
        assert "no news, no fundamentals" in market.coverage().notes[0]


class TestFundamentals:
    def read(self, folder: Path, rows: pl.DataFrame) -> FilesMarket:
        rows.write_csv(folder / "fundamentals.csv")
        return FilesMarket(folder)

    def test_ratios_are_computed_and_masked(self, folder):
        table = self.read(folder, fundamental_rows()).fundamentals(2015)

        assert table["gross_margin"].tolist() == pytest.approx([0.4, np.nan], nan_ok=True)
        assert table["debt_to_equity"].tolist() == pytest.approx([0.5, np.nan], nan_ok=True)
        assert table["net_margin"].isna().all(), "there is no net income: missing, not zero"

    def test_a_given_ratio_wins(self, folder):
        table = self.read(folder, fundamental_rows(gross_margin=[0.9, None])).fundamentals(2015)

        assert table["gross_margin"].tolist() == pytest.approx([0.9, np.nan], nan_ok=True)

    def test_a_filing_date_is_known_at_the_end_of_that_day(self, folder):
        known = self.read(folder, fundamental_rows()).fundamentals(2015)["known_at"]

        assert known[0] == pd.Timestamp("2015-02-03 04:59:59.999999", tz="UTC")

    def test_rows_without_a_known_at_date_are_rejected_and_counted(self, folder):
        market = self.read(folder, fundamental_rows(report_date=[None, "2015-02-03"]))

        assert market.fundamentals(2015)["symbol"].tolist() == ["S01"]
        assert market.rejections(2015) == {"fundamentals: no known-at date": 1}

    def test_without_the_column_all_are_rejected(self, folder):
        market = self.read(folder, fundamental_rows().drop("report_date"))

        assert market.rejections(2015) == {"fundamentals: no known-at date": 2}

    def test_known_before_the_period_ended_is_rejected(self, folder):
        market = self.read(folder, fundamental_rows(report_date=["2014-12-31", "2015-02-03"]))

        assert market.rejections(2015) == {"fundamentals: known before its period ended": 1}

    def test_a_contradiction_is_refused(self, folder):
        rows = pl.concat([fundamental_rows(), fundamental_rows(revenue=[101.0, 0.0])])
        rows.write_csv(folder / "fundamentals.csv")

        assert "it contradicts row 1" in refused(folder)

    @pytest.mark.parametrize("value", ["infinity", "12a"])
    def test_a_bad_number_is_named(self, folder, value):
        fundamental_rows(revenue=["1", value]).write_csv(folder / "fundamentals.csv")

        assert "Column 'revenue', row 2" in refused(folder)


HOSTILE = [
    "../..",
    "/etc/passwd",
    "C:\\x",
    "A\0B",
    "A\nB",
    "x" * 300,
    "'; DROP TABLE prices; --",
    "..",
    "-rf",
    ".hidden",
    "a/b",
    "é",
    "CASH",
]


@pytest.mark.parametrize("symbol", HOSTILE)
def test_hostile_symbols_are_refused_in_every_table(tmp_path, symbol):
    price_rows([*[f"S{i:02d}" for i in range(15)], symbol]).write_parquet(tmp_path / "prices.parquet")
    assert "Column 'symbol'" in refused(tmp_path)

    price_rows().write_parquet(tmp_path / "prices.parquet")
    news_rows().with_columns(symbol=pl.lit(symbol)).write_parquet(tmp_path / "news.parquet")
    assert "Column 'symbol', row 1" in refused(tmp_path)
    os.unlink(tmp_path / "news.parquet")
    fundamental_rows().with_columns(symbol=pl.lit(symbol)).write_parquet(tmp_path / "fundamentals.parquet")
    assert "Column 'symbol', row 1" in refused(tmp_path)


@pytest.mark.parametrize("symbol", ["BRK.B", "^GSPC", "RDS-A", "EURUSD=X", "BF_B", "A", "NA", "0700.HK"])
def test_legal_symbols_round_trip(tmp_path, symbol):
    price_rows([*[f"S{i:02d}" for i in range(15)], symbol]).write_csv(tmp_path / "prices.csv")

    assert symbol in set(FilesMarket(tmp_path).prices(2016)["symbol"])


def test_an_unreadable_folder_is_a_typed_error(tmp_path):
    with pytest.raises(AllocatorError):
        FilesMarket(tmp_path / "nowhere")


class TestRealData:
    """Real prices, tweets and statements run through the source, where they are at hand."""

    CHOICE = (
        "prices=Clashrohit/algo-US,fundamentals=farseenmanekhan1232/"
        "Stock-Market-Prediction-based-on-Fundamental-Analysis-with-Machine-Learning"
    )

    def test_mixed_sources_are_listed(self, shared_data):
        with pytest.raises(MarketDataError, match="Clashrohit/algo-US, luisgrivas/findata"):
            FilesMarket(shared_data).coverage()

    def test_a_year_runs_through_to_outcomes(self, shared_data):
        market = FilesMarket(shared_data, self.CHOICE)
        prices = pd.concat([market.prices(year) for year in range(2014, 2019)], ignore_index=True)
        universe = universe_of(2017, prices)
        fundamentals = pd.concat([market.fundamentals(year) for year in (2016, 2017)])
        signals = weekly_signals(2017, universe, market.sentiment(2017), fundamentals)
        returns, marks = weekly_outcomes(2017, universe, prices, market.coverage().has_open)

        assert len(signals) == 52 * 15
        assert np.isfinite(returns).all()
        assert np.isfinite(marks).all()
        assert signals["current_ratio"].notna().mean() > 0.3
        assert signals["debt_to_equity"].isna().all(), "nothing has total debt"
        assert sum(market.rejections(year).get("fundamentals: no known-at date", 0) for year in range(2010, 2023)) == 34

    def test_tweets_are_scored(self, shared_data):
        news = FilesMarket(shared_data, self.CHOICE).sentiment(2015)

        assert len(news) > 20_000
        assert set(news["scorer"]) == {Vader().version}
