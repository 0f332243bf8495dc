"""The local Hub refuses what the Hub refuses: otherwise a test of publishing would prove nothing."""

import base64
import hashlib
import json
import urllib.error
import urllib.request

import pytest
from local_hub import LocalHub


@pytest.fixture
def hub():
    with LocalHub(tokens={"hf_write": ("alice", "write"), "hf_read": ("alice", "read")}) as hub:
        yield hub


def ask(hub: LocalHub, method: str, path: str, body: bytes = b"", token: str | None = "hf_write", **headers: str):
    """Status, headers and content of an answer."""
    headers |= {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(hub.endpoint + path, data=body or None, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def commit(hub: LocalHub, id_: str, files: dict[str, bytes], parent: str | None = None):
    lines = [{"key": "header", "value": {"summary": "change", **({"parentCommit": parent} if parent else {})}}]
    for path, content in files.items():
        value = {"path": path, "content": base64.b64encode(content).decode(), "encoding": "base64"}
        lines.append({"key": "file", "value": value})
    return ask(hub, "POST", f"/api/models/{id_}/commit/main", "\n".join(map(json.dumps, lines)).encode())


@pytest.fixture
def repo(hub) -> str:
    status, *_ = ask(hub, "POST", "/api/repos/create", json.dumps({"name": "model", "visibility": "private"}).encode())
    assert status == 200
    return "alice/model"


def test_commits_are_files_by_revision(hub, repo):
    first = json.loads(commit(hub, repo, {"a.txt": b"one", "b/c.txt": b"two"})[2])["commitOid"]
    commit(hub, repo, {"a.txt": b"changed"})
    assert hub.files(repo) == {"a.txt": b"changed", "b/c.txt": b"two"}
    assert hub.files(repo, revision=first) == {"a.txt": b"one", "b/c.txt": b"two"}
    status, headers, content = ask(hub, "GET", f"/{repo}/resolve/{first}/a.txt")
    assert (status, content, headers["X-Repo-Commit"]) == (200, b"one", first)
    assert headers["ETag"] == f'"{hashlib.sha1(b"blob 3" + bytes(1) + b"one").hexdigest()}"'
    status, headers, content = ask(hub, "GET", f"/{repo}/resolve/main/a.txt", Range="bytes=2-4")
    assert (status, content, headers["Content-Range"]) == (206, b"ang", "bytes 2-4/7")
    listed = json.loads(ask(hub, "GET", f"/api/models/{repo}/tree/main")[2])
    assert [(entry["type"], entry["path"]) for entry in listed] == [("directory", "b"), ("file", "a.txt")]


def test_a_stale_parent_is_refused(hub, repo):
    old = json.loads(commit(hub, repo, {"a.txt": b"one"})[2])["commitOid"]
    assert commit(hub, repo, {"a.txt": b"two"}, parent=old)[0] == 200
    assert commit(hub, repo, {"a.txt": b"three"}, parent=old)[0] == 412
    assert hub.files(repo) == {"a.txt": b"two"}


def test_private_repositories_and_roles(hub, repo):
    assert ask(hub, "GET", f"/api/models/{repo}")[0] == 200
    assert ask(hub, "GET", f"/api/models/{repo}", token=None)[0] == 401
    assert ask(hub, "GET", f"/api/models/{repo}", token="hf_wrong")[0] == 401
    body = json.dumps({"name": "other"}).encode()
    assert ask(hub, "POST", "/api/repos/create", body, token="hf_read")[0] == 403
    assert ask(hub, "POST", "/api/repos/create", json.dumps({"name": "model"}).encode())[0] == 409


def test_missing_things_are_named(hub, repo):
    for path, code in {
        "/alice/nothing/resolve/main/a.txt": "RepoNotFound",
        f"/{repo}/resolve/main/a.txt": "EntryNotFound",
        f"/{repo}/resolve/{'0' * 40}/a.txt": "RevisionNotFound",
    }.items():
        status, headers, _ = ask(hub, "GET", path)
        assert (status, headers["X-Error-Code"]) == (404, code)
    status, headers, _ = ask(hub, "GET", "/api/telephone")
    assert (status, headers["X-Error-Message"]) == (404, "No route for GET /api/telephone")


def test_a_fault_fails_one_request(hub, repo):
    hub.faults.append(("POST", "/commit/", 500))
    assert commit(hub, repo, {"a.txt": b"one"})[0] == 500
    assert hub.files(repo) == {}
    assert commit(hub, repo, {"a.txt": b"one"})[0] == 200


def test_large_files_must_be_uploaded_before_the_commit(hub, repo):
    oid = hashlib.sha256(b"weights").hexdigest()
    line = json.dumps({"key": "lfsFile", "value": {"path": "m.safetensors", "oid": oid, "size": 7}}).encode()
    header = json.dumps({"key": "header", "value": {"summary": "weights"}}).encode()
    assert ask(hub, "POST", f"/api/models/{repo}/commit/main", header + b"\n" + line)[0] == 422
    assert ask(hub, "PUT", f"/_lfs/{oid}", b"other")[0] == 400
    assert ask(hub, "PUT", f"/_lfs/{oid}", b"weights")[0] == 200
    assert ask(hub, "POST", f"/api/models/{repo}/commit/main", header + b"\n" + line)[0] == 200
    assert hub.files(repo) == {"m.safetensors": b"weights"}
