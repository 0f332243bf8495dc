"""Units of the Hub, through the real client in a process of its own, of the web, and of what `fsspec` knows."""

import io
import json
import os
import subprocess
import sys
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pyarrow as pa
import pytest
from local_hub import HubFile, LocalHub
from pyarrow import parquet
from unit_rows import make_files, paths_of, rows_of

from hf_aesthetics.images import ImageReadError
from hf_aesthetics.sources import PathList, units


ROOT = Path(__file__).parents[2]
PROGRAM = """
import io, json, sys
from unit_rows import rows_of
from hf_aesthetics.sources import PathList, units

told = {}

def attempt(name, *sources, **options):
    try:
        found = list(units(sources, **options))
        rows = [{**row, "image": row["image"] and row["image"].decode()} for row in rows_of(found)]
        told[name] = {"keys": [unit.key for unit in found], "rows": rows}
    except (OSError, ValueError) as error:
        told[name] = f"{type(error).__name__}: {error}"

parks = "hf://datasets/alice/parks"
attempt("whole", parks)
attempt("folder", f"{parks}/lakes")
attempt("file", f"{parks}/a.jpg")
attempt("pattern", f"{parks}/**/*.parquet", keep_columns=["caption"])
attempt("range", parks + "/lakes/{0..1}.jpg")
attempt("first", f"{parks}@{sys.argv[1]}")
attempt("list", PathList(io.BytesIO(f"{parks}/a.jpg\\n{parks}/gone.jpg\\n".encode())))
attempt("no repository", "hf://datasets/alice/nothing")
attempt("gated", "hf://datasets/alice/gated")
attempt("no revision", f"{parks}@v2")
attempt("no file", f"{parks}/gone")
attempt("no match", f"{parks}/*.zip")
attempt("no name", "hf://datasets/alice")
told["local keys"] = [unit.key for unit in units(".")]
print(json.dumps(told))
"""


