"""Uploads over real HTTP: a branch a version, main for the champion, one commit or none."""

from __future__ import annotations

import json
import socket
import threading
import traceback

import pytest
from huggingface_hub import close_session

from allocator_pipeline.errors import ConflictError, HubError, UnsafeNameError
from allocator_pipeline.hub.client import Hub
from allocator_pipeline.hub.publish import publish, version_files
from allocator_pipeline.hub.settings import HubSettings
from allocator_pipeline.transport import Patience
from allocator_pipeline_tests.hub.conftest import CARD, NAME, REPO
from allocator_pipeline_tests.hub.fake_hub import TOKEN

FILES = {"README.md", "manifest.json", "policy.json", "policy.safetensors"}
COMMIT = "POST .*/commit/"


def branch(fake_hub, name):
    return {path: payload for path, payload in fake_hub.repos[REPO].tree(name).items() if path != ".gitattributes"}


def test_the_first_version_becomes_a_branch_and_main(fake_hub, share, stored, models):
    version = stored()
    done = share(version)
    assert branch(fake_hub, version) == branch(fake_hub, "main") == version_files(models, NAME, version, CARD)
    assert set(branch(fake_hub, version)) == FILES
    assert done.commit == fake_hub.repos[REPO].branches[version]
    assert done.main == fake_hub.repos[REPO].branches["main"]
    assert ".gitattributes" in fake_hub.repos[REPO].tree("main")


def test_main_stays_unless_the_version_is_champion(fake_hub, share, stored):
    first, second = stored(0), stored(1)
    share(first)
    assert share(second).main is None
    assert branch(fake_hub, "main") == branch(fake_hub, first)
    share(second, champion=True)
    assert branch(fake_hub, "main") == branch(fake_hub, second)
    assert fake_hub.commits(REPO) == 4


def test_the_same_upload_again_makes_no_commit(fake_hub, share, stored):
    version = stored()
    first = share(version, champion=True)
    assert share(version, champion=True) == first
    assert fake_hub.commits(REPO) == 2
    share(version, champion=True, card=CARD + "judged\n")
    assert fake_hub.commits(REPO) == 4


def test_a_version_replaces_all_files_of_ours_and_leaves_the_rest(fake_hub, share, stored):
    first, second = stored(0), stored(1)
    share(first)
    repo = fake_hub.repos[REPO]
    repo.add("main", {**repo.tree("main"), "old.safetensors": b"old", "LICENSE": b"mine", "docs/note.json": b"{}"})
    share(second, champion=True)
    assert set(branch(fake_hub, "main")) == FILES | {"LICENSE", "docs/note.json"}


def test_another_model_of_the_same_version_is_never_replaced(fake_hub, share, stored):
    version = stored()
    share(version)
    repo = fake_hub.repos[REPO]
    manifest = json.loads(repo.tree(version)["manifest.json"]) | {"identity_sha256": "f" * 64}
    repo.add(version, {**repo.tree(version), "manifest.json": json.dumps(manifest).encode()})
    with pytest.raises(ConflictError, match="another model"):
        share(version)


def test_the_token_goes_to_the_hub_alone(fake_hub, share, stored):
    share(stored())
    sent = [request for request, headers in fake_hub.requests if headers.get("authorization")]
    assert sent
    assert not any(request.startswith("PUT") for request in sent)
    assert not any("agent" in headers.get("user-agent", "") for _, headers in fake_hub.requests)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_is_not_tried_again_and_not_shown(fake_hub, session, share, stored, status):
    echo = {"x-error-message": f"Invalid credentials: Bearer {TOKEN}"}
    fake_hub.fail(".", status=status, headers=echo, body=TOKEN.encode(), times=-1)
    with pytest.raises(HubError, match="HF_TOKEN") as caught:
        share(stored())
    assert len(fake_hub.requests) == 1
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("where", ["/refs", "/tree/", "/preupload/", "PUT", COMMIT])
@pytest.mark.parametrize("status", [400, 404, 409, 410, 412, 418, 429, 500])
def test_no_error_repeats_what_the_hub_says_of_the_token(fake_hub, share, stored, where, status):
    echo = {"x-error-message": f"refused: Bearer {TOKEN}", "x-request-id": TOKEN, "x-error-code": TOKEN}
    fake_hub.fail(where, status=status, headers=echo, body=json.dumps({"error": f"bad {TOKEN}"}).encode(), times=-1)
    with pytest.raises(HubError) as caught:
        share(stored())
    assert TOKEN not in "".join(traceback.format_exception(caught.value))


def test_an_error_gives_the_hubs_reason(fake_hub, share, stored):
    fake_hub.fail(COMMIT, status=418, body=b'{"error":"Your quota is used up"}', times=-1)
    with pytest.raises(HubError, match="Your quota is used up"):
        share(stored())


def test_a_wrong_token_is_one_clear_error(fake_hub, session, share, stored):
    with pytest.raises(HubError, match="refuses the token") as caught:
        share(stored(), using=session("hf_wrong_token"))
    assert "hf_wrong_token" not in str(caught.value)
    assert fake_hub.repos == {}


