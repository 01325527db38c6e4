"""A model hub on loopback that speaks what `huggingface_hub` 2.4 speaks: refs, trees, commits, LFS, resolve; and fails.

Regular and large files, branches, commits with a required parent, and the error headers are those of the real one.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_canary_0123456789abcdef"


@dataclass
class Fault:
    """What goes wrong with some requests.

    Parameters
    ----------
    match : str
        Pattern of ``METHOD path``.
    kind : str
        ``"status"``; ``"cut_request"`` (gone half-way through an upload), ``"lost"`` (done, but no answer),
        ``"cut_answer"`` (half of the body); ``"body"`` (another body).
    times : int
        For how many requests; -1 for all.
    skip : int
        How many matching requests pass before.
    """

    match: str
    kind: str = "status"
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"{}"
    times: int = 1
    skip: int = 0


@dataclass
class Repo:
    """Commits are whole trees: path -> bytes."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    history: list[tuple[str, str]] = field(default_factory=list)

    def add(self, branch: str, files: dict[str, bytes]) -> str:
        """Append a commit to a branch."""
        oid = hashlib.sha1(f"{len(self.commits)}{branch}".encode(), usedforsecurity=False).hexdigest()
        self.commits[oid], self.branches[branch] = dict(files), oid
        self.history.append((branch, oid))
        return oid

    def tree(self, branch: str) -> dict[str, bytes]:
        """Return the files of a branch."""
        return self.commits[self.branches[branch]]


