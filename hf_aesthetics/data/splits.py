"""Splits that follow from a picture's name alone, and a fingerprint that says which pictures a result was measured on.

Knows nothing about pictures or ratings.
"""

import hashlib
from collections.abc import Iterable
from typing import Literal


SPLITS = ("train", "validation", "test")


def hash_split(
    key: str, validation: float = 0.1, test: float = 0.1, seed: int = 0
) -> Literal["train", "validation", "test"]:
    """
    Assigns a picture, or a group of pictures, to a split by the SHA-256 of its key.

    The split depends on no other picture: adding, removing or sorting pictures moves none, and every machine agrees.
    The test split comes first on the unit interval, so that changing the share of validation leaves it untouched.

    Args:
        key (`str`):
            Id of the picture; or of a group that must stay together, such as its theme, its scene or its photographer.
        validation (`float`, *optional*, defaults to 0.1):
            Expected share of the validation split.
        test (`float`, *optional*, defaults to 0.1):
            Expected share of the test split.
        seed (`int`, *optional*, defaults to 0):
            Another seed gives an independent assignment.

    Returns:
        `str`: `"train"`, `"validation"` or `"test"`.

    Raises:
        ValueError: If a share is negative or nothing is left for training.

    Example:
        >>> [hash_split(f"I{number}.jpg") for number in range(1, 7)]
        ['train', 'test', 'train', 'train', 'train', 'validation']
    """
    if not (validation >= 0 and test >= 0 and validation + test < 1):
        raise ValueError(
            f"`validation` and `test` must be shares >= 0 with a sum below 1, got {validation} and {test}. "
            "What they leave is the training split."
        )
    digest = hashlib.sha256(f"{seed}:{key}".encode()).digest()
    position = int.from_bytes(digest[:8], "big") / 2**64  # uniform on [0, 1)
    if position < test:
        return "test"
    return "validation" if position < test + validation else "train"


def split_fingerprint(image_ids: Iterable[str]) -> str:
    """
    A fingerprint of a set of pictures that does not depend on their order, printed with every result measured on them.

    It is what `LC_ALL=C sort ids.txt | sha256sum` prints for a file with one id a line.

    Args:
        image_ids (`Iterable[str]`):
            Ids of the pictures.

    Returns:
        `str`: SHA-256 of the sorted ids, one a line, as 64 hexadecimal digits.

    Raises:
        ValueError: If an id has a line break in it, with which two sets could share a fingerprint.

    Example:
        >>> split_fingerprint(["I2", "I1"]) == split_fingerprint(["I1", "I2"])
        True
    """
    digest = hashlib.sha256()
    for image_id in sorted(image_ids):
        if "\n" in image_id:
            raise ValueError(f"An image id must be one line, got {image_id!r}. Rename the picture.")
        digest.update(f"{image_id}\n".encode())
    return digest.hexdigest()
