"""Sentences that compare two pictures as vectors, by the text tower of a CLIP, once and before training.

Knows nothing about pictures: the tower is not a part of the model and never learns.
"""

from typing import Any

import torch
from datasets import Dataset, List, Value
from transformers import AutoTokenizer, CLIPTextModelWithProjection

from .series_rows import TEXT_COLUMN


def add_text_embeds(
    pairs: Dataset,
    checkpoint: str,
    *,
    size: int | None = None,
    column: str = "caption",
    batch_size: int = 64,
    device: str | torch.device = "cpu",
) -> Dataset:
    """
    Comparisons with a column `text_embeds`, the projected features of their captions.

    Args:
        pairs (`Dataset`):
            Comparisons whose column `caption` says how `image_a` differs from `image_b`; null where nobody said.
        checkpoint (`str`):
            Hub repository or local folder of a CLIP, the one whose vision tower is trained.
        size (`int`, *optional*):
            Width that the features must have, that of the projected features of the pictures.
        column (`str`, *optional*, defaults to `"caption"`):
            The captions.
        batch_size (`int`, *optional*, defaults to 64), device (`str`, *optional*, defaults to `"cpu"`):
            How they go through the tower.

    Raises:
        ValueError: If there is no such column, or the tower has another width.
        OSError: If there is no such checkpoint.
    """
    if column not in pairs.column_names:
        raise ValueError(
            f"Captions must be in the column {column!r}, got {', '.join(pairs.column_names)}. "
            "Leave the text tower out."
        )
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    tower = CLIPTextModelWithProjection.from_pretrained(checkpoint, dtype=torch.float32).to(device).eval()
    width = tower.config.projection_dim
    if size not in (None, width):
        raise ValueError(
            f"The text tower {checkpoint} must have features of {size} numbers, as the pictures have, got {width}. "
            "Take the one that was trained with the vision tower."
        )

    def embed(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        captions = batch[column]
        known = [caption for caption in captions if caption]
        features: list[Any] = []
        if known:
            tokens = tokenizer(
                known,
                padding=True,
                truncation=True,
                max_length=tower.config.max_position_embeddings,
                return_tensors="pt",
            )
            with torch.no_grad():
                inputs = {name: tokens[name].to(device) for name in ("input_ids", "attention_mask")}
                features = tower(**inputs).text_embeds.cpu().tolist()
        answers = iter(features)
        return {TEXT_COLUMN: [next(answers) if caption else None for caption in captions]}

    features = pairs.features.copy()
    features[TEXT_COLUMN] = List(Value("float32"))
    return pairs.map(embed, batched=True, batch_size=batch_size, features=features, desc="captions")