class FakeHub:
    """The server and all that it knows."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.blobs: dict[str, bytes] = {}
        self.faults: list[Fault] = []
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.before: Callable[[str], None] = lambda request: None
        self.lock = threading.RLock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.hub = self  # type: ignore[attr-defined]
        self.endpoint = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def close(self) -> None:
        """Stop."""
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def fail(self, match: str, kind: str = "status", **values: Any) -> None:
        """Let something go wrong."""
        self.faults.append(Fault(match, kind, **values))

    def asked(self, pattern: str) -> int:
        """Count the requests that match."""
        return sum(re.search(pattern, request) is not None for request, _ in self.requests)

    def commits(self, name: str) -> int:
        """Count the commits of a repository, the first left out."""
        return len(self.repos[name].history) - 1

    def fault_of(self, request: str) -> Fault | None:
        """Return what goes wrong with a request, and count it."""
        for fault in self.faults:
            if fault.times != 0 and re.search(fault.match, request):
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                return fault
        return None


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    hub: FakeHub

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self.serve()

    do_HEAD = do_POST = do_PUT = do_GET

    def serve(self) -> None:
        hub = self.hub = self.server.hub  # type: ignore[attr-defined]
        path = urlsplit(self.path).path
        request = f"{self.command} {path}"
        length = int(self.headers.get("content-length") or 0)
        with hub.lock:
            hub.requests.append((f"{self.command} {self.path}", dict(self.headers.items())))
            fault = hub.fault_of(request)
        if fault is not None and fault.kind == "cut_request":
            self.rfile.read(length // 2)
            self.gone()
            return
        body = self.rfile.read(length)
        if fault is not None and fault.kind in ("status", "body"):
            self.answer(fault.status if fault.kind == "status" else 200, fault.body, fault.headers)
            return
        hub.before(request)
        with hub.lock:
            status, payload, headers = self.route(path, body)
        if fault is not None and fault.kind == "lost":
            self.gone()
            return
        self.answer(status, payload, headers, cut=fault is not None)

    def gone(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def answer(self, status: int, payload: bytes, headers: dict[str, str], cut: bool = False) -> None:
        try:
            self.send_response(status)
            for name, value in {"content-type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(payload)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(payload[: len(payload) // 2] if cut else payload)
            if cut:
                self.wfile.flush()
                self.gone()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def route(self, path: str, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        if path.startswith(("/lfs/", "/cdn/")):  # another host in real life: no token arrives here
            return self.blob(path, body)
        if self.headers.get("authorization") != f"Bearer {TOKEN}":
            said = f"Invalid credentials: {self.headers.get('authorization')}"
            return 401, json.dumps({"error": said}).encode(), {"x-error-message": said}
        for pattern, method in ROUTES.items():
            found = re.fullmatch(pattern, f"{self.command} {path}")
            if found:
                values = [unquote(value) for value in found.groups()]
                try:
                    return method(self, *values, body)
                except KeyError as error:
                    code = "RepoNotFound" if values[:1] == list(error.args) else "RevisionNotFound"
                    return 404, b'{"error":"not found"}', {"x-error-code": code}
        return 404, b'{"error":"no such route"}', {}

    def blob(self, path: str, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        oid = path.split("/")[2]
        if self.command == "PUT":
            if hashlib.sha256(body).hexdigest() != oid:
                return 400, b"{}", {}
            self.hub.blobs[oid] = body
            return 200, b"", {}
        return 200, self.hub.blobs[oid], {"etag": f'"{oid}"'}

    def refs(self, name: str, _: bytes) -> tuple[int, bytes, dict[str, str]]:
        branches = self.hub.repos[name].branches
        listed = [{"name": b, "ref": f"refs/heads/{b}", "targetCommit": oid} for b, oid in branches.items()]
        return done({"branches": listed, "converts": [], "tags": []})

    def create(self, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        asked = json.loads(body)
        name = f"{asked['organization']}/{asked['name']}"
        if name in self.hub.repos:
            said = {"error": "You already created this model repo", "url": f"{self.hub.endpoint}/{name}"}
            return 409, json.dumps(said).encode(), {}
        self.hub.repos[name] = Repo()
        self.hub.repos[name].add("main", {".gitattributes": b"*.safetensors filter=lfs\n"})
        return done({"url": f"{self.hub.endpoint}/{name}", "private": asked.get("visibility")})

    def validate(self, _: bytes) -> tuple[int, bytes, dict[str, str]]:
        return done({"errors": [], "warnings": []})

    def branch(self, name: str, branch: str, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        branches = self.hub.repos[name].branches
        if branch in branches:
            return 409, b'{"error":"Reference already exists"}', {}
        start = json.loads(body).get("startingPoint", "main")
        branches[branch] = branches.get(start, start)
        return done({})

    def tree(self, name: str, revision: str, _: bytes) -> tuple[int, bytes, dict[str, str]]:
        entries = [entry(path, payload) for path, payload in sorted(self.files(name, revision).items())]
        return done(entries)

    def preupload(self, name: str, revision: str, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        there = self.files(name, revision)
        ignored = there.get(".gitignore", b"").decode().split()
        return done(
            {
                "files": [
                    {
                        "path": file["path"],
                        "uploadMode": "lfs" if large(file["path"]) else "regular",
                        "shouldIgnore": file["path"] in ignored,
                        "oid": entry(file["path"], there[file["path"]])["oid"] if file["path"] in there else None,
                    }
                    for file in json.loads(body)["files"]
                ]
            }
        )

    def batch(self, name: str, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        objects = []
        for item in json.loads(body)["objects"]:
            action = {"upload": {"href": f"{self.hub.endpoint}/lfs/{item['oid']}?signature=secret-signature"}}
            objects.append(item if item["oid"] in self.hub.blobs else {**item, "actions": action})
        return done({"transfer": "basic", "objects": objects})

    def commit(self, name: str, branch: str, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        repo = self.hub.repos[name]
        files = dict(repo.commits[repo.branches[branch]])
        for line in body.splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "header" and value.get("parentCommit") not in (None, repo.branches[branch]):
                return 412, b'{"error":"A commit has happened since. Please refresh and try again."}', {}
            if item["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif item["key"] == "lfsFile":
                files[value["path"]] = self.hub.blobs[value["oid"]]
            elif item["key"] == "deletedFile":
                del files[value["path"]]
        oid = repo.add(branch, files)
        return done({"commitUrl": f"{self.hub.endpoint}/{name}/commit/{oid}", "commitOid": oid})

    def resolve(self, name: str, revision: str, path: str, _: bytes) -> tuple[int, bytes, dict[str, str]]:
        files = self.files(name, revision)
        if path not in files:
            return 404, b"", {"x-error-code": "EntryNotFound"}
        headers = {"x-repo-commit": revision, "etag": f'"{entry(path, files[path])["oid"]}"'}
        if not large(path):
            return 200, files[path], headers
        oid = hashlib.sha256(files[path]).hexdigest()
        self.hub.blobs.setdefault(oid, files[path])
        return 302, b"", {**headers, "location": f"{self.hub.endpoint}/cdn/{oid}?signature=secret-signature"}

    def files(self, name: str, revision: str) -> dict[str, bytes]:
        repo = self.hub.repos[name]
        return repo.commits[repo.branches.get(revision, revision)]


REPO = r"([^/]+/[^/]+)"
ROUTES: dict[str, Callable[..., tuple[int, bytes, dict[str, str]]]] = {
    rf"GET /api/models/{REPO}/refs": Handler.refs,
    r"POST /api/repos/create": Handler.create,
    r"POST /api/validate-yaml": Handler.validate,
    rf"POST /api/models/{REPO}/branch/([^/]+)": Handler.branch,
    rf"GET /api/models/{REPO}/tree/([^/]+)": Handler.tree,
    rf"POST /api/models/{REPO}/preupload/([^/]+)": Handler.preupload,
    rf"POST /{REPO}\.git/info/lfs/objects/batch": Handler.batch,
    rf"POST /api/models/{REPO}/commit/([^/]+)": Handler.commit,
    rf"GET /{REPO}/resolve/([^/]+)/(.+)": Handler.resolve,
}


def done(value: Any) -> tuple[int, bytes, dict[str, str]]:
    """Return a good answer."""
    return 200, json.dumps(value).encode(), {}


def large(path: str) -> bool:
    """Tell whether a file goes through LFS."""
    return path.endswith(".safetensors")


def entry(path: str, payload: bytes) -> dict[str, Any]:
    """Return a file of a tree as the Hub lists it."""
    blob = hashlib.sha1(b"blob %d\0" % len(payload) + payload, usedforsecurity=False).hexdigest()
    found: dict[str, Any] = {"type": "file", "path": path, "size": len(payload), "oid": blob}
    if large(path):
        found["lfs"] = {"oid": hashlib.sha256(payload).hexdigest(), "size": len(payload), "pointerSize": 130}
    return found
