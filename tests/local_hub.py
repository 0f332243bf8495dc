"""
A Hugging Face Hub on loopback, so that publishing is tested through the real client and the real protocol.

    with LocalHub(tokens={"hf_write": ("alice", "write"), "hf_read": ("bob", "read")}) as hub:
        subprocess.run([...], env={**os.environ, **hub.env("hf_write", home=tmp_path)})
        hub.files("alice/model")

Hugging Face libraries read their environment once, at import: the client has to be another process. The hub answers
what huggingface_hub 2, transformers 5 and datasets 5 ask for when they create, upload (LFS, or Xet), commit, list and
download. Knows nothing about models, branches, pull requests or web pages.
"""

import base64
import hashlib
import importlib
import json
import re
import shutil
import struct
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

import yaml


BINARY_SUFFIXES = (
    ".safetensors",
    ".bin",
    ".parquet",
    ".arrow",
    ".jpg",
    ".jpeg",
    ".png",
    ".webp",
    ".npz",
    ".pt",
    ".onnx",
)
LFS_SIZE = 10 * 1024 * 1024
ID = r"(?P<id>[^/]+/[^/]+)"
API = rf"/api/(?P<kind>models|datasets|spaces)/{ID}"
PAGE = rf"/(?:(?P<kind>datasets|spaces)/)?{ID}"


class HubError(Exception):
    """An answer other than 2xx: status, the Hub's own error code, message, and the commit where one is concerned."""

    def __init__(self, status: int, message: str, code: str | None = None, commit: str | None = None) -> None:
        super().__init__(message)
        headers = {"X-Error-Message": message, "X-Error-Code": code, "X-Repo-Commit": commit}
        self.status, self.headers = status, {name: value for name, value in headers.items() if value}


@dataclass(frozen=True)
class HubFile:
    """A file of a commit. Git keeps a pointer in place of an LFS file; `oid` is the hash of what Git keeps."""

    sha256: str
    size: int
    is_lfs: bool
    pointer_size: int
    oid: str

    @classmethod
    def of(cls, sha256: str, size: int, content: bytes | None = None) -> Self:
        """`content` is left out for an LFS file."""
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()
        kept = pointer if content is None else content
        oid = hashlib.sha1(b"blob %d\0" % len(kept) + kept).hexdigest()
        return cls(sha256, size, content is None, len(pointer), oid)

    @property
    def etag(self) -> str:
        return self.sha256 if self.is_lfs else self.oid


@dataclass(frozen=True)
class Commit:
    oid: str
    files: dict[str, HubFile]
    title: str
    date: str


class Repo:
    def __init__(self, id_: str, is_private: bool, sdk: str | None) -> None:
        self.id, self.is_private, self.sdk, self.is_gated = id_, is_private, sdk, False
        self.commits: list[Commit] = []  # of `main`, oldest first
        self.commit({}, "initial commit")

    def commit(self, files: dict[str, HubFile], title: str) -> Commit:
        oid = hashlib.sha1(f"{self.id} {len(self.commits)} {time.time_ns()}".encode()).hexdigest()
        self.commits.append(Commit(oid, files, title, time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())))
        return self.commits[-1]

    def resolve(self, revision: str) -> Commit:
        if revision in ("main", "refs/heads/main"):
            return self.commits[-1]
        for commit in self.commits:
            if len(revision) >= 7 and commit.oid.startswith(revision):
                return commit
        raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")


