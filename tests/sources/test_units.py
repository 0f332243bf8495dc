"""Units of files, folders, patterns and lists, against `os.walk`, `glob` and what was planted."""

import glob
import io
import os
import shutil
import tempfile
import zipfile
from pathlib import Path

import pytest
from unit_rows import make_files, paths_of, rows_of

from hf_aesthetics.images import IMAGE_SUFFIXES, ImageReadError
from hf_aesthetics.sources import PathList, units
from hf_aesthetics.sources.unit import MAX_PICTURES, ends_unit


@pytest.fixture
def album(tmp_path) -> Path:
    names = ["b.JPG", "a.png", "notes.txt", ".hidden.jpg", "sub/ö 日本.HeIc", "sub/[1].webp", ".cache/d.jpg"]
    return make_files(tmp_path / "album", *names, "another/deep/e.tiff", "z/1.jpg", "z/2.jpg", "z/y/3.jpg")


# --- folders, patterns and lists -------------------------------------------------------------------------------------


def test_every_picture_of_a_folder_comes_once_each_folder_before_its_subfolders(album):
    rows = rows_of(units(album))
    walked = [os.path.join(folder, name) for folder, _, names in sorted(os.walk(album)) for name in sorted(names)]
    expected = [
        path
        for path in walked
        if Path(path).suffix.lower() in IMAGE_SUFFIXES and "/." not in path.removeprefix(str(album))
    ]
    assert [row["path"] for row in rows] == expected and len(expected) == 8
    assert all(row == {"path": row["path"], "image": row["path"], "error": None} for row in rows)


@pytest.mark.parametrize("source", [".", "./", "z", "z/", "./z"])
def test_paths_are_as_short_as_they_were_given(album, monkeypatch, source):
    monkeypatch.chdir(album)
    under = [os.path.join(folder, name) for folder, _, names in os.walk(source) for name in names]
    wanted = {os.path.normpath(path) for path in under if path.endswith((".jpg", ".JPG", ".png", ".tiff", ".webp"))}
    found = {path for path in paths_of(units(source)) if not path.endswith("HeIc")}
    assert found == {path for path in wanted if not path.startswith(".")}


@pytest.mark.parametrize(
    "pattern", ["*", "*/*", "**", "**/*.jpg", "z/**/*.jpg", "z/**", "[ab].*", "s?b/*", "z/*/*.jpg"]
)
def test_a_pattern_finds_the_files_that_glob_finds(album, monkeypatch, pattern):
    monkeypatch.chdir(album)
    globbed = {path for path in glob.glob(pattern, recursive=True) if Path(path).suffix.lower() in IMAGE_SUFFIXES}
    assert globbed and set(paths_of(units(pattern))) == globbed == set(paths_of(units([pattern])))
    absolute = {str(album / path) for path in globbed}
    assert set(paths_of(units(album / pattern))) == absolute


def test_names_that_look_like_patterns_are_names(album, monkeypatch):
    monkeypatch.chdir(album)
    make_files(album, "{1..3}.jpg")
    assert paths_of(units(["sub/[1].webp", "{1..3}.jpg"])) == ["sub/[1].webp", "{1..3}.jpg"]


def test_ranges_and_lists_in_braces_are_expanded_and_a_missing_member_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(make_files(tmp_path, *[f"{part}-{number:03}.jpg" for part in "ab" for number in range(8, 13)]))
    assert paths_of(units("{a,b}-{008..012}.jpg")) == sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(ImageReadError, match=r"Cannot read 'b-013\.jpg': there is no such file or folder"):
        units("b-{011..013}.jpg")


def test_folders_and_shards_come_once_however_many_ways_lead_to_them(album):
    with zipfile.ZipFile(album / "z/shard.zip", "w") as archive:
        archive.writestr("in.jpg", b"zipped")
    (album / "z/loop").symlink_to(album)
    (album / "z/link.jpg").symlink_to(album / "a.png")
    (album / "far").symlink_to(make_files(album.parent / "elsewhere", "f.jpg"))
    once = paths_of(units(album))
    assert len(once) == len(set(once)) == 11 and str(album / "far/f.jpg") in once and str(album / "z/link.jpg") in once
    assert sorted(paths_of(units([album, album / "z", album / "z/shard.zip", album]))) == sorted(once)
    assert len(paths_of(units([album / "z", album]))) == 11


