"""Any series by name: your own, a table of comparisons, FGAesthetics, edits of photographs, or rendered ones.

Knows nothing about models.
"""

from pathlib import Path

from datasets import DatasetDict

from .edited_series import load_edited_series
from .fgaesthetics import load_fgaesthetics
from .pairs import ComparedPictures, load_pairs
from .series import load_series
from .synthetic_series import load_synthetic_series


def load_series_collection(
    name: str,
    data_dir: str | Path | None = None,
    *,
    photographs: DatasetDict | None = None,
    picture_name: str | None = None,
    seed: int = 0,
    num_proc: int | None = None,
) -> ComparedPictures:
    """
    Loads series by name.

    Args:
        name (`str`):
            `"folder"` for [`load_series`], `"pairs"` for [`load_pairs`], `"fgaesthetics"` for [`load_fgaesthetics`],
            all with `data_dir`, `"edits"` for [`load_edited_series`], or `"synthetic"` for [`load_synthetic_series`].
        data_dir (`str` or `Path`, *optional*):
            Where pictures and tables lie.
        photographs (`DatasetDict`, *optional*):
            For `"edits"` without `data_dir`: which ones.
        picture_name (`str`, *optional*):
            For `"fgaesthetics"`: where a picture lies.
        seed (`int`, *optional*, defaults to 0):
            Of the rendered scenes, and of the edits.
        num_proc (`int`, *optional*):
            Number of processes that check the pictures.

    Raises:
        ValueError: If there is no such kind of series, or an argument is missing.

    Example:
        >>> load_series_collection("fgaesthetics")
        Traceback (most recent call last):
        ...
        ValueError: Series of the kind 'fgaesthetics' need the folder of their pictures. Pass --series_dir PATH.
    """
    if name == "synthetic":
        return load_synthetic_series(seed=seed)
    if name == "edits" and (data_dir is not None or photographs is not None):
        return load_edited_series(data_dir or photographs or "", seed=seed, num_proc=num_proc)
    if name not in ("edits", "fgaesthetics", "folder", "pairs"):
        raise ValueError(f"`series` must be one of edits, fgaesthetics, folder, pairs, synthetic, got {name!r}.")
    if data_dir is None:
        raise ValueError(f"Series of the kind {name!r} need the folder of their pictures. Pass --series_dir PATH.")
    if name == "fgaesthetics":
        if picture_name is None:
            raise ValueError(
                "FGAesthetics does not say where its pictures lie. Pass --series_picture_name "
                "'images/{source}/{series}/{image}.jpg', or however they do."
            )
        return load_fgaesthetics(data_dir, picture_name=picture_name, num_proc=num_proc)
    return (load_series if name == "folder" else load_pairs)(data_dir, num_proc=num_proc)
