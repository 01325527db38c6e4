"""What the registry tells of versions."""

from __future__ import annotations

import pytest

from allocator_pipeline.errors import CorruptArtifactError, MissingPartitionError
from allocator_pipeline.registry.catalogue import COLUMNS, description, differences, fields_of, versions
from allocator_pipeline_tests.registry.conftest import best_and_worst


def test_versions_are_listed_with_their_role_and_state(court, judge, report_on, stored, artifacts) -> None:
    assert list(versions(court).columns) == COLUMNS
    best, worst = best_and_worst(2017)
    first, second = judge(report_on(2016, worst)), judge(report_on(2017, best))
    never = stored("2014-12-29", parent=first.champion)
    table = versions(court).set_index("version")
    assert table["role"].to_dict() == {
        second.champion: "champion",
        first.champion: "former champion",
        never: "never champion",
    }
    assert table.index.tolist() == sorted(table.index, reverse=True)
    assert table.loc[second.champion, "last_verdict"] == "promoted (number 2)"
    assert table.loc[never, ["parent", "cutoff", "last_verdict"]].tolist() == [first.champion, "2014-12-29", "none"]
    assert set(table["files"]) == {"verified"}
    (artifacts.root / "ppo_lstm" / never / "policy.json").write_bytes(b"{}")
    assert "sha256 of policy.json differs" in versions(court).set_index("version").loc[never, "files"]


def test_a_description_holds_config_data_metrics_and_verdicts(court, judge, report_on) -> None:
    verdict = judge(report_on(2016, (0, 1)))
    found = description(court, verdict.champion)
    assert found["role"] == "champion"
    assert found["config"] == {"seed": 0, "slots": [0, 1]}
    assert found["data"] == {"weeks": 520, "sha256": "0" * 64}
    assert found["verdicts"]["1"]["outcome"] == "promoted"
    rows = fields_of(found).set_index("field")["value"]
    assert rows["config.slots"] == "[0,1]"
    assert rows["verdicts.1.from"] == verdict.effective_week


def test_two_versions_differ_field_by_field(court, stored) -> None:
    one, other = stored(seed=1), stored("2016-12-27", seed=2, parent="v2015-12-28-abcdef")
    table = differences(court, one, other).set_index("field")
    assert table.loc["config.seed"].tolist() == ["1", "2"]
    assert table.loc["cutoff"].tolist() == ["2015-12-28", "2016-12-27"]
    assert table.loc["parent"].tolist() == ["null", "v2015-12-28-abcdef"]
    assert "kind" not in table.index
    assert "config.slots" not in table.index
    assert differences(court, one, one).empty


def test_what_is_absent_or_damaged_is_not_described(court, stored, artifacts) -> None:
    with pytest.raises(MissingPartitionError):
        description(court, "v2015-12-28-abcdef")
    version = stored()
    (artifacts.root / "ppo_lstm" / version / "policy.json").write_bytes(b"{}")
    with pytest.raises(CorruptArtifactError):
        differences(court, version, version)
