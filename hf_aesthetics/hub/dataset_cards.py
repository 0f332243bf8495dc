"""
Data set cards: what a stranger has to know of a hosted collection, rendered from the collection itself.

Knows nothing about how a card reaches the Hub.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from huggingface_hub import DatasetCard, DatasetCardData

from ..cards import fill_template
from ..data.columns import DatasetFacts
from ..data.hosted import CARD_FIELD, card_facts
from ..data.loading import RatedCollection
from ..data.splits import split_fingerprint


TEMPLATE = Path(__file__).with_name("dataset_card.md")
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def render_dataset_card(
    collection: RatedCollection,
    repo_id: str,
    configs: Mapping[str, Sequence[str]],
    *,
    facts: DatasetFacts | None = None,
    is_own_copy: bool = False,
) -> DatasetCard:
    """
    Renders the card of a hosted collection.

    Args:
        collection ([`RatedCollection`]):
            What is hosted.
        repo_id (`str`):
            Where.
        configs (`Mapping[str, Sequence[str]]`):
            Columns of every configuration.
        facts ([`DatasetFacts`], *optional*):
            In place of the collection's own.
        is_own_copy (`bool`, *optional*, defaults to `False`):
            Whether it is a private copy of what may not be published.
    """
    facts, scale = facts or collection.facts, collection.scale
    hosted = {column for columns in configs.values() for column in columns}
    has_pictures = "image" in hosted
    labels = collection.labels
    num_pictures = sum(len(split) for split in labels.values())
    metadata = DatasetCardData(
        license=(facts.pictures if has_pictures else facts.ratings).license,
        pretty_name=facts.name,
        task_categories=["image-classification"],
        tags=["image-aesthetics", "image-aesthetic-assessment", "photography"],
        size_categories=next((name for limit, name in SIZES if num_pictures < limit), "1M<n<10M"),
        configs=[
            {
                "config_name": name,
                "data_files": [{"split": split, "path": f"{config_folder(name)}/{split}-*"} for split in labels],
            }
            for name in configs
        ],
    )
    metadata[CARD_FIELD] = card_facts(facts, scale)
    return DatasetCard(
        fill_template(
            TEMPLATE.read_text(encoding="utf-8"),
            metadata=metadata.to_yaml(),
            title=repo_id.split("/")[-1],
            repo_id=repo_id,
            notice=facts.notice,
            data=facts,
            data_link=facts.source_url,
            scale={
                "low": f"{scale.min_score:g}",
                "high": f"{scale.max_score:g}",
                "num_bins": scale.num_bins,
                "bins": ", ".join(f"{score:g}" for score in scale.bin_scores),
            },
            configs=[{"name": name, "columns": list(columns)} for name, columns in configs.items()],
            splits=[
                {"name": name, "count": f"{len(split):,}", "ids_sha256": split_fingerprint(split["image_id"])}
                for name, split in labels.items()
            ],
            pictures=has_pictures,
            has_ratings="vote_counts" in hosted,
            modalities=[name for name in configs if name != "default"],
            left_out=collection.left_out,
            is_own_copy=is_own_copy,
        )
    )


def config_folder(config: str) -> str:
    """Where the files of a configuration lie in the repository."""
    return "data" if config == "default" else config
