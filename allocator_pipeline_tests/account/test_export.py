import csv
import json
from pathlib import Path

from allocator_pipeline.account.export import COLUMNS, write_orders
from allocator_pipeline.config import CASH
from allocator_pipeline.inference import read_portfolio
from allocator_pipeline.portfolio.orders import orders_preview


def test_orders_are_written_as_json_and_csv_sells_first(tmp_path: Path) -> None:
    held = read_portfolio({"cash": 100.0, "positions": [{"symbol": "GONE", "market_value": 900.0}]})
    orders = orders_preview("paper:2019-01-07:ppo_lstm", 1, {"AAPL": 0.5, CASH: 0.5}, held.holdings, 1000.0)
    for _ in range(2):
        as_json, as_csv = write_orders(tmp_path, "ppo_lstm", "2019-01-07", orders)
        assert json.loads(as_json.read_bytes()) == orders
        rows = list(csv.DictReader(as_csv.read_text().splitlines()))
        assert tuple(rows[0]) == COLUMNS
        assert [(row["symbol"], row["side"], float(row["notional"])) for row in rows] == [
            ("GONE", "SELL", 900.0),
            ("AAPL", "BUY", 500.0),
        ]
    assert len(list(tmp_path.rglob("*.*"))) == 2
