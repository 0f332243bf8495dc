"""Archives and tables as units, against `zipfile`, `tarfile`, `pyarrow` and `datasets`; whole and damaged."""

import gzip
import io
import random
import struct
import tarfile
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from datasets import Dataset, DatasetDict, Features, Image, Value
from pyarrow import parquet
from unit_rows import make_files, rows_of

from hf_aesthetics.images import ImageReadError
from hf_aesthetics.sources import PathList, units


def contents_of(rows: list[dict]) -> dict[str, bytes]:
    return {row["path"]: row["image"] for row in rows if row["error"] is None}


# --- archives --------------------------------------------------------------------------------------------------------


def make_zip(path: Path, num_pictures: int = 6) -> dict[str, bytes]:
    generator = random.Random(0)
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("notes.txt", "__MACOSX/._0.jpg", ".hidden/1.jpg", "folder.jpg/"):
            archive.writestr(name, b"")
        for number in range(num_pictures):
            method = zipfile.ZIP_DEFLATED if number % 2 else zipfile.ZIP_STORED
            content = generator.randbytes(40) * 20 + bytes([number % 256])
            archive.writestr(f"été/{number:04}.JPG", content, compress_type=method)
    with zipfile.ZipFile(path) as archive:
        return {f"{path}/{name}": archive.read(name) for name in archive.namelist() if name.startswith("été")}


def test_a_zip_gives_what_zipfile_reads_in_ranges(tmp_path):
    expected = make_zip(tmp_path / "a.zip", 1100)
    found = list(units(tmp_path / "a.zip"))
    assert [unit.num_pictures for unit in found] == [512, 512, 76] and len({unit.key for unit in found}) == 3
    assert list(contents_of(rows_of(found)).items()) == list(expected.items())


def test_the_headers_of_a_tar_do_not_pile_up(tmp_path):
    peaks = []
    for num_pictures in (200, 2000):
        make_tar(tmp_path / "a.tar", num_pictures=num_pictures)
        [unit] = units(tmp_path / "a.tar")
        tracemalloc.start()
        assert sum(len(batch["path"]) for batch in unit.read(8)) == num_pictures
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def test_damaged_members_of_a_zip_are_rows_and_all_others_are_read(tmp_path):
    expected = make_zip(tmp_path / "a.zip")
    content = bytearray((tmp_path / "a.zip").read_bytes())
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        offsets = {f"{tmp_path}/a.zip/{info.filename}": info.header_offset for info in archive.infolist()}
    names = list(expected)
    content[offsets[names[1]] + 60] ^= 255  # in the deflated content
    content[offsets[names[2]] + 60] ^= 255  # in the stored one
    content[offsets[names[3]]] = 0  # no longer where a file begins
    directory = content.rindex(b"PK\1\2", 0, content.rindex(b"0004.JPG"))
    content[directory + 8] |= 1  # encrypted
    content[directory + 24 : directory + 28] = struct.pack("<I", 5)
    (tmp_path / "a.zip").write_bytes(content)
    rows = rows_of(units(tmp_path / "a.zip"))
    assert [row["path"] for row in rows] == names
    assert contents_of(rows) == {name: expected[name] for name in (names[0], names[5])}
    for row in rows[1:4]:
        assert row["error"].startswith(f"Cannot read {row['path']!r}: the archive is damaged or cut short (")
    assert "got an encrypted one. Unpack the archive." in rows[4]["error"]


def test_members_that_claim_to_be_huge_are_refused_unread(tmp_path):
    make_zip(tmp_path / "a.zip", 1)
    content = bytearray((tmp_path / "a.zip").read_bytes())
    directory = content.rindex(b"PK\1\2")
    content[directory + 24 : directory + 28] = struct.pack("<I", 3 << 30)
    (tmp_path / "a.zip").write_bytes(content)
    header = tarfile.TarInfo("0.jpg")
    header.size = 3 << 30
    (tmp_path / "b.tar").write_bytes(header.tobuf() + b"little")
    rows = rows_of(units(tmp_path))
    assert [row["path"][-5:] for row in rows] == ["0.JPG", "0.jpg", "b.tar"]
    for row in rows[:2]:
        assert "expected at most 1,073,741,824 bytes, got 3,221,225,472" in row["error"]


def make_tar(path: Path, mode: str = "w", num_pictures: int = 5) -> dict[str, bytes]:
    generator = random.Random(0)
    with tarfile.open(path, mode) as archive:
        for number in range(num_pictures):
            for suffix in ("txt", "jpg", "json"):
                info = tarfile.TarInfo(f"./{number:03}.{suffix}")
                content = generator.randbytes(generator.randrange(2000))
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    with tarfile.open(path) as archive:
        members = [member for member in archive if member.name.endswith(".jpg")]
        return {f"{path}/{member.name[2:]}": archive.extractfile(member).read() for member in members}


