"""Embeddings from a folder of categories, and back from what is published."""

import json

import numpy as np
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModel


FLAGS = [
    *("--backbone", "backbone", "--output_dir", "embeddings", "--num_train_epochs", "15", "--learning_rate", "3e-3"),
    *("--embedding_size", "8", "--test_share", "0.25", "--use_cpu", "--save_strategy", "no", "--report_to", "none"),
    *("--disable_tqdm", "True", "--data_license", "CC0-1.0", "--per_device_train_batch_size", "8"),
]


def test_categories_are_learnt_and_published(run, folder, capsys):
    generator = np.random.default_rng(0)
    for name, color in {"teal": (20, 140, 140), "rust": (160, 70, 30), "plum": (120, 40, 110)}.items():
        (folder / "leaves" / name).mkdir(parents=True)
        for number in range(12):
            pixels = np.clip(np.array(color) + generator.normal(0, 25, (32, 32, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "leaves" / name / f"{number}.png")
    run(folder, "train_cecs", "--data_dir", "leaves", *FLAGS)
    assert "embeddings: accuracy 1.000, recall at 1 1.000" in capsys.readouterr().out
    model = AutoModel.from_pretrained(folder / "embeddings").eval()
    processor = AutoImageProcessor.from_pretrained(folder / "embeddings")
    pictures = [Image.open(folder / "leaves" / name / "0.png") for name in ("rust", "teal")]
    with torch.no_grad():
        outputs = model(**processor(pictures, return_tensors="pt"))
    assert [model.config.id2label[int(index)] for index in outputs.logits.argmax(dim=1)] == ["rust", "teal"]
    saved = json.loads((folder / "embeddings" / "config.json").read_text())
    assert saved["auto_map"]["AutoModel"] == "modeling_cecs.CecsModel"
    card = (folder / "embeddings" / "README.md").read_text()
    assert "| accuracy of the category ↑ | 1.000 | 0.333 |" in card and "| training data: leaves | CC0-1.0 |" in card
    assert "| recall at 1: the most similar other picture is of the same category ↑ | 1.000 | 0.250 |" in card
    assert 'checkpoint = "embeddings"' in card
    assert "| these weights | not chosen: ask before you use them |" in card
