"""
Pictures in zip and tar archives, those of webdataset among them.

Knows nothing about where archives come from.
"""

import gzip
import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Self

from ..images import IMAGE_SUFFIXES, ImageReadError
from .files import File
from .locations import open_file, reading
from .unit import PictureRow, Unit, digest


MAX_BYTES = 1 << 30
"""Larger members are not read: what is in an archive comes into memory whole."""

MEMBERS_PER_UNIT = 512

_BUFFER = 1 << 20
_LOCAL_HEADER = struct.Struct("<4s22xHH")  # signature, lengths of the name and of the extra field


@dataclass(frozen=True, slots=True)
class ZipMember:
    """Where a picture lies in a zip archive: read without its directory, which only the one who lists it needs."""

    name: str
    offset: int
    num_stored_bytes: int
    num_bytes: int
    checksum: int
    method: int
    is_encrypted: bool

    @classmethod
    def of(cls, info: zipfile.ZipInfo) -> Self:
        sizes = (info.compress_size, info.file_size)
        return cls(info.filename, info.header_offset, *sizes, info.CRC, info.compress_type, bool(info.flag_bits & 1))

    def read(self, archive: io.BufferedReader, path: str) -> bytes:
        """
        The content.

        Args:
            archive (`io.BufferedReader`):
                The archive.
            path (`str`):
                What people call the picture.

        Raises:
            ImageReadError: If it is stored in a way that is not known, or too large.
            ValueError: If it is damaged.
        """
        _check_size(path, max(self.num_bytes, self.num_stored_bytes))
        if self.is_encrypted or self.method not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            stored = "an encrypted one" if self.is_encrypted else f"one of compression method {self.method}"
            raise ImageReadError(
                f"Cannot read {path!r}: expected a stored or deflated file, got {stored}. Unpack the archive."
            )
        archive.seek(self.offset)
        signature, name_length, extra_length = _LOCAL_HEADER.unpack(archive.read(_LOCAL_HEADER.size))
        archive.seek(name_length + extra_length, io.SEEK_CUR)
        content = archive.read(self.num_stored_bytes)
        if self.method == zipfile.ZIP_DEFLATED:
            content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(content, self.num_bytes + 1)
        if signature != b"PK\3\4" or len(content) != self.num_bytes or zlib.crc32(content) != self.checksum:
            raise ValueError("its checksum is another one")
        return content


@dataclass(frozen=True, slots=True)
class ZipMembers(Unit):
    """A few hundred pictures of a zip archive."""

    path: str
    location: str
    members: tuple[ZipMember, ...]

    def _rows(self, batch_size: int) -> Iterator[tuple[Any, ...]]:
        with ExitStack() as stack:
            archive: io.BufferedReader | None = None
            for member in self.members:
                path = f"{self.path}/{member.name}"
                try:
                    with reading(path, self.location, "archive"):
                        archive = archive or stack.enter_context(open_file(self.location))
                        content = member.read(archive, path)
                except ImageReadError as error:
                    yield self._without_columns((path, None, str(error)))
                else:
                    yield self._without_columns((path, content, None))


@dataclass(frozen=True, slots=True)
class TarShard(Unit):
    """The pictures of a tar archive, read from its beginning to its end."""

    path: str
    location: str

    def _rows(self, batch_size: int) -> Iterator[tuple[Any, ...]]:
        path = self.path
        try:
            with reading(path, self.location, "archive"), _open_tar(self.location) as archive:
                while (member := archive.next()) is not None:
                    archive.members.clear()  # ty: ignore[missing-attribute]  # else all headers stay in memory
                    if member.isdir() or not is_picture(member.name):
                        continue
                    path = f"{self.path}/{member.name.removeprefix('./')}"
                    yield self._without_columns(_read_member(archive, member, path))
                    path = self.path  # what comes next is the archive's own, not this picture's
        except ImageReadError as error:
            yield self._without_columns((path, None, str(error)))


def zip_units(file: File, keep_columns: tuple[str, ...]) -> Iterator[ZipMembers]:
    """
    The units of a zip archive, whose directory is read once.

    Raises:
        ImageReadError: If it cannot be read.
    """
    with reading(file.path, file.location, "archive"), open_file(file.location) as stream:
        with zipfile.ZipFile(stream) as archive:
            members = [ZipMember.of(info) for info in archive.infolist() if is_picture(info.filename)]
    for first in range(0, len(members), MEMBERS_PER_UNIT):
        some = members[first : first + MEMBERS_PER_UNIT]
        yield ZipMembers(
            key=digest("zip", file.path, file.size, file.stamp, first, keep_columns),
            name=f"{file.path}, pictures {first} to {first + len(some) - 1}",
            num_pictures=len(some),
            keep_columns=keep_columns,
            path=file.path,
            location=file.location,
            members=tuple(some),
        )


def tar_unit(file: File, keep_columns: tuple[str, ...]) -> TarShard:
    """The unit of a tar archive."""
    key = digest("tar", file.path, file.size, file.stamp, keep_columns)
    return TarShard(key, file.path, None, keep_columns, file.path, file.location)


def is_picture(name: str) -> bool:
    """
    Whether a member of an archive is a picture by its name, and neither hidden nor in a hidden folder.

    Example:
        >>> [is_picture(name) for name in ("./000.jpg", "000.json", "__MACOSX/._000.jpg", "folder.jpg/")]
        [True, False, False, False]
    """
    *folders, name = name.split("/")
    is_hidden = any(part.startswith(".") and part != "." for part in (*folders, name))
    return not is_hidden and name[name.rfind(".") :].lower() in IMAGE_SUFFIXES


class _Member(tarfile.TarInfo):
    """A header that is damaged or cut short is an error: `tarfile` takes it for the end, and all behind it is lost."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if bytes(buf) == bytes(tarfile.BLOCKSIZE):  # the mark of the end
                raise
            raise tarfile.ReadError(str(error)) from error


@contextmanager
def _open_tar(location: str) -> Generator[tarfile.TarFile]:
    with ExitStack() as stack:
        stream: io.BufferedIOBase = stack.enter_context(open_file(location))
        if stream.peek(2)[:2] == b"\x1f\x8b":
            stream = stack.enter_context(gzip.GzipFile(fileobj=stream))
        yield stack.enter_context(tarfile.open(fileobj=stream, mode="r|", bufsize=_BUFFER, tarinfo=_Member))


def _read_member(archive: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> PictureRow:
    if not member.isreg():
        got = f"a link to {member.linkname!r}" if member.islnk() or member.issym() else "something else"
        return path, None, f"Cannot read {path!r}: expected a file, got {got}. Score the file itself, or unpack."
    try:
        _check_size(path, member.size)
    except ImageReadError as error:
        return path, None, str(error)
    content = archive.extractfile(member)
    return path, content.read() if content else b"", None


def _check_size(path: str, num_bytes: int) -> None:
    if num_bytes > MAX_BYTES:
        raise ImageReadError(
            f"Cannot read {path!r}: expected at most {MAX_BYTES:,} bytes, got {num_bytes:,}. Unpack the archive."
        )
