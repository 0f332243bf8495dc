"""Files that are whole or absent, whatever happens while they are written. Knows nothing about what is in them."""

import secrets
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path, *, is_shared: bool = False) -> Generator[Path]:
    """
    Where to write a file that shall be whole or absent: it gets its name when all is written.

    Args:
        path (`Path`):
            The file. One that is there stays as it is until it is replaced.
        is_shared (`bool`, *optional*, defaults to `False`):
            Whether several processes may write it at the same time: each then writes under a name of its own. What a
            killed one leaves behind is only written over where they do not.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "votes.txt"
        >>> with whole_file(path) as partial:
        ...     _ = partial.write_text("1 2 3")
        >>> [file.name for file in path.parent.iterdir()]
        ['votes.txt']
    """
    # beside the file, because only within one file system a rename is all or nothing
    partial = path.with_name(f"{path.name}{f'.{secrets.token_hex(4)}' if is_shared else ''}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
