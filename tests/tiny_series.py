"""Series and a network so small that a run takes a second, for the tests and the programs that they start."""

import numpy as np
import torch
from datasets import Dataset, DatasetDict
from PIL import Image
from tiny import SCALE

from hf_aesthetics import FgaesqConfig, FgaesqForAestheticAssessment, FgaesqImageProcessor
from hf_aesthetics.data.columns import series_features
from hf_aesthetics.data.pairs import ComparedPictures


TINY_TOWER = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 64,
    "patch_size": 16,
    "projection_dim": 8,
}
SERIES_PROCESSOR = FgaesqImageProcessor(size={"height": 64, "width": 64}, sequence_length=8, num_refined=1)


def tiny_fgaesq(**fields) -> FgaesqForAestheticAssessment:
    """A network with the same random weights every time."""
    torch.manual_seed(0)
    fields = {"head_hidden_sizes": [16], "head_dropouts": [0.0], **fields}
    scale = {"min_score": SCALE.min_score, "max_score": SCALE.max_score, "num_labels": SCALE.num_bins}
    return FgaesqForAestheticAssessment(FgaesqConfig(backbone_config=dict(TINY_TOWER), **scale, **fields))


def brightness_series(lengths: list[int], name: str) -> Dataset:
    """Series of a patchy picture that gets darker from one to the next, the brightest the best; shuffled."""
    generator = np.random.default_rng([*name.encode()])
    rows = []
    for number, length in enumerate(lengths):
        patches = np.kron(generator.uniform(40, 250, (4, 4, 3)), np.ones((16, 16, 1)))
        for rank in range(length):
            pixels = (patches * (1 - 0.15 * rank)).astype(np.uint8)
            labels = {"image_id": f"{name}-{number}-{rank}", "series_id": f"{name}-{number}", "series_rank": rank}
            rows.append({"image": Image.fromarray(pixels), **labels})
    order = generator.permutation(len(rows))
    return Dataset.from_list([rows[place] for place in order], features=series_features())


def tinted_series(lengths: list[int], name: str) -> Dataset:
    """Series of a patchy picture that turns from red to blue at one brightness, the reddest the best."""
    generator = np.random.default_rng([*name.encode()])
    rows = []
    for number, length in enumerate(lengths):
        patches = np.kron(generator.uniform(60, 190, (4, 4, 1)), np.ones((8, 8, 3)))
        for rank, share in enumerate(np.linspace(1.3, 0.7, length)):
            pixels = (patches * (share, 1, 2 - share)).astype(np.uint8)
            labels = {"image_id": f"{name}-{number}-{rank}", "series_id": f"{name}-{number}", "series_rank": rank}
            rows.append({"image": Image.fromarray(pixels), **labels})
    return Dataset.from_list(rows, features=series_features())


def compared(
    lengths: tuple[int, ...] = (3, 2, 4, 2, 3, 2, 2), validation: tuple[int, ...] = (3, 2, 2)
) -> ComparedPictures:
    """Series in two splits, with no comparisons but those that follow from the ranks."""
    splits = {"train": brightness_series(list(lengths), "t"), "validation": brightness_series(list(validation), "v")}
    return ComparedPictures(DatasetDict(splits), DatasetDict())