@pytest.mark.parametrize(
    ("name", "mode"), [("a.tar", "w"), ("a.tar.gz", "w:gz"), ("a.tgz", "w:gz"), ("b.tar", "w:gz")]
)
def test_a_tar_is_one_unit_with_the_pictures_that_tarfile_reads(tmp_path, name, mode):
    expected = make_tar(tmp_path / name, mode)
    [unit] = units(tmp_path / name)
    assert unit.num_pictures is None and unit.name == str(tmp_path / name)
    assert list(contents_of(rows_of([unit])).items()) == list(expected.items()) and len(expected) == 5


def test_a_tar_of_several_gzip_streams_is_read_to_its_end(tmp_path):
    expected = make_tar(tmp_path / "a.tar")
    content = (tmp_path / "a.tar").read_bytes()
    (tmp_path / "a.tar").write_bytes(gzip.compress(content[:3000]) + gzip.compress(content[3000:]))
    assert contents_of(rows_of(units(tmp_path))) == expected


def test_of_a_tar_that_is_cut_anywhere_the_whole_pictures_come_and_one_error(tmp_path):
    expected = make_tar(tmp_path / "a.tar")
    content = (tmp_path / "a.tar").read_bytes()
    with tarfile.open(tmp_path / "a.tar") as archive:
        members = archive.getmembers()
    ends = [member.offset_data + member.size for member in members if member.name.endswith(".jpg")]
    stop = members[-1].offset_data + (members[-1].size + 511) // 512 * 512  # behind it are marks of the end
    for length in sorted({1, *range(0, stop + 1, 512), *random.Random(0).sample(range(stop), 25)}):
        (tmp_path / "a.tar").write_bytes(content[:length])
        *rows, last = rows_of(units(tmp_path / "a.tar"))
        assert [row["path"] for row in rows] == list(expected)[: sum(end <= length for end in ends)]
        assert contents_of(rows).items() <= expected.items() and len(contents_of(rows)) == len(rows)
        assert last["error"].startswith(f"Cannot read '{tmp_path}/a.tar': the archive is damaged or cut short (")
    (tmp_path / "a.tar").write_bytes(gzip.compress(content)[:-200])
    *rows, last = rows_of(units(tmp_path / "a.tar"))
    assert contents_of(rows).items() < expected.items() and "cut short (" in last["error"]


def test_a_damaged_header_is_not_the_end_of_a_tar(tmp_path):
    expected = make_tar(tmp_path / "a.tar")
    content = bytearray((tmp_path / "a.tar").read_bytes())
    with tarfile.open(tmp_path / "a.tar") as archive:
        content[archive.getmembers()[6].offset + 3] ^= 255
    (tmp_path / "a.tar").write_bytes(content)
    *rows, last = rows_of(units(tmp_path))
    assert [row["path"] for row in rows] == list(expected)[:2]
    assert last["path"] == str(tmp_path / "a.tar") and "(bad checksum)" in last["error"]


