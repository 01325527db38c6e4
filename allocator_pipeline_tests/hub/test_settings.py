"""What the environment may say about sharing; the token is shown nowhere."""

from __future__ import annotations

import pytest

from allocator_pipeline.config import ALLOCATORS
from allocator_pipeline.errors import ConfigurationError, UnsafeNameError
from allocator_pipeline.hub.names import checked_file, checked_repo, checked_version, is_ours
from allocator_pipeline.hub.settings import ENDPOINT, REPO_VARIABLES, HubSettings


def test_nothing_is_shared_by_default():
    settings = HubSettings.from_env({})
    assert (settings.shared, settings.repos, settings.endpoint, settings.token) == (False, {}, ENDPOINT, None)


def test_each_allocator_has_its_variable():
    assert set(REPO_VARIABLES) == set(ALLOCATORS)
    env = {variable: f"owner/{name}" for name, variable in REPO_VARIABLES.items()}
    settings = HubSettings.from_env({**env, "STORAGE_BACKEND": "hf", "HF_TOKEN": " hf_x\n"})
    assert settings.shared
    assert settings.token == "hf_x"
    assert settings.repo("sac_patchtst") == "owner/sac_patchtst"


def test_a_missing_repository_is_named_by_its_variable():
    with pytest.raises(ConfigurationError, match="HF_PPO_LSTM_MODEL_REPO"):
        HubSettings.from_env({"STORAGE_BACKEND": "hf"}).repo("ppo_lstm")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STORAGE_BACKEND", "s3"),
        ("HF_PPO_LSTM_MODEL_REPO", "../../etc/passwd"),
        ("HF_PPO_LSTM_MODEL_REPO", "https://huggingface.co/owner/name"),
        ("HF_SAC_LSTM_MODEL_REPO", "owner/name; drop table"),
        ("HF_ENDPOINT", "http://hub.example"),
        ("HF_ENDPOINT", "https://user:secret@hub.example"),
        ("HF_ENDPOINT", "https://hub.example/?x=1"),
        ("HF_ENDPOINT", "ftp://127.0.0.1"),
        ("HF_ENDPOINT", "https://"),
        ("HF_ENDPOINT", "https://["),
        ("HF_ENDPOINT", "https://hub.example:65536"),
        ("HF_ENDPOINT", "https://hub.ex\nample"),
        ("HF_ENDPOINT", "https://hub\x01.example"),
        ("HF_ENDPOINT", "https://hub.example/ a"),
        ("HF_ENDPOINT", "https://hüb.example"),
        ("HF_ENDPOINT", "https://:secret@hub.example"),
    ],
)
def test_a_value_that_is_not_allowed_is_named(name, value):
    with pytest.raises(ConfigurationError, match=name):
        HubSettings.from_env({name: value})


def test_space_around_the_endpoint_is_no_part_of_it():
    assert HubSettings.from_env({"HF_ENDPOINT": " https://hub.example/\n"}).endpoint == "https://hub.example"


@pytest.mark.parametrize("token", ["hf_canary\r\nX-Evil: 1", "hf canary", "hf_canary\0", "hf_canäry"])
def test_a_malformed_token_is_refused_and_not_shown(token):
    with pytest.raises(ConfigurationError, match="HF_TOKEN") as caught:
        HubSettings.from_env({"HF_TOKEN": token})
    assert "canary" not in str(caught.value)


def test_the_token_is_in_no_representation():
    assert "canary" not in repr(HubSettings.from_env({"HF_TOKEN": "hf_canary"}))


@pytest.mark.parametrize("name", ["owner/name", "o/n", "My-Org_1/ppo.lstm-weekly"])
def test_legal_repositories(name):
    assert checked_repo(name) == name


@pytest.mark.parametrize(
    "name", ["", "owner", "/name", "owner/", "a/b/c", "o/n.git", "o/.n", "o/n.", "o/a..b", "o/é", "o/n\n"]
)
def test_illegal_repositories(name):
    with pytest.raises(UnsafeNameError):
        checked_repo(name)


@pytest.mark.parametrize("name", ["v2021-12-27-b2d958", "v2021-12-27-b2d958-ft"])
def test_legal_versions(name):
    assert checked_version(name) == name


@pytest.mark.parametrize(
    "name", ["main", "refs/pr/1", "v2021-12-27", "../v2021-12-27-b2d958", "v2021-12-27-b2d958\n", ""]
)
def test_illegal_versions(name):
    with pytest.raises(UnsafeNameError):
        checked_version(name)


@pytest.mark.parametrize(
    "name",
    ["a.pkl", "a.pth", "a.py", "a", "manifest.json", "../a.json", "x/a.json", "a.json\0", ".a.json", "README.md"],
)
def test_files_that_may_not_travel(name):
    with pytest.raises(UnsafeNameError):
        checked_file(name)


def test_what_an_upload_may_replace():
    assert [
        path
        for path in ("README.md", "a.json", "b.safetensors", "LICENSE", "x/a.json", ".gitattributes")
        if is_ours(path)
    ] == [
        "README.md",
        "a.json",
        "b.safetensors",
    ]