def zipped(**members: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, member in members.items():
            archive.writestr(f"{name}.jpg", member)
    return content.getvalue()


def tarred(**members: bytes) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, member in members.items():
            info = tarfile.TarInfo(f"{name}.jpg")
            info.size = len(member)
            archive.addfile(info, io.BytesIO(member))
    return content.getvalue()


def table(**columns: list) -> bytes:
    content = io.BytesIO()
    parquet.write_table(pa.table(columns), content)
    return content.getvalue()


FILES = {
    ".gitattributes": b"hidden",
    "README.md": b"a card",
    "a.jpg": b"a",
    "data/train.parquet": table(
        image=[{"bytes": b"t", "path": None}, {"bytes": None, "path": "../a.jpg"}], caption=["c", "d"]
    ),
    "lakes/0.jpg": b"lake 0",
    "lakes/1.jpg": b"lake 1",
    "lakes/deep/été.jpg": b"deep",
    "shard.tar": tarred(x=b"in a tar"),
}
NAMES = {
    "a.jpg": "a",
    "lakes/0.jpg": "lake 0",
    "lakes/1.jpg": "lake 1",
    "lakes/deep/été.jpg": "deep",
    "shard.tar/x.jpg": "in a tar",
    "data/train.parquet#0": "t",
    "data/train.parquet#1": "a",
}
PARKS = "hf://datasets/alice/parks"


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """What a process was told by the Hub, and the keys of a folder in this process, which has another hash seed."""
    work = tmp_path_factory.mktemp("work")
    make_files(work / "album", "a.jpg", "sub/é.png").joinpath("in.zip").write_bytes(zipped(z=b"zipped"))
    with LocalHub() as hub:
        repo = hub.create("dataset", "alice/parks")

        def commit(files: dict[str, bytes]) -> str:
            stored = {name: HubFile.of(hub.blobs.add(file), len(file), file) for name, file in files.items()}
            return repo.commit(stored, "pictures").oid

        first = commit({"a.jpg": b"at first", "lakes/0.jpg": b"lake 0"})
        commit(FILES)
        hub.create("dataset", "alice/gated").is_gated = True
        paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
        env = {**os.environ, **hub.env(None, work / "home"), "PYTHONPATH": paths, "PYTHONHASHSEED": "7"}
        command = [sys.executable, "-c", PROGRAM, first]
        done = subprocess.run(command, cwd=work / "album", env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-4000:]
        yield json.loads(done.stdout.splitlines()[-1]), work / "album", hub


def test_a_repository_is_a_folder_with_everything_in_it(hub):
    told, *_ = hub
    rows = {row["path"].removeprefix(f"{PARKS}/"): row["image"] for row in told["whole"]["rows"]}
    assert rows == NAMES and len(told["whole"]["rows"]) == len(NAMES) and len(set(told["whole"]["keys"])) == 3
    assert all(row["error"] is None for row in told["whole"]["rows"])


def test_a_part_of_a_repository_is_a_source(hub):
    told, *_ = hub
    lakes = [name for name in NAMES if name.startswith("lakes")]
    for name, expected in {"folder": lakes, "file": ["a.jpg"], "range": lakes[:2]}.items():
        assert [row["path"] for row in told[name]["rows"]] == [f"{PARKS}/{path}" for path in expected]
        assert [row["image"] for row in told[name]["rows"]] == [NAMES[path] for path in expected]
    assert [(row["image"], row["caption"]) for row in told["pattern"]["rows"]] == [("t", "c"), ("a", "d")]


def test_an_earlier_revision_is_what_it_was(hub):
    told, *_ = hub
    assert {row["image"] for row in told["first"]["rows"]} == {"at first", "lake 0"}
    assert all("@" in row["path"] and not row["error"] for row in told["first"]["rows"])


def test_what_the_hub_lacks_is_told_before_the_first_unit_or_in_its_row(hub):
    told, *_ = hub
    gone = told["list"]["rows"][1]
    assert told["list"]["rows"][0]["image"] == "a" and (gone["path"], gone["image"]) == (f"{PARKS}/gone.jpg", None)
    assert gone["error"] == f"Cannot read '{PARKS}/gone.jpg': there is no such file or folder. Check the path."
    assert told["no file"] == f"ImageReadError: Cannot read '{PARKS}/gone': there is no such file or folder. " + (
        "Check the path."
    )
    assert told["no match"].startswith(f"ImageReadError: Cannot read '{PARKS}/*.zip': no picture, archive or table")
    assert "Cannot read the dataset alice/nothing: no such dataset that you may read." in told["no repository"]
    assert "Cannot read the dataset alice/gated: it is gated. Ask for access at" in told["gated"]
    assert "Cannot read the dataset alice/parks: no such commit, branch or tag as 'v2'." in told["no revision"]
    assert "Cannot read 'hf://datasets/alice': Invalid HF URI" in told["no name"]
    assert not any("\n" in message for message in told.values() if isinstance(message, str))


def test_keys_are_the_same_in_every_process_and_follow_size_and_time(hub, monkeypatch):
    told, album, _ = hub
    monkeypatch.chdir(album)
    keys = [unit.key for unit in units(".")]
    assert keys == told["local keys"] and len(set(keys)) == 2
    assert all(len(key) == 16 and set(key) <= set("0123456789abcdef") for key in keys)
    assert {unit.key for unit in units(".", keep_columns=["url"])}.isdisjoint(keys)
    now = os.stat("a.jpg").st_mtime_ns
    os.utime("a.jpg", ns=(now, now + 1))
    archive, pictures = (unit.key for unit in units("."))
    assert archive == keys[0] and pictures != keys[1]


def test_any_file_system_of_fsspec_is_a_source():
    memory = fsspec.filesystem("memory")
    for name, content in {**FILES, "in.zip": zipped(z=b"zipped")}.items():
        memory.pipe(f"/parks/{name}", content)
    rows = rows_of(units("memory://parks"))
    found = {row["path"].removeprefix("memory://parks/"): row["image"] for row in rows}
    assert found == {name: image.encode() for name, image in NAMES.items()} | {"in.zip/z.jpg": b"zipped"}
    assert paths_of(units("memory://parks/lakes/*.jpg")) == [f"memory://parks/lakes/{number}.jpg" for number in (0, 1)]
    keys = [unit.key for unit in units("memory://parks")]
    memory.pipe("/parks/shard.tar", tarred(x=b"another"))
    changed = [unit.key for unit in units("memory://parks")]
    assert sum(before != after for before, after in zip(keys, changed, strict=True)) == 1
    with pytest.raises(ImageReadError, match="Cannot read 'memory://nothing': there is no such file or folder"):
        units("memory://nothing")


class Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        content = {"/a.jpg": b"picture", "/b.tar": tarred(x=b"in a tar")}.get(self.path.partition("?")[0])
        status = 404 if content is None else 500 if "broken" in self.path else 200
        self.send_response(status)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content or b"")

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_the_web_is_a_source():
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        host = f"http://127.0.0.1:{server.server_address[1]}"
        rows = rows_of(units([f"{host}/a.jpg?size=large", f"{host}/b.tar"]))
        listed = [f"{host}/{name}" for name in ("a.jpg", "gone.jpg", "a.jpg?broken")]
        rows += rows_of(units(PathList(line.encode() + b"\n" for line in listed)))
        with pytest.raises(ImageReadError, match=r"Cannot read 'http://.*/gone\.jpg': there is no such file"):
            units(f"{host}/gone.jpg")
        server.shutdown()
    assert [row["image"] for row in rows] == [b"in a tar", b"picture", b"picture", None, None]
    assert rows[0]["path"] == f"{host}/b.tar/x.jpg"
    assert rows[3]["error"] == f"Cannot read '{host}/gone.jpg': there is no such file or folder. Check the path."
    assert rows[4]["error"].startswith(f"Cannot read '{host}/a.jpg?broken': the file is damaged, or the connection")