def test_links_in_a_tar_are_told(tmp_path):
    make_tar(tmp_path / "a.tar")
    with tarfile.open(tmp_path / "a.tar", "a") as archive:
        link = tarfile.TarInfo("link.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "000.jpg"
        archive.addfile(link)
    last = rows_of(units(tmp_path))[-1]
    assert last["path"].endswith("a.tar/link.jpg") and "expected a file, got a link to '000.jpg'" in last["error"]


def test_a_broken_shard_is_a_row_and_all_else_is_there(tmp_path):
    make_files(
        tmp_path, "a.jpg", "b.zip", "c.tar", "d.parquet", "z.jpg", "saved/state.json", "saved/dataset_info.json"
    )
    rows = {row["path"].removeprefix(f"{tmp_path}/"): row["error"] for row in rows_of(units(tmp_path))}
    assert rows.keys() == {"a.jpg", "b.zip", "c.tar", "d.parquet", "z.jpg", "saved"}
    assert rows["a.jpg"] is rows["z.jpg"] is None
    for name in ("b.zip", "c.tar"):
        assert rows[name].startswith(f"Cannot read '{tmp_path}/{name}': the archive is damaged or cut short (")
    assert rows["d.parquet"].startswith(f"Cannot read '{tmp_path}/d.parquet': the table is damaged or cut short (")
    assert rows["saved"].startswith(f"Cannot read '{tmp_path}/saved/state.json': the file is damaged or cut short (")
    assert not any("\n" in error for error in rows.values() if error)


# --- tables ----------------------------------------------------------------------------------------------------------


def pictures(num_rows: int) -> list[bytes]:
    return [bytes([number % 256]) * (number + 1) for number in range(num_rows)]


def write_table(file: Path, **columns: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.table(columns), file, row_group_size=4)
    return file


def test_a_parquet_file_gives_a_unit_a_row_group_and_names_rows_by_their_number(tmp_path):
    images = [{"bytes": content, "path": f"{number}.jpg"} for number, content in enumerate(pictures(10))]
    path = write_table(tmp_path / "a.parquet", image=images, caption=[str(number) for number in range(10)])
    found = list(units(path))
    assert [unit.num_pictures for unit in found] == [4, 4, 2] and len({unit.key for unit in found}) == 3
    assert [unit.name for unit in found] == [f"{path}, rows {rows}" for rows in ("0 to 3", "4 to 7", "8 to 9")]
    rows = rows_of(found, batch_size=3)
    assert contents_of(rows) == {f"{path}#{number}": content for number, content in enumerate(pictures(10))}
    assert rows[0].keys() == {"path", "image", "error"}


def test_an_empty_row_group_is_no_unit(tmp_path):
    some = pa.table({"image": pictures(3)})
    with parquet.ParquetWriter(tmp_path / "a.parquet", some.schema) as writer:
        for table in (some, some.slice(0, 0), some):
            writer.write_table(table)
    found = list(units(tmp_path))
    assert parquet.read_metadata(tmp_path / "a.parquet").num_row_groups == 3
    assert [unit.num_pictures for unit in found] == [3, 3]
    assert [row["image"] for row in rows_of(found)] == pictures(3) * 2


def test_kept_columns_come_with_every_row_and_the_id_by_itself(tmp_path):
    make_files(tmp_path, "z.jpg")
    images = [{"bytes": b"x", "path": f"{number}.jpg"} for number in range(5)]
    nested = [{"tags": ["a", str(number)]} for number in range(5)]
    ids = [f"id {number}" for number in range(5)]
    path = write_table(tmp_path / "a.parquet", photo=images, info=nested, image_id=ids, other=[1.5, None, 2.5, 3.5, 4])
    assert [row["image_id"] for row in rows_of(units(path))] == ids
    *rows, last = rows_of(units(tmp_path, keep_columns=["photo.path", "info", "other"]))
    assert [row["info"] for row in rows] == nested and [row["image_id"] for row in rows] == ids
    assert [row["photo.path"] for row in rows] == [f"{number}.jpg" for number in range(5)]
    assert [row["other"] for row in rows] == [1.5, None, 2.5, 3.5, 4]
    nothing = {"photo.path": None, "info": None, "other": None}
    assert last == {"path": str(tmp_path / "z.jpg"), "image": str(tmp_path / "z.jpg"), "error": None, **nothing}


@pytest.mark.parametrize("type_", [pa.binary(), pa.large_binary(), pa.dictionary(pa.int32(), pa.binary())], ids=str)
def test_bytes_are_pictures_and_null_is_an_error(tmp_path, type_):
    content = pa.array([b"a", None, b"c"], pa.binary()).cast(type_)
    path = write_table(tmp_path / "a.parquet", jpg=content, caption=["x", "y", "z"])
    rows = rows_of(units(path))
    assert [row["image"] for row in rows] == [b"a", None, b"c"]
    assert rows[1]["error"] == f"Cannot read '{path}#1': the row has no picture. Leave it out, or put one in."


def test_paths_are_relative_to_the_folder_of_the_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images = [{"bytes": None, "path": "sub/a.jpg"}, {"bytes": None, "path": "/far/b.jpg"}]
    write_table(tmp_path / "data/a.parquet", image=images, file_name=["sub/a.jpg", "/far/b.jpg"])
    located = ["data/sub/a.jpg", "/far/b.jpg"]
    assert [row["image"] for row in rows_of(units("data/a.parquet"))] == located
    rows = rows_of(units("data/a.parquet", image_column="file_name"))
    assert [(row["path"], row["image"]) for row in rows] == list(zip(located, located, strict=True))


def test_the_picture_column_is_found_or_asked_for_before_the_first_unit(tmp_path):
    two = write_table(tmp_path / "two.parquet", left=[b"l"], right=[b"r"], caption=["c"])
    with pytest.raises(ValueError, match=r"Expected one column of pictures, but '.*two.parquet' has left, right"):
        units([two])
    assert rows_of(units(two, image_column="right"))[0]["image"] == b"r"
    with pytest.raises(ValueError, match=r"Expected a column 'rigth' .* but '.*two.parquet' has left, right, caption"):
        units(two, image_column="rigth")
    for source in (two, tmp_path):
        with pytest.raises(
            ValueError, match=r"`keep_columns` must be among .* \(left, right, caption\), got 'captoin'"
        ):
            units(source, image_column="left", keep_columns=["captoin"])
    with pytest.raises(ValueError, match="`keep_columns` must not hold 'path'"):
        units(two, keep_columns=["path"])
    sound = {"bytes": b"sound", "path": None}
    features = Features({"film": Image(decode=False), "photo": Image(decode=False), "caption": Value("string")})
    dataset = Dataset.from_dict({"film": [sound], "photo": [sound], "caption": ["c"]}, features=features)
    dataset.to_parquet(tmp_path / "typed.parquet")
    table = parquet.read_table(tmp_path / "typed.parquet")
    metadata = {b"huggingface": table.schema.metadata[b"huggingface"].replace(b'"Image"', b'"Video"', 1)}
    parquet.write_table(table.replace_schema_metadata(metadata), tmp_path / "typed.parquet")
    assert rows_of(units(tmp_path / "typed.parquet", keep_columns=["photo.path"]))[0]["image"] == b"sound"


def test_tables_of_something_else_in_a_folder_are_passed_over_but_not_all_of_them(tmp_path):
    write_table(tmp_path / "scores.parquet", path=["a.jpg"], score=[0.5])
    for source in (tmp_path / "scores.parquet", tmp_path):
        with pytest.raises(ValueError, match=r"Expected a column of pictures, but '.*scores.parquet' has path, score"):
            list(units(source))
    make_files(tmp_path, "a.jpg")
    assert [row["path"] for row in rows_of(units(tmp_path))] == [str(tmp_path / "a.jpg")]
    [error] = [row["error"] for row in rows_of(units(PathList([b"%s/scores.parquet" % str(tmp_path).encode()])))]
    assert "has path, score" in error


def test_a_damaged_row_group_keeps_its_number_of_rows_and_leaves_the_others(tmp_path):
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"image": pictures(30)}), path, row_group_size=10, compression="gzip")
    column = parquet.read_metadata(path).row_group(1).column(0)
    start = column.dictionary_page_offset or column.data_page_offset
    content = bytearray(path.read_bytes())
    content[start : start + column.total_compressed_size] = bytes(column.total_compressed_size)
    path.write_bytes(content)
    rows = rows_of(units(path))
    assert [row["path"] for row in rows] == [f"{path}#{number}" for number in range(30)]
    assert [row["image"] for row in rows if not row["error"]] == pictures(30)[:10] + pictures(30)[20:]
    assert all("the table is damaged or cut short (" in row["error"] for row in rows[10:20])


