"""
What may be published, and why: verdicts on checkpoints, data sets and Spaces, read from the licences that they state.

Knows nothing about how something is published, and is no legal advice.
"""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from huggingface_hub import RepoCard, constants

from ..cards import PROVENANCE_FIELD
from ..data.columns import DatasetFacts
from ..licensing import NOT_STATED, Permission, license_permission


@dataclass(frozen=True)
class Verdict:
    """
    Whether something may be published.

    Args:
        is_allowed (`bool`):
            The verdict.
        reason (`str`):
            Why, and whose terms it rests on, in one line.
    """

    is_allowed: bool
    reason: str

    @property
    def word(self) -> str:
        """`"allowed"` or `"refused"`."""
        return "allowed" if self.is_allowed else "refused"

    def __str__(self) -> str:
        return f"{self.word}: {self.reason}"


def judge_checkpoint(directory: str | os.PathLike[str]) -> Verdict:
    """
    Judges the weights of a checkpoint by its card: their own licence, that of the backbone, and the terms of the data.

    Example:
        >>> print(judge_checkpoint("results/unfinished"))
        refused: it has no card, so nobody knows what is in it
    """
    card = _read_card(directory)
    if card is None:
        return Verdict(False, "it has no card, so nobody knows what is in it")
    provenance = card.get(PROVENANCE_FIELD)
    if provenance is None:
        return Verdict(False, "its card does not say which data and which backbone it was made of; render it again")
    backbone, data = provenance["backbone"], provenance["training_data"]
    permissions = {
        "licence of these weights": Permission(True, card["license"])
        if card.get("license")
        else replace(NOT_STATED, terms="none was chosen"),
        f"data ({data['name']})": Permission(**data["weights"]),
    }
    if backbone is not None:
        permissions[f"backbone ({backbone})"] = license_permission(provenance["backbone_license"])
    return _judge(permissions)


def judge_dataset(facts: DatasetFacts, *, ratings: bool = True, pictures: bool = False) -> Verdict:
    """
    Judges parts of a rated collection by its facts. Maps of the pictures count as pictures.

    Example:
        >>> facts = DatasetFacts(name="parks", license="mine", ratings=license_permission("cc-by-4.0"))
        >>> print(judge_dataset(facts))
        allowed: ratings: published under cc-by-4.0
        >>> print(judge_dataset(facts, pictures=True))
        refused: pictures: nobody has said under which terms
    """
    permissions = {"ratings": facts.ratings} if ratings else {}
    permissions |= {"pictures": facts.pictures} if pictures else {}
    return _judge(permissions or {"ids and splits": Permission(True, "which pictures there are is nobody's")})


def judge_space(folder: str | os.PathLike[str]) -> Verdict:
    """Judges a Space by the licence in the metadata of its README."""
    card = _read_card(folder)
    if card is None:
        return Verdict(False, "it has no README.md, which a Space needs")
    return _judge({"its README": license_permission(card.get("license"))})


def _judge(permissions: dict[str, Permission]) -> Verdict:
    refused = {what: permission for what, permission in permissions.items() if not permission.is_given}
    return Verdict(
        not refused, "; ".join(f"{what}: {permission.terms}" for what, permission in (refused or permissions).items())
    )


def _read_card(folder: str | os.PathLike[str]) -> dict[str, Any] | None:
    path = Path(folder, constants.REPOCARD_NAME)
    return RepoCard.load(path, ignore_metadata_errors=True).data.to_dict() if path.is_file() else None