@pytest.mark.parametrize("missing", ["nowhere", "nowhere.zip", "nowhere/*.jpg", "z/*.gif", "a.png/b.jpg"])
def test_a_source_that_does_not_exist_is_an_error_before_the_first_unit(album, monkeypatch, missing):
    monkeypatch.chdir(album)
    with pytest.raises(ImageReadError, match=f"Cannot read '{missing}': ".replace("*", r"\*")) as error:
        units([".", missing])
    assert "\n" not in str(error.value)


def test_a_list_is_read_once_walked_twice_and_its_missing_files_are_rows(album, monkeypatch):
    monkeypatch.chdir(album)
    make_files(album, "caf\udce9 1.jpg")
    given = io.BytesIO(b"a.png\r\n\ncaf\xe9 1.jpg\nz\n*.jpg\ngone.tar")
    paths = PathList(given)
    assert given.read() == b""
    for _ in range(2):
        rows = rows_of(units(paths))
        found = {row["path"]: row["image"] for row in rows}
        names = ["a.png", "caf\udce9 1.jpg", "z/1.jpg", "z/2.jpg", "z/y/3.jpg", "*.jpg"]
        assert found == {name: name for name in names} | {"gone.tar": None}
        assert [row["error"] for row in rows if row["error"]] == [
            "Cannot read 'gone.tar': there is no such file or folder. Check the path."
        ]


# --- units -----------------------------------------------------------------------------------------------------------


def test_a_file_more_less_or_edited_changes_one_unit(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_files(tmp_path, *[f"{folder}/{number:04}.jpg" for folder in "abc" for number in range(1000)])
    before = {unit.key: unit for unit in units(".")}
    assert 6 < len(before) < 25 and sum(unit.num_pictures for unit in before.values()) == 3000
    assert len(paths_of(before.values())) == len(set(paths_of(before.values()))) == 3000

    def changed() -> tuple[int, int]:
        after = {unit.key for unit in units(".")}
        return len(before.keys() - after), len(after - before.keys())

    middle = tmp_path / "b/0500.jpg"
    middle.write_bytes(b"edited")
    assert changed() == (1, 1)
    middle.unlink()
    assert changed() in [(1, 1), (2, 1)]
    middle.write_bytes(b"edited")
    make_files(tmp_path, "b/0500a.jpg")
    assert changed() in [(1, 1), (1, 2)]


def test_units_are_never_larger_than_the_limit(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = [name for name in (f"{number}.jpg" for number in range(3000)) if not ends_unit(name)]
    make_files(tmp_path, *names)
    sizes = [unit.num_pictures for unit in units(".")]
    assert sizes == [MAX_PICTURES] * (len(names) // MAX_PICTURES) + [len(names) % MAX_PICTURES]


def test_the_first_unit_is_there_before_the_last_folder_is_listed(tmp_path, monkeypatch):
    monkeypatch.chdir(make_files(tmp_path, *[f"a/{number}.jpg" for number in range(2000)], "b/last.jpg"))
    found = units(".")
    first = next(found)
    shutil.rmtree("b")
    rows = rows_of([first, *found])
    assert 0 < first.num_pictures <= MAX_PICTURES
    assert [row["path"] for row in rows if row["error"]] == ["b"] and len(rows) == 2001


# --- faults ----------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not read")
def test_what_may_not_be_read_is_a_row_and_all_else_is_there():
    folder = Path(tempfile.mkdtemp(prefix="album_"))
    try:
        make_files(folder, "a.jpg", "closed/b.jpg", "open/c.jpg", "open/closed.zip", "open/closed.parquet")
        folder.chmod(0o755)
        for name in ("closed", "open/closed.zip", "open/closed.parquet"):
            (folder / name).chmod(0)
        os.seteuid(65534)
        rows = {row["path"].removeprefix(f"{folder}/"): row for row in rows_of(units(folder))}
    finally:
        os.seteuid(0)
        shutil.rmtree(folder)
    assert [name for name, row in rows.items() if row["image"]] == ["a.jpg", "open/c.jpg"]
    assert rows["closed"]["error"] == (
        f"Cannot read '{folder}/closed': the folder cannot be listed (Permission denied). Check the permissions."
    )
    for name in ("open/closed.zip", "open/closed.parquet"):
        assert rows[name]["error"].startswith(f"Cannot read '{folder}/{name}': it cannot be read (")
    assert len(rows) == 5


def test_dangling_links_and_vanished_files_are_left_to_the_reader_of_pictures(album):
    (album / "dangling.jpg").symlink_to(album / "nothing")
    found = list(units(album))
    (album / "a.png").unlink()
    assert {row["image"] for row in rows_of(found)} >= {str(album / "dangling.jpg"), str(album / "a.png")}
    assert all(row["error"] is None for row in rows_of(found))
