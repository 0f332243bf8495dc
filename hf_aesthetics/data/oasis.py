"""OASIS: 900 photographs of objects, animals, people and scenes, with ratings of their beauty.

Knows nothing about models or the published files, of which `scripts/prepare_oasis.py` makes the folder read here.
"""

from pathlib import Path

from datasets import DatasetDict, Value

from ..licensing import Permission
from .columns import DatasetFacts, RatingScale
from .folder import load_folder


OASIS_SCALE = RatingScale(1, 7, 7)

FACTS = DatasetFacts(
    name="OASIS beauty ratings",
    license="pictures: free for research studies; ratings: CC BY",
    description=(
        "Photographs of the Open Affective Standardized Image Set (OASIS), each rated online by 104 to 368 people for "
        "how intensely they felt beauty, from 1 to 7."
    ),
    source_url="https://doi.org/10.3758/s13428-016-0715-3",
    citation=(
        "Kurdi, B., Lozano, S., & Banaji, M. R. (2017). Introducing the Open Affective Standardized Image Set "
        "(OASIS). Behavior Research Methods, 49, 457-470. doi:10.3758/s13428-016-0715-3. "
        "Ratings: Brielmann, A. A., & Pelli, D. G. (2019). Intense beauty requires intense pleasure. "
        "Frontiers in Psychology, 10, 2420. doi:10.3389/fpsyg.2019.02420."
    ),
    pictures=Permission(
        False,
        "OASIS offers its photographs, which come from several sources, for research studies; get them from its site",
    ),
    ratings=Permission(True, "published under CC BY with the article of 2019; name its authors", "cc-by-4.0"),
    weights=Permission(True, "by our reading OASIS sets no terms for what is learnt, and weights hold no pictures"),
)

_ATTRIBUTES = {
    "theme": Value("string"),
    "category": Value("string"),
    "source_class": Value("string"),
    "rater_group": Value("int32"),
    "valence_mean": Value("float32"),
    "arousal_mean": Value("float32"),
}


def load_oasis(data_dir: str | Path, num_proc: int | None = None) -> DatasetDict:
    """
    Loads OASIS (Kurdi, Lozano & Banaji 2017, doi 10.3758/s13428-016-0715-3) with the beauty ratings of Brielmann & Pelli
    (2019, doi 10.3389/fpsyg.2019.02420).

    The folder holds `labels.csv` and `images/<id>.jpg`; `scripts/prepare_oasis.py` makes it from the published files. The
    pictures are free for research studies, the ratings CC BY. `OASIS_SCALE` is 1..7, in whole numbers.

    What a result has to be compared with, as measured on a subset of 758 pictures (sensitive ones left out), with splits
    that part no theme:

    - floor: ridge regression on 32 hand-made features reaches SRCC 0.29 (0.36 with random folds, which leak themes);
    - ceiling: two halves of the raters agree on the mean rating with SRCC 0.98, one rater with the mean of the others
      with 0.66, and a rater with himself in a retest with r = 0.90.

    All published pictures have one size, 500 x 400, and so cannot teach cropping or aspect ratio.

    Args:
        data_dir (`str` or `Path`):
            The folder.
        num_proc (`int`, *optional*):
            Number of processes that check the pictures, the first time.

    Returns:
        `DatasetDict` with `train`, `validation` and `test`. Beyond the common columns: `theme` (`"Acorns"`), `category`,
        `source_class` (where the photograph comes from), `rater_group` (which of the blocks of pictures it was rated in,
        each by people of its own), `valence_mean` and `arousal_mean` (of the original study, 1..7).

    Raises:
        FileNotFoundError: If there is no such folder, or no `labels.csv` in it.
        ValueError: If a row is malformed or a picture is missing or damaged: a benchmark has to be complete.

    Example:
        >>> load_oasis("oasis")
        Traceback (most recent call last):
        ...
        FileNotFoundError: Expected labels.csv and images/ in 'oasis', found no labels.csv. Make the folder with scripts/prepare_oasis.py.
    """  # noqa: E501
    if not (Path(data_dir) / "labels.csv").is_file():
        raise FileNotFoundError(
            f"Expected labels.csv and images/ in {str(data_dir)!r}, found no labels.csv. "
            "Make the folder with scripts/prepare_oasis.py."
        )
    try:
        folder = load_folder(
            data_dir, "labels.csv", OASIS_SCALE, attributes=_ATTRIBUTES, max_skipped=0, num_proc=num_proc
        )
    except ValueError as error:
        raise ValueError(f"{error} Or make the folder again with scripts/prepare_oasis.py.") from error
    return folder.splits