def test_a_saved_dataset_gives_its_rows_and_nothing_that_lies_beside_them(tmp_path):
    features = Features({"image": Image(decode=False), "image_id": Value("string")})
    content = [{"bytes": picture, "path": None} for picture in pictures(700)]
    ids = [str(number) for number in range(700)]
    dataset = Dataset.from_dict({"image": content, "image_id": ids}, features=features)
    splits = DatasetDict({"train": dataset.select(range(600)), "test": dataset.select(range(600, 700))})
    splits.save_to_disk(tmp_path, num_shards={"train": 2, "test": 1})
    (tmp_path / "train/cache-0123.arrow").write_bytes((tmp_path / "test/data-00000-of-00001.arrow").read_bytes())
    make_files(tmp_path, "of something else.arrow")
    found = list(units(tmp_path))
    assert len({unit.key for unit in found}) == len(found) == 3
    rows = rows_of(found)
    assert [row["image_id"] for row in rows] == ids[600:] + ids[:600]
    assert [row["image"] for row in rows] == pictures(700)[600:] + pictures(700)[:600]
    assert rows[0]["path"] == f"{tmp_path}/test/data-00000-of-00001.arrow#0"


def test_batches_of_an_arrow_file_are_put_together_and_a_cut_one_keeps_its_rows(tmp_path):
    path = tmp_path / "a.arrow"
    table = pa.table({"image": pictures(1000)})
    with pa.ipc.new_stream(path, table.schema) as stream:
        stream.write_table(table, max_chunksize=100)
    found = list(units(path))
    assert [unit.num_pictures for unit in found] == [300, 300, 300, 100]
    assert [row["image"] for row in rows_of(found, batch_size=64)] == pictures(1000)
    path.write_bytes(path.read_bytes()[:-20_000])
    rows = rows_of(found)
    assert [row["path"] for row in rows] == [f"{path}#{number}" for number in range(1000)]
    assert sum(row["error"] is not None for row in rows) == 100
    with pytest.raises(ImageReadError, match="no picture, archive or table fits this pattern"):
        units(tmp_path / "*.parquet")