class BlobStore:
    """File contents by their sha256. Xet uploads leave theirs in `cas/`, from where they are fetched when asked."""

    def __init__(self, root: Path) -> None:
        self.root, self.cas = root, root / "cas"
        (root / "blobs").mkdir(parents=True, exist_ok=True)

    def add(self, content: bytes) -> str:
        sha256 = hashlib.sha256(content).hexdigest()
        unfinished = self.root / "blobs" / f".{sha256}.{threading.get_ident()}"
        unfinished.write_bytes(content)
        unfinished.replace(self.root / "blobs" / sha256)
        return sha256

    def path(self, sha256: str) -> Path:
        path = self.root / "blobs" / sha256
        if not path.exists() and (found := self._find_in_cas(sha256)):
            self._fetch_from_cas(*found, path)
        return path

    def _find_in_cas(self, sha256: str) -> tuple[Path, str, int] | None:
        """The store, Xet hash and size of a file, read from the shards that the client wrote (48 bytes a record)."""
        for shard in self.cas.glob("*/**/shards/*.mdb"):
            data, start = shard.read_bytes(), 48
            while start + 48 <= len(data) and data[start : start + 32] != b"\xff" * 32:
                flags, num_segments = struct.unpack_from("<II", data, start + 32)
                end = start + 48 * (1 + num_segments * (2 if flags & 0x80000000 else 1))
                if flags & 0x40000000:
                    found, xet_hash = (
                        "".join(f"{word:016x}" for word in struct.unpack_from("<4Q", data, at)) for at in (end, start)
                    )
                    if found == sha256:
                        sizes = (struct.unpack_from("<I", data, start + 84 + 48 * i)[0] for i in range(num_segments))
                        return self.cas / shard.relative_to(self.cas).parts[0], xet_hash, sum(sizes)
                    end += 48
                start = end
        return None

    @staticmethod
    def _fetch_from_cas(store: Path, xet_hash: str, size: int, path: Path) -> None:
        hf_xet: Any = importlib.import_module("hf_xet")  # only where Xet is asked for; its type stubs lag behind
        with tempfile.TemporaryDirectory() as copy:  # the client still holds the lock of its own database
            shutil.copytree(store, copy, dirs_exist_ok=True)
            with hf_xet.XetSession().new_file_download_group(endpoint=f"local://{copy}") as group:
                group.start_download_file(hf_xet.XetFileInfo(xet_hash, size), str(path))


