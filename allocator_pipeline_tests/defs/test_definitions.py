"""The asset graph as a whole: its snapshot, its checks, and how lightly it loads."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from allocator_pipeline.config import Settings
from allocator_pipeline.defs.build import build_definitions

ROOT = Path(__file__).parents[2]

SLOW_TO_IMPORT = (
    "arch",
    "cvxpy",
    "gymnasium",
    "huggingface_hub",
    "lightgbm",
    "plotly",
    "skfolio",
    "sklearn",
    "stable_baselines3",
    "torch",
    "transformers",
    "vaderSentiment",
    "yfinance",
)
SNAPSHOT = ROOT / "allocator_pipeline_tests" / "golden" / "asset_graph.json"


@pytest.fixture(scope="module")
def definitions(tmp_path_factory):
    return build_definitions(Settings(data_dir=tmp_path_factory.mktemp("data")))


def described(definitions) -> dict:
    graph = {}
    for spec in definitions.resolve_all_asset_specs():
        partitions = spec.partitions_def
        names = getattr(partitions, "partition_dimension_names", None)
        graph[spec.key.to_user_string()] = {
            "deps": sorted(dep.asset_key.to_user_string() for dep in spec.deps),
            "group": spec.group_name,
            "kinds": sorted(spec.kinds),
            "owners": list(spec.owners),
            "partitions": names or (type(partitions).__name__ if partitions else None),
            "first_partition": str(partitions.get_partition_keys()[0]) if partitions else None,
            "last_partition": str(partitions.get_partition_keys()[-1]) if partitions else None,
        }
    return dict(sorted(graph.items()))


def test_the_asset_graph_is_the_one_on_record(definitions):
    """A change here is a change of the graph: look at it, then write the snapshot anew (CONTRIBUTING.md)."""
    found = json.loads(json.dumps(described(definitions)))
    if os.environ.get("UPDATE_SNAPSHOTS"):
        SNAPSHOT.write_text(json.dumps(found, indent=1) + "\n")
    assert found == json.loads(SNAPSHOT.read_text())


def test_every_asset_explains_itself(definitions):
    for spec in definitions.resolve_all_asset_specs():
        assert len(spec.description) > 40
        assert spec.group_name
        assert spec.owners
        assert spec.kinds


def test_labels_never_reach_features_or_forecasts(definitions):
    """What weeks paid stands beside the observation in states; it never reaches signals, forecasts or baselines."""
    upstream = {
        spec.key.to_user_string(): {dep.asset_key.to_user_string() for dep in spec.deps}
        for spec in definitions.resolve_all_asset_specs()
    }

    def ancestors(name):
        return upstream[name] | {far for near in upstream[name] for far in ancestors(near)}

    for name in ("signals", "universe", "price_windows", "forecasts", "baseline_weights"):
        assert "outcomes" not in ancestors(name)


def test_blocking_checks_guard_what_would_poison_the_rest(definitions):
    blocking = {
        (key.asset_key.to_user_string(), key.name)
        for check in definitions.asset_checks
        for key, spec in check.check_specs_by_output_name.items()
        for key in [spec.key]
        if spec.blocking
    }
    assert {asset for asset, _ in blocking} == {"prices", "forecasts", "target_weights"}


@pytest.fixture
def plain_env(tmp_path):
    env = {name: value for name, value in os.environ.items() if not name.startswith(("ALLOCATOR_", "DAGSTER_HOME"))}
    return {**env, "ALLOCATOR_DATA_DIR": str(tmp_path), "DAGSTER_HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}


def test_the_code_location_loads_without_what_is_slow_to_import(plain_env):
    code = (
        "import sys; import allocator_pipeline.definitions as d; d.defs.get_repository_def();"
        f"print(sorted(set({SLOW_TO_IMPORT!r}) & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=plain_env, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "command",
    [
        [sys.executable, "-m", "dagster", "definitions", "validate", "-w", "workspace.yaml"],
        [str(Path(sys.executable).parent / "dg"), "check", "defs"],
    ],
    ids=["dagster definitions validate", "dg check defs"],
)
def test_dagsters_own_checks_pass(plain_env, command):
    done = subprocess.run(command, cwd=ROOT, env=plain_env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
