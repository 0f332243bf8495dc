"""
Networks and a collection so small that a run takes a second, for tests and for the programs that tests start.

A program finds this module with the folder of the tests on its path; the environment comes from `conftest.py`.
"""

from pathlib import Path

import numpy as np
from datasets import Dataset, DatasetDict
from PIL import Image
from transformers import set_seed

from hf_aesthetics import ModalityImageProcessor, NimaConfig, NimaForAestheticAssessment
from hf_aesthetics.data.columns import DatasetFacts, RatingScale, rating_features, vote_statistics
from hf_aesthetics.data.loading import RatedCollection
from hf_aesthetics.training import AestheticTrainingArguments


TINY_VIT = {
    "model_type": "vit",
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "image_size": 32,
    "patch_size": 16,
}
TINY_RESNET = {
    "model_type": "resnet",
    "depths": [1, 1],
    "hidden_sizes": [8, 16],
    "embedding_size": 8,
    "layer_type": "basic",
}
SCALE = RatingScale(1, 5, 5)
PROCESSOR = ModalityImageProcessor(size={"height": 32, "width": 32})


def tiny_model(backbone: dict, **fields) -> NimaForAestheticAssessment:
    """A network with the same random weights every time."""
    set_seed(0)
    fields = {"max_score": 5, "num_labels": 5, "head_dropout": 0.0, **fields}
    return NimaForAestheticAssessment(NimaConfig(backbone_config=dict(backbone), **fields))


def rated_pictures(count: int, seed: int) -> Dataset:
    """Plain pictures of random brightness, rated by it: bright is good."""
    generator = np.random.default_rng(seed)
    rows = []
    for index, light in enumerate(generator.uniform(0, 1, count)):
        pixels = np.clip(255 * light + generator.normal(0, 20, (40, 48, 3)), 0, 255).astype(np.uint8)
        votes = generator.multinomial(20, np.eye(5)[round(4 * light)] * 0.8 + 0.04)
        name = f"{seed}-{index}"
        rows.append({"image": Image.fromarray(pixels), "image_id": name, **vote_statistics(votes, SCALE, name)})
    return Dataset.from_list(rows, features=rating_features(5))


def brightness_collection(num_train: int = 48, num_validation: int = 17, num_test: int = 19) -> RatedCollection:
    """Pictures rated by their brightness, in three splits."""
    counts = {"train": num_train, "validation": num_validation, "test": num_test}
    splits = {name: rated_pictures(count, seed) for seed, (name, count) in enumerate(counts.items(), start=1)}
    facts = DatasetFacts(name="brightness", license="CC0-1.0")
    return RatedCollection("brightness", DatasetDict(splits), SCALE, facts)


def training_arguments(folder: Path | str, **fields) -> AestheticTrainingArguments:
    """A short run that is evaluated and saved twice."""
    defaults = {
        "output_dir": str(folder),
        "max_steps": 6,
        "per_device_train_batch_size": 8,
        "eval_strategy": "steps",
        "save_strategy": "steps",
        "eval_steps": 3,
        "save_steps": 3,
        "warmup_steps": 0,
        "learning_rate": 3e-3,
        "head_learning_rate": 1e-2,
        "use_cpu": True,
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
    }
    return AestheticTrainingArguments(**{**defaults, **fields})
