"""Commands of the studies refuse what cannot be in words."""

from __future__ import annotations

import pytest

from allocator_pipeline.studies import forecast_control, gate, learnability, objective, tuning
from allocator_pipeline.studies.arguments import at_least

REFUSED = [
    (forecast_control, ["--jobs", "0"]),
    (gate, ["--jobs", "-1"]),
    (gate, ["--runs", "0", "5"]),
    (learnability, ["--jobs", "two"]),
    (objective, ["--markets", "0"]),
    (tuning, ["dpg", "--markets", "1"]),
]


@pytest.mark.parametrize(("study", "arguments"), REFUSED, ids=lambda value: getattr(value, "__name__", None))
def test_a_number_that_cannot_be_is_refused_in_words(study, arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("ALLOCATOR_DATA_DIR", str(tmp_path))
    with pytest.raises(SystemExit) as left:
        study.main(arguments)
    assert left.value.code == 2
    assert "is no whole number of" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_numbers_that_can_be_are_read():
    assert [at_least(1)(text) for text in ("1", "+2", " 3 ", "16")] == [1, 2, 3, 16]