@pytest.mark.parametrize("fault", [{"status": 429, "headers": {"retry-after": "0"}}, {"status": 429}, {"status": 503}])
@pytest.mark.parametrize("where", ["/refs", "/create", "/branch/", "/tree/", "/preupload/", "/batch", "PUT", COMMIT])
def test_a_passing_failure_is_overcome_wherever_it_strikes(fake_hub, share, stored, where, fault):
    fake_hub.fail(where, times=2, **fault)
    share(stored())
    assert fake_hub.commits(REPO) == 2


def test_a_wait_that_is_too_long_is_not_waited_for(fake_hub, share, stored):
    fake_hub.fail(COMMIT, status=429, headers={"retry-after": "3600"}, times=-1)
    with pytest.raises(HubError, match="asks to wait 3600 s"):
        share(stored())
    assert fake_hub.asked(COMMIT) == 1


@pytest.mark.parametrize("kind", ["cut_request", "cut_answer"])
@pytest.mark.parametrize("where", ["/refs", "/tree/", "PUT", COMMIT])
def test_a_connection_that_is_cut_is_overcome(fake_hub, share, stored, where, kind):
    version = stored()
    fake_hub.fail(where, kind)
    share(version)
    assert branch(fake_hub, version) == branch(fake_hub, "main")
    assert fake_hub.commits(REPO) == 2


def test_a_commit_whose_answer_is_lost_is_found_and_not_made_twice(fake_hub, share, stored):
    fake_hub.fail(COMMIT, "lost", times=2)
    share(stored())
    assert fake_hub.commits(REPO) == 2


def test_what_stays_broken_leaves_the_old_commit_and_can_be_repeated(fake_hub, share, stored):
    first, second = stored(0), stored(1)
    share(first)
    fake_hub.fail(COMMIT, times=-1)
    with pytest.raises(HubError, match="answered 500, 3 times"):
        share(second, champion=True)
    assert branch(fake_hub, second) == branch(fake_hub, "main") == branch(fake_hub, first)
    fake_hub.faults.clear()
    share(second, champion=True)
    assert branch(fake_hub, second) == branch(fake_hub, "main")
    assert fake_hub.commits(REPO) == 4


def test_a_hub_that_says_nothing_is_one_typed_error(stored, models):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = HubSettings("hf", {}, f"http://127.0.0.1:{silent.getsockname()[1]}", TOKEN)
        with pytest.raises(HubError, match=r"broke off \(ReadTimeout\), 2 times"):
            Hub(settings, Patience(tries=2, wait=0.0, read=0.05)).heads(REPO)
    close_session()


def test_offline_mode_is_obeyed(session, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(HubError, match="HF_HUB_OFFLINE"):
        session()


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"branches":', b"[]", b"null", b'{"branches": [{}]}'])
def test_an_answer_that_is_none_is_one_typed_error(fake_hub, share, stored, body):
    fake_hub.fail("/refs", "body", body=body, times=-1)
    with pytest.raises(HubError):
        share(stored())


def test_a_repository_that_ignores_our_files_is_noticed(fake_hub, share, stored):
    first, second = stored(0), stored(1)
    share(first)
    repo = fake_hub.repos[REPO]
    repo.add("main", {**repo.tree("main"), ".gitignore": b"manifest.json\n"})
    with pytest.raises(HubError, match=r"\.gitignore"):
        share(second, champion=True)


def test_two_uploads_at_once_end_in_one_commit_a_branch(fake_hub, share, stored):
    version = stored()
    errors: list[Exception] = []

    def upload() -> None:
        try:
            share(version)
        except Exception as error:  # shown below
            errors.append(error)

    threads = [threading.Thread(target=upload) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert fake_hub.commits(REPO) == 2


def test_an_older_champion_does_not_overtake_a_newer_one(fake_hub, hub, share, stored, models):
    """While the old champion's upload is under way, a new one is promoted and uploaded."""
    old, new = stored(0), stored(1)
    champion = old
    share(stored(2))

    def promote(request: str) -> None:
        nonlocal champion
        if request.startswith("POST") and request.endswith("/commit/main") and champion == old:
            champion = new
            files = version_files(models, NAME, new, CARD)
            fake_hub.repos[REPO].add("main", {**fake_hub.repos[REPO].tree("main"), **files})

    fake_hub.before = promote
    files = version_files(models, NAME, old, CARD)
    assert publish(hub, REPO, NAME, old, files, lambda: champion == old).main is None
    assert branch(fake_hub, "main") == version_files(models, NAME, new, CARD)


@pytest.mark.parametrize(
    "name", ["../x", "owner", "a/b/c", "owner/..", "owner/a--b", "owner/a\nb", "owner/a\0", "o/" + "a" * 99]
)
def test_a_bad_name_of_a_repository_is_refused_unasked(fake_hub, hub, stored, models, name):
    files = version_files(models, NAME, stored(), CARD)
    with pytest.raises(UnsafeNameError):
        publish(hub, name, NAME, "v2015-12-28-aaaaaa", files, lambda: True)
    assert fake_hub.requests == []
