"""The Hub as an upload and a download see it: branches, what they hold, whole files, and commits that replace all.

The protocol is spoken by `huggingface_hub`; `hub.transport` bounds it. Files travel over plain HTTPS: hf-xet, which
brings its own connections, retries and cache, is left off for models of a few megabytes at most.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from urllib.request import getproxies, proxy_bypass

import httpx2
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    RepoFile,
    constants,
    get_session,
    hf_hub_url,
    set_client_factory,
)
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError
from huggingface_hub.utils import build_hf_headers, disable_progress_bars, hf_raise_for_status

from allocator_pipeline.atomic import sha256
from allocator_pipeline.errors import AllocatorError, HubError
from allocator_pipeline.hub.names import MAIN, is_ours
from allocator_pipeline.hub.settings import HubSettings
from allocator_pipeline.hub.transport import PATIENCE, HubTransport
from allocator_pipeline.transport import Patience

ROUNDS = 5
MAX_ENTRIES = 1000


class Hub:
    """One session with the Hub. Every call is bounded and fails with a `HubError` that holds no secret.

    From then on `huggingface_hub` sends whatever this process asks of it through this session's transport.

    Parameters
    ----------
    settings : HubSettings
    patience : Patience, optional

    Raises
    ------
    HubError
        If ``HF_HUB_OFFLINE`` forbids the network.
    """

    def __init__(self, settings: HubSettings, patience: Patience | None = None) -> None:
        if constants.is_offline_mode():
            raise HubError("HF_HUB_OFFLINE forbids to reach the Hub.", todo="unset it to share models.")
        self._endpoint, self._token = settings.endpoint, settings.token
        self._api = HfApi(endpoint=settings.endpoint, token=settings.token or False)
        transport = HubTransport(
            settings.endpoint, patience or PATIENCE, httpx2.HTTPTransport(proxy=_proxy(settings.endpoint))
        )
        constants.HF_HUB_DISABLE_XET = True
        constants.HF_HUB_DISABLE_TELEMETRY = True
        constants.HF_HUB_DISABLE_IMPLICIT_TOKEN = True  # no token but the one given, above all none from a file
        disable_progress_bars()
        for name in ("httpx2", "httpcore2"):  # they would log addresses with signatures, and headers of answers
            logging.getLogger(name).setLevel(logging.WARNING)
        set_client_factory(lambda: httpx2.Client(transport=transport, follow_redirects=True, timeout=None))

    def create(self, repo: str) -> None:
        """Create a private repository unless it is there."""
        with self._speaking(f"creating {repo}"):
            try:
                self._api.list_repo_refs(repo)
            except RepositoryNotFoundError:
                self._api.create_repo(repo, private=True, exist_ok=True)

    def heads(self, repo: str) -> dict[str, str]:
        """Return the branches: name -> commit."""
        with self._speaking(f"listing the branches of {repo}"):
            return {branch.name: branch.target_commit for branch in self._api.list_repo_refs(repo).branches}

    def digests(self, repo: str, commit: str) -> dict[str, str]:
        """Return the files of a commit: path -> sha256 of a large file, or git's hash of a small one."""
        with self._speaking(f"listing {repo} at {commit}"):
            entries = self._api.list_repo_tree(repo, revision=commit, recursive=True)
            found = list(islice(entries, MAX_ENTRIES + 1))
            if len(found) > MAX_ENTRIES:
                raise HubError(f"{repo} holds more than {MAX_ENTRIES} files.", todo="look at the repository.")
            files = [entry for entry in found if isinstance(entry, RepoFile)]
            return {file.path: file.lfs.sha256 if file.lfs else file.blob_id for file in files}

    def read(self, repo: str, commit: str, name: str, limit: int) -> bytes:
        """Return a whole file.

        Parameters
        ----------
        repo, commit, name : str
        limit : int
            Most bytes that it may have.
        """
        with self._speaking(f"reading {name} of {repo} at {commit}"):
            url = hf_hub_url(repo, name, revision=commit, endpoint=self._endpoint)
            response = get_session().get(url, headers=build_hf_headers(token=self._token or False))
            hf_raise_for_status(response)
            if len(response.content) > limit:
                raise HubError(f"{name} has more than {limit} bytes.", todo="look at the repository.", source=repo)
            return response.content

    def replace(
        self,
        repo: str,
        branch: str,
        files: Mapping[str, bytes],
        message: str,
        wanted: Callable[[dict[str, str], str], bool],
    ) -> str | None:
        """Make a branch hold these files, in one commit or none.

        A commit names the one that it follows, so that of two writers one is told to look again; so is a writer whose
        commit arrived while its answer was lost, and finds its work done.

        Parameters
        ----------
        repo, branch : str
        files : mapping of str to bytes
            All that the branch is to hold of our kinds of files; others, such as ``.gitattributes``, stay.
        message : str
            Of the commit.
        wanted : callable
            Gets the digests of the branch and its commit, and says whether they shall be replaced; asked again in
            every round.

        Returns
        -------
        str or None
            The commit that holds the files; None if they were not wanted.

        Raises
        ------
        HubError
            If it cannot be done; the branch is as it was, or holds all of the files.
        """
        sent = None
        for _ in range(ROUNDS):
            head = self.heads(repo).get(branch)
            if head is None:
                with self._speaking(f"creating the branch {branch} of {repo}"):
                    self._api.create_branch(repo, branch=branch, revision=MAIN, exist_ok=True)
                continue
            there = self.digests(repo, head)
            stale = [path for path in there if is_ours(path) and path not in files]
            if not stale and all(_equals(there.get(name), payload) for name, payload in files.items()):
                return head
            if head == sent:
                raise HubError(
                    f"{repo} does not hold what was sent to {branch}.", todo="remove .gitignore there, if there is one."
                )
            if not wanted(there, head):
                return None
            sent = self._commit(repo, branch, head, files, stale, message)
        raise HubError(f"{branch} of {repo} kept changing.", todo="run it again when nobody else writes to it.")

    def _commit(
        self, repo: str, branch: str, parent: str, files: Mapping[str, bytes], stale: list[str], message: str
    ) -> str | None:
        """Commit upon a parent; return None if the branch has moved on."""
        adding = [CommitOperationAdd(path_in_repo=name, path_or_fileobj=files[name]) for name in sorted(files)]
        deleting = [CommitOperationDelete(path_in_repo=path) for path in stale]
        with self._speaking(f"writing to {branch} of {repo}"):
            try:
                return self._api.create_commit(
                    repo, [*adding, *deleting], commit_message=message, revision=branch, parent_commit=parent
                ).oid
            except HfHubHTTPError as error:
                if error.response is not None and error.response.status_code in (409, 412):
                    return None
                raise

    @contextmanager
    def _speaking(self, doing: str) -> Iterator[None]:
        """Turn what the libraries raise, of whatever kind, into one error without the token."""
        try:
            yield
        except AllocatorError:
            raise
        except Exception as error:
            raise _ours(error) or HubError(
                f"The Hub failed at {doing}: {self._told(error)}", todo="look at the repository, then run it again."
            ) from None

    def _told(self, error: Exception) -> str:
        told: BaseException = error
        while told.__cause__ is not None and not isinstance(told, HfHubHTTPError):  # which holds the Hub's own words
            told = told.__cause__
        text = " ".join(f"{type(told).__name__}: {told}".split())
        if self._token:
            text = text.replace(self._token, "***")
        return re.sub(r"\?\S+", "?...", text)[:300]  # a query may hold a signature


def _ours(error: BaseException | None) -> HubError | None:
    """Return the error of the transport, which `huggingface_hub` wraps where it sends in threads."""
    while error is not None:
        if isinstance(error, HubError):
            return error
        error = error.__cause__ or error.__context__
    return None


def _equals(digest: str | None, payload: bytes) -> bool:
    return digest in (sha256(payload), _git_hash(payload))


def _git_hash(payload: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(payload) + payload, usedforsecurity=False).hexdigest()


def _proxy(endpoint: str) -> str | None:
    url = httpx2.URL(endpoint)
    return None if proxy_bypass(url.host) else getproxies().get(url.scheme)
