import dagster as dg
import numpy as np
import pandas as pd
import pytest

from allocator_pipeline.defs.io_managers import PublishedIOManager
from allocator_pipeline.defs.storage import AssetStore, Partitioned
from allocator_pipeline.errors import CorruptArtifactError, MissingPartitionError, UnsafeNameError


@pytest.fixture
def store(tmp_path):
    return AssetStore(tmp_path)


def table(value):
    return pd.DataFrame({"week": pd.to_datetime(["2015-01-05"]).as_unit("us"), "value": [value]})


def test_tables_and_json_round_trip(store):
    store.write("prices", "2015", table(1.5))
    store.write("reports", "ppo_lstm|2015", {"sharpe": 0.5, "weeks": ["2015-01-05"]})
    pd.testing.assert_frame_equal(store.read("prices", "2015"), table(1.5))
    assert store.read("reports", "ppo_lstm|2015") == {"sharpe": 0.5, "weeks": ["2015-01-05"]}
    assert store.keys("reports") == ["ppo_lstm|2015"]


def test_the_same_value_written_again_gives_the_same_bytes(store):
    first = store.write("prices", "2015", table(1.5))
    files = {path.name: path.read_bytes() for path in store.root.rglob("*.*")}
    assert store.write("prices", "2015", table(1.5)) == first
    assert {path.name: path.read_bytes() for path in store.root.rglob("*.*")} == files


def test_a_new_value_replaces_the_old_one_whole(store):
    store.write("prices", "2015", table(1.5))
    store.write("prices", "2015", table(2.5))
    assert store.read("prices", "2015")["value"].tolist() == [2.5]
    assert len(list(store.root.rglob("*.parquet"))) == 1


def test_a_missing_partition_is_named(store):
    with pytest.raises(MissingPartitionError, match=r"'2016' of 'prices'"):
        store.read("prices", "2016")


def test_every_flipped_byte_is_seen(store):
    store.write("prices", "2015", table(1.5))
    path = next(store.root.rglob("*.parquet"))
    payload = path.read_bytes()
    for position in np.random.default_rng(0).integers(0, len(payload), 40):
        path.write_bytes(payload[:position] + bytes([payload[position] ^ 1]) + payload[position + 1 :])
        with pytest.raises(CorruptArtifactError):
            store.read("prices", "2015")


@pytest.mark.parametrize("key", ["../../x", "/etc/passwd", "a\x00b", "a\nb", "x" * 300, "..", ""])
def test_no_key_leaves_the_store(store, key):
    with pytest.raises(UnsafeNameError):
        store.write("prices", key, table(1.0))


def test_inputs_are_read_only_when_asked_for(store):
    for year in ("2013", "2015"):
        store.write("prices", year, table(float(year)))
    inputs = Partitioned(store, "prices", ["2015", "2014", "2013"])
    assert list(inputs) == ["2013", "2014", "2015"]
    assert inputs.stored() == ["2013", "2015"]
    assert inputs.table(last="2014")["value"].tolist() == [2013.0]
    with pytest.raises(MissingPartitionError, match="2014"):
        inputs["2014"]
    with pytest.raises(MissingPartitionError, match="not an input"):
        inputs["2016"]


def test_a_step_may_store_its_partitions_itself_but_not_claim_what_it_has_not_stored(store):
    @dg.asset(partitions_def=dg.StaticPartitionsDefinition(["2014", "2015"]))
    def windows(context):
        if context.partition_key == "2014":
            store.write("windows", "2014", table(1.0))
        return Partitioned(store, "windows", [context.partition_key])

    resources = {"io_manager": PublishedIOManager(root=str(store.root), claim="{}")}
    assert dg.materialize([windows], partition_key="2014", resources=resources).success
    assert store.keys("windows") == ["2014"]
    with pytest.raises(MissingPartitionError, match=r"'2015' of 'windows'"):
        dg.materialize([windows], partition_key="2015", resources=resources)
