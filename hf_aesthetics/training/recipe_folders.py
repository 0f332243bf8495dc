"""Folders of many runs, in which one that is stopped goes on. Knows nothing about what the runs are."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..whole_files import whole_file


def claim_folder(output_dir: Path, recipe: Mapping[str, Any]) -> None:
    """
    Makes a folder that of a recipe, so that runs of different ones are never pooled; `recipe.json` in it says which.

    Args:
        output_dir (`Path`):
            The folder; made where it is not there.
        recipe (`Mapping[str, Any]`):
            What every run in it has in common; what JSON does not know is written as text.

    Raises:
        ValueError: If it is that of another recipe.

    Example:
        >>> folder = getfixture("tmp_path") / "runs"
        >>> claim_folder(folder, {"num_train_epochs": 3})
        >>> claim_folder(folder, {"num_train_epochs": 5})
        Traceback (most recent call last):
        ValueError: ...runs holds runs of a recipe with num_train_epochs=3, got 5. Choose another --output_dir.
    """
    recipe = json.loads(json.dumps(dict(recipe), default=str))
    output_dir.mkdir(parents=True, exist_ok=True)
    file = output_dir / "recipe.json"
    if not file.is_file():
        with whole_file(file) as partial:
            partial.write_text(json.dumps(recipe, indent=2) + "\n", encoding="utf-8")
    found = json.loads(file.read_text(encoding="utf-8"))
    for name in recipe:
        if found.get(name) != recipe[name]:
            raise ValueError(
                f"{output_dir} holds runs of a recipe with {name}={found.get(name)}, got {recipe[name]}. "
                "Choose another --output_dir."
            )