class LocalHub:
    """A server that runs while the context is open. `tokens` gives user names and roles, `"read"` or `"write"`."""

    def __init__(self, tokens: dict[str, tuple[str, str]] | None = None, xet: bool = False) -> None:
        self.tokens = tokens or {"hf_write": ("alice", "write")}
        self.folder = tempfile.TemporaryDirectory(prefix="local_hub_")
        self.blobs = BlobStore(Path(self.folder.name))
        self.xet = xet
        self.repos: dict[tuple[str, str], Repo] = {}
        self.log: list[str] = []  # "POST /api/..." in the order of arrival
        # (method, path regex, status), each for one request; a negative status is the answer to what was carried out
        self.faults: list[tuple[str, str, int]] = []
        self.bytes_sent: Counter[str] = Counter()  # by path, headers not counted
        self.lock = threading.RLock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("BoundHandler", (Handler,), {"hub": self}))
        self.server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.folder.cleanup()

    def env(self, token: str | None, home: Path) -> dict[str, str]:
        """Environment of a client process."""
        return {
            "HF_ENDPOINT": self.endpoint,
            "HF_HOME": str(home),
            "HF_TOKEN": token or "",
            "HF_HUB_DISABLE_XET": "0" if self.xet else "1",
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_UPDATE_CHECK": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        }

    def files(self, id_: str, kind: str = "model", revision: str = "main") -> dict[str, bytes]:
        """Contents of a repository by path."""
        commit = self.repos[kind, id_].resolve(revision)
        return {path: self.blobs.path(file.sha256).read_bytes() for path, file in sorted(commit.files.items())}

    def create(self, kind: str, id_: str) -> Repo:
        """A repository that is there before any client comes."""
        self.repos[kind, id_] = Repo(id_, is_private=False, sdk=None)
        return self.repos[kind, id_]

    def readable(self, kind: str, id_: str, user: tuple[str, str] | None) -> Repo:
        repo = self.repos.get((kind, id_))
        if repo is None or (repo.is_private and (user is None or user[0] != id_.split("/")[0])):
            raise HubError(401 if user is None else 404, "Repository not found", "RepoNotFound")
        if repo.is_gated and (user is None or user[0] != id_.split("/")[0]):
            raise HubError(401 if user is None else 403, "Access to this repository is restricted", "GatedRepo")
        return repo

    @staticmethod
    def require_write(user: tuple[str, str] | None, namespace: str) -> None:
        if user is None:
            raise HubError(401, "Invalid username or password.")
        if user != (namespace, "write"):
            raise HubError(403, f"You don't have the rights to create or write under the namespace {namespace!r}")


ROUTES: list[tuple[str, re.Pattern[str], Callable[..., None]]] = []


def route(method: str, pattern: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def register(function: Callable[..., None]) -> Callable[..., None]:
        ROUTES.append((method, re.compile(pattern), function))
        return function

    return register


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    answer_lost = False
    hub: LocalHub

    def log_message(self, format: str, *args: object) -> None:
        pass

    def reply(self, answer: Any = b"", status: int = 200, headers: dict[str, str] | None = None) -> None:
        if self.answer_lost and status < 400:
            raise HubError(502, "injected fault")
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        default = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        for name, value in {**default, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.hub.bytes_sent[urlsplit(self.path).path] += len(body)
            self.wfile.write(body)

    def handle_request(self) -> None:
        url = urlsplit(self.path)
        self.query = parse_qs(url.query)
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.hub.log.append(f"{self.command} {self.path}")
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
        try:
            with self.hub.lock:
                fault = self._take_fault(url.path)
                if fault is not None and fault > 0:
                    raise HubError(fault, "injected fault")
                if token and token not in self.hub.tokens:
                    raise HubError(401, "Invalid user token.")
                self.user = self.hub.tokens.get(token) if token else None
                self.answer_lost = fault is not None
                self._dispatch(url.path)
        except HubError as error:
            self.reply({"error": str(error)}, error.status, error.headers)

    do_GET = do_HEAD = do_POST = do_PUT = handle_request

    def _take_fault(self, path: str) -> int | None:
        for position, (method, pattern, status) in enumerate(self.hub.faults):
            if method == self.command and re.search(pattern, path):
                del self.hub.faults[position]
                return status
        return None

    def _dispatch(self, path: str) -> None:
        method = "GET" if self.command == "HEAD" else self.command
        for accepted, pattern, function in ROUTES:
            if accepted == method and (match := pattern.fullmatch(path)):
                groups = {name: unquote(value) if value else "" for name, value in match.groupdict().items()}
                if "kind" in groups:
                    groups["kind"] = groups["kind"].removesuffix("s") or "model"
                return function(self, **groups)
        raise HubError(404, f"No route for {self.command} {path}")

    def _writable(self, kind: str, id_: str) -> Repo:
        repo = self.hub.readable(kind, id_, self.user)
        self.hub.require_write(self.user, id_.split("/")[0])
        return repo

    def _page(self, kind: str, id_: str) -> str:
        return f"{self.hub.endpoint}/{'' if kind == 'model' else kind + 's/'}{id_}"

    @route("GET", "/api/whoami-v2")
    def whoami(self) -> None:
        if self.user is None:
            raise HubError(401, "Invalid username or password.")
        name, role = self.user
        access = {"accessToken": {"displayName": "token", "role": role}}
        self.reply({"type": "user", "id": name, "name": name, "fullname": name, "orgs": [], "auth": access})

    @route("POST", "/_faults")
    def inject_faults(self) -> None:
        """For a client process that wants them between two of its own steps; replaces those that did not strike."""
        self.hub.faults[:] = [(method, pattern, status) for method, pattern, status in json.loads(self.body)]
        self.reply({})

    @route("POST", "/api/validate-yaml")
    def validate_yaml(self) -> None:
        self.reply({"errors": [], "warnings": []})

    @route("POST", "/api/repos/create")
    def create_repo(self) -> None:
        asked = json.loads(self.body)
        namespace = asked.get("organization") or (self.user[0] if self.user else "")
        kind, id_ = asked.get("type") or "model", f"{namespace}/{asked['name']}"
        self.hub.require_write(self.user, namespace)
        if (kind, id_) in self.hub.repos:
            return self.reply({"error": "You already created this repo", "url": self._page(kind, id_)}, 409)
        is_private = asked.get("visibility") == "private" or bool(asked.get("private"))
        self.hub.repos[kind, id_] = Repo(id_, is_private, asked.get("sdk"))
        self.reply({"url": self._page(kind, id_), "id": id_, "name": id_})

    @route("POST", rf"{PAGE}\.git/info/lfs/objects/batch")
    def lfs_batch(self, kind: str, id: str) -> None:
        self._writable(kind, id)
        objects = []
        for item in json.loads(self.body)["objects"]:
            upload = {"actions": {"upload": {"href": f"{self.hub.endpoint}/_lfs/{item['oid']}"}}}
            is_known = self.hub.blobs.path(item["oid"]).exists()
            objects.append({"oid": item["oid"], "size": item["size"], **({} if is_known else upload)})
        self.reply({"transfer": "basic", "objects": objects})

    @route("PUT", "/_lfs/(?P<sha256>[0-9a-f]{64})")
    def lfs_upload(self, sha256: str) -> None:
        if self.hub.blobs.add(self.body) != sha256:
            raise HubError(400, "The content does not have the sha256 it was announced with")
        self.reply(headers={"ETag": f'"{sha256}"'})

    @route("GET", f"{API}/xet-write-token/.+")
    def xet_write_token(self, kind: str, id: str) -> None:
        self._writable(kind, id)
        # a store a token: its database is locked by the client that writes it
        store, expiry = f"local://{self.hub.blobs.cas / uuid.uuid4().hex}", int(time.time()) + 3600
        headers = {"X-Xet-Cas-Url": store, "X-Xet-Access-Token": "local", "X-Xet-Token-Expiration": str(expiry)}
        self.reply({"casUrl": store, "exp": expiry, "accessToken": "local"}, headers=headers)

    @route("POST", f"{API}/preupload/(?P<revision>[^/]+)")
    def preupload(self, kind: str, id: str, revision: str) -> None:
        present = self._writable(kind, id).resolve(revision).files
        files = []
        for asked in json.loads(self.body)["files"]:
            path, known = asked["path"], present.get(asked["path"])
            is_lfs = asked["size"] >= LFS_SIZE or path.lower().endswith(BINARY_SUFFIXES)
            answer = {"path": path, "uploadMode": "lfs" if is_lfs else "regular", "shouldIgnore": False}
            files.append({**answer, "oid": known.etag if known else None})
        self.reply({"files": files})

    @route("POST", f"{API}/commit/(?P<revision>[^/]+)")
    def commit(self, kind: str, id: str, revision: str) -> None:
        repo = self._writable(kind, id)
        parent = repo.resolve(revision)
        files, title = dict(parent.files), ""
        for line in self.body.splitlines():
            operation = json.loads(line)
            value = operation["value"]
            match operation["key"]:
                case "header":
                    title = value["summary"]
                    if value.get("parentCommit") and not parent.oid.startswith(value["parentCommit"]):
                        raise HubError(412, "The commit parent is not the latest commit")
                case "file":
                    content = base64.b64decode(value["content"])
                    files[value["path"]] = HubFile.of(self.hub.blobs.add(content), len(content), content)
                case "lfsFile":
                    blob = self.hub.blobs.path(value["oid"])
                    if not blob.exists():
                        raise HubError(422, f"LFS object {value['oid']} was never uploaded")
                    files[value["path"]] = HubFile.of(value["oid"], blob.stat().st_size)
                case "deletedFile":
                    if files.pop(value["path"], None) is None:
                        raise HubError(404, "A file with this name doesn't exist", "EntryNotFound")
                case "deletedFolder":
                    prefix = value["path"].rstrip("/") + "/"
                    files = {path: file for path, file in files.items() if not path.startswith(prefix)}
        commit = repo.commit(files, title)
        url = f"{self._page(kind, id)}/commit/{commit.oid}"
        self.reply({"success": True, "commitOid": commit.oid, "commitUrl": url, "hookOutput": ""})

    @route("GET", f"{API}(?:/revision/(?P<revision>[^/]+))?")
    def info(self, kind: str, id: str, revision: str) -> None:
        repo = self.hub.readable(kind, id, self.user)
        commit = repo.resolve(revision or "main")
        siblings = [{"rfilename": path} for path in sorted(commit.files)]
        answer = {
            **{"_id": id, "id": id, "author": id.split("/")[0], "sha": commit.oid, "private": repo.is_private},
            **{"gated": False, "disabled": False, "downloads": 0, "likes": 0, "tags": [], "siblings": siblings},
            **{"createdAt": commit.date, "lastModified": commit.date, "sdk": repo.sdk},
        }
        if readme := commit.files.get("README.md"):
            if header := re.match(rb"---\r?\n(.*?)\r?\n---", self.hub.blobs.path(readme.sha256).read_bytes(), re.S):
                answer["cardData"] = yaml.safe_load(header[1])
        self.reply(answer)

    @staticmethod
    def _listing(commit: Commit, folder: str = "", is_recursive: bool = True) -> list[dict[str, Any]]:
        prefix = folder.rstrip("/") + "/" if folder else ""
        folders, files = set(), []
        for path, file in sorted(commit.files.items()):
            if not path.startswith(prefix):
                continue
            *parents, _ = path.removeprefix(prefix).split("/")
            depths = range(1, len(parents) + 1) if is_recursive else range(1, min(1, len(parents)) + 1)
            folders.update(prefix + "/".join(parents[:depth]) for depth in depths)
            if is_recursive or not parents:
                lfs = {"oid": file.sha256, "size": file.size, "pointerSize": file.pointer_size}
                entry = {"type": "file", "path": path, "size": file.size, "oid": file.oid}
                files.append(entry | ({"lfs": lfs} if file.is_lfs else {}))
        if folder and not files and not folders:
            raise HubError(404, f"{folder} does not exist", "EntryNotFound")
        return [{"type": "directory", "path": path, "size": 0, "oid": "0" * 40} for path in sorted(folders)] + files

    @route("GET", f"{API}/tree/(?P<revision>[^/]+)(?:/(?P<folder>.+))?")
    def tree(self, kind: str, id: str, revision: str, folder: str) -> None:
        commit = self.hub.readable(kind, id, self.user).resolve(revision)
        is_recursive = self.query.get("recursive", ["false"])[0].lower() in ("true", "1")
        self.reply(self._listing(commit, folder, is_recursive))

    @route("POST", f"{API}/paths-info/(?P<revision>[^/]+)")
    def paths_info(self, kind: str, id: str, revision: str) -> None:
        is_json = "json" in self.headers.get("Content-Type", "")
        asked = json.loads(self.body) if is_json else parse_qs(self.body.decode())
        entries = self._listing(self.hub.readable(kind, id, self.user).resolve(revision))
        self.reply([entry for entry in entries if entry["path"] in asked.get("paths", [])])

    @route("GET", f"{PAGE}/(?:resolve|raw)/(?P<revision>[^/]+)/(?P<path>.+)")
    def download(self, kind: str, id: str, revision: str, path: str) -> None:
        commit = self.hub.readable(kind, id, self.user).resolve(revision)
        file = commit.files.get(path)
        if file is None:
            raise HubError(404, "Entry not found", "EntryNotFound", commit.oid)
        headers = {"X-Repo-Commit": commit.oid, "ETag": f'"{file.etag}"', "Accept-Ranges": "bytes"}
        headers |= {"Content-Type": "application/octet-stream", "Last-Modified": formatdate(usegmt=True)}
        if file.is_lfs:
            headers |= {"X-Linked-Etag": f'"{file.sha256}"', "X-Linked-Size": str(file.size)}
        if self.command == "HEAD":
            return self.reply(headers={**headers, "Content-Length": str(file.size)})
        first, last, status = 0, file.size - 1, 200
        if asked := re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", "")):
            first = int(asked[1]) if asked[1] else max(0, file.size - int(asked[2]))
            last = min(int(asked[2]) if asked[1] and asked[2] else file.size - 1, file.size - 1)
            if first >= file.size:
                return self.reply(status=416, headers={"Content-Range": f"bytes */{file.size}"})
            headers["Content-Range"], status = f"bytes {first}-{last}/{file.size}", 206
        with self.hub.blobs.path(file.sha256).open("rb") as content:
            content.seek(first)
            self.reply(content.read(last - first + 1), status, headers)
