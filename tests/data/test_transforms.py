import io
import pickle

import numpy as np
import pytest
import torch
from datasets import Dataset, Value
from datasets import Image as ImageFeature
from PIL import Image
from scipy import stats
from torch.utils.data import DataLoader
from transformers import default_data_collator

from hf_aesthetics import ModalityImageProcessor, NimaForAestheticAssessment
from hf_aesthetics.data.columns import COMMON_COLUMNS, RatingScale, rating_features, vote_statistics
from hf_aesthetics.data.transforms import EvaluationTransform, TrainingTransform
from hf_aesthetics.extraction import ModalityExtractor


OASIS = RatingScale(1, 7, 7)
SIZE = {"height": 32, "width": 32}
# pixel_values are then the pixels themselves, in [0, 1]
PLAIN = {"size": SIZE, "image_mean": [0.0] * 3, "image_std": [1.0] * 3}


def coordinates(width: int, height: int) -> Image.Image:
    """A picture whose red is the place from left to right, and whose green that from top to bottom."""
    x, y = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height)
    return Image.fromarray((np.stack([x, y, 0 * x], axis=-1) * 255).round().astype(np.uint8))


def batch_of(pictures: list, **columns: list) -> dict[str, list]:
    rows = [vote_statistics([1, 2, 3, 4, 3, 2, 1], OASIS, "picture")] * len(pictures)
    labels = {name: [row[name] for row in rows] for name in rows[0]}
    return {"image": pictures, "image_id": [f"I{number}" for number in range(len(pictures))], **labels, **columns}


def draw(transform: EvaluationTransform, batch: dict[str, list], epoch: int) -> torch.Tensor:
    if isinstance(transform, TrainingTransform):
        transform.set_epoch(epoch)
    return torch.stack(transform(batch)["pixel_values"])


def visible_part(pixel_values: torch.Tensor) -> tuple[float, float, float, float, bool]:
    """Left, top, width and height of the part that a picture of coordinates shows, and whether it is mirrored."""
    x, y = pixel_values[0].mean(dim=0), pixel_values[1].mean(dim=1)  # (width,), (height,)
    is_flipped = bool(x[0] > x[-1])
    parts = []
    for values in (x.flip(0) if is_flipped else x, y):
        step = float(values[-3] - values[2]) / (len(values) - 5)  # the outermost pixels feel the edge
        parts.append((float(values[len(values) // 2]) - (len(values) // 2 + 0.5) * step, step * len(values)))
    (left, width), (top, height) = parts
    return left, top, width, height, is_flipped


def kinds_of_pictures() -> dict[str, Image.Image]:
    rgb = coordinates(60, 40)
    rgba = rgb.copy()
    rgba.putalpha(Image.linear_gradient("L").resize((60, 40)))
    turned = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    rgb.save(turned, "PNG", exif=exif)
    deep = Image.fromarray(np.linspace(0, 65535, 2400).reshape(40, 60).astype(np.uint16))
    pictures = {"rgb": rgb, "rgba": rgba, "grey": rgb.convert("L"), "palette": rgb.quantize(16), "16-bit": deep}
    return {**pictures, "cmyk": rgb.convert("CMYK"), "bilevel": rgb.convert("1"), "turned": Image.open(turned)}


@pytest.mark.parametrize("view", ["squash", "crop"])
@pytest.mark.parametrize("modality", ["rgb", "gray"])
@pytest.mark.parametrize("kind", kinds_of_pictures())
def test_evaluation_is_the_processor(kind, modality, view):
    picture = kinds_of_pictures()[kind]
    processor = ModalityImageProcessor(modality=modality, view=view, size=SIZE)
    transform = EvaluationTransform(processor, OASIS.bin_scores)
    first, second = draw(transform, batch_of([picture]), epoch=0), draw(transform, batch_of([picture]), epoch=1)
    assert torch.equal(first, second)
    assert torch.equal(first, processor([picture], return_tensors="pt").pixel_values)


@pytest.mark.parametrize("modality", ["rgb", "gray"])
@pytest.mark.parametrize("kind", kinds_of_pictures())
def test_training_on_the_whole_picture_is_evaluation(kind, modality):
    processor = ModalityImageProcessor(modality=modality, size=SIZE)
    batch = batch_of([kinds_of_pictures()[kind]])
    training = TrainingTransform(processor, OASIS.bin_scores, crop_fraction=1.0, do_flip=False)
    assert torch.equal(draw(training, batch, 0), draw(EvaluationTransform(processor, OASIS.bin_scores), batch, 0))


@pytest.mark.parametrize(
    "view, fraction, width, height",
    [
        ("squash", 0.875, 0.875, 0.875),
        ("squash", 0.5, 0.5, 0.5),
        ("crop", 0.875, 0.875 * 256 / 320, 0.875),
        ("crop", 0.5, 0.5 * 256 / 320, 0.5),
    ],
)
def test_parts_have_the_size_of_the_view_and_a_random_place(view, fraction, width, height):
    processor = ModalityImageProcessor(view=view, **PLAIN)
    transform = TrainingTransform(processor, OASIS.bin_scores, crop_fraction=fraction)
    parts = [visible_part(values) for values in transform(batch_of([coordinates(320, 256)] * 200))["pixel_values"]]
    for left, top, found_width, found_height, _ in parts:
        assert (found_width, found_height) == pytest.approx((width, height), abs=0.01)
        assert -0.01 <= left and left + width <= 1.01 and -0.01 <= top and top + height <= 1.01
    for place, free in ((0, 1 - width), (1, 1 - height)):
        assert stats.kstest([part[place] for part in parts], "uniform", args=(0, free)).pvalue > 0.001
    assert stats.pearsonr([part[0] for part in parts], [part[1] for part in parts]).pvalue > 0.001
    assert stats.binomtest(sum(part[4] for part in parts), 200).pvalue > 0.001


def test_without_flips_nothing_is_mirrored():
    transform = TrainingTransform(ModalityImageProcessor(**PLAIN), OASIS.bin_scores, do_flip=False)
    parts = [visible_part(values) for values in transform(batch_of([coordinates(64, 64)] * 50))["pixel_values"]]
    assert not any(is_flipped for *_, is_flipped in parts)


@pytest.mark.parametrize("view", ["squash", "crop"])
def test_a_map_moves_with_its_picture_though_it_is_smaller(view):
    picture = coordinates(320, 256)
    batch = batch_of([picture] * 40, depth=[picture.getchannel("R").resize((160, 128))] * 40)
    rgb = TrainingTransform(ModalityImageProcessor(view=view, **PLAIN), OASIS.bin_scores)
    depth = TrainingTransform(
        ModalityImageProcessor(modality="gray", view=view, **PLAIN), OASIS.bin_scores, modality_column="depth"
    )
    red, place = draw(rgb, batch, epoch=3)[:, 0], draw(depth, batch, epoch=3)[:, 0]
    assert (red - place).abs().max() < 0.01  # half a pixel of the map is 0.003 of its width
    assert (draw(depth, batch, epoch=4)[:, 0] - place).abs().max() > 0.05
    both = TrainingTransform(
        ModalityImageProcessor(modality="rgb+depth", view=view, **PLAIN), OASIS.bin_scores, modality_column="depth"
    )
    fused = draw(both, batch, epoch=3)
    assert fused.shape[1] == 4 and torch.equal(fused[:, 0], red)
    assert ((fused[:, 3] + 1) / 2 - place).abs().max() < 1e-5  # the map is brought to [-1, 1]


@pytest.mark.parametrize("transform_class", [EvaluationTransform, TrainingTransform])
def test_early_fusion_makes_the_closed_form_map_that_a_column_holds(transform_class):
    processor = ModalityImageProcessor(modality="rgb+gray", size=SIZE)
    picture = coordinates(60, 40)
    batch = batch_of([picture] * 4, gray=[ModalityExtractor("gray", device="cpu").make_maps([picture])[0]] * 4)
    cached = transform_class(processor, OASIS.bin_scores, modality_column="gray")
    assert torch.equal(draw(cached, batch, 5), draw(transform_class(processor, OASIS.bin_scores), batch, 5))


@pytest.mark.parametrize("modality", ["depth", "rgb+depth"])
@pytest.mark.parametrize("transform_class", [EvaluationTransform, TrainingTransform])
def test_maps_of_a_network_need_a_column(transform_class, modality):
    with pytest.raises(ValueError, match="needs a column of maps that a network makes.*cache_modalities.py"):
        transform_class(ModalityImageProcessor(modality=modality, size=SIZE), OASIS.bin_scores)


@pytest.mark.parametrize("view", ["squash", "crop"])
@pytest.mark.parametrize("transform_class", [EvaluationTransform, TrainingTransform])
def test_maps_of_a_column_and_on_the_fly_are_identical(transform_class, view):
    processor = ModalityImageProcessor(modality="gray", view=view, map_size=96, size=SIZE)
    pixels = np.random.default_rng(0).integers(0, 256, size=(120, 200, 3), dtype=np.uint8)
    maps = processor.make_modality_maps(torch.from_numpy(pixels).permute(2, 0, 1)[None])
    batch = batch_of([Image.fromarray(pixels)] * 8, gray=[Image.fromarray(maps[0, 0].numpy())] * 8)
    cached = transform_class(processor, OASIS.bin_scores, modality_column="gray")
    assert torch.equal(draw(cached, batch, 5), draw(transform_class(processor, OASIS.bin_scores), batch, 5))


def test_parts_follow_from_seed_epoch_and_id_alone():
    processor = ModalityImageProcessor(**PLAIN)
    transform, batch = TrainingTransform(processor, OASIS.bin_scores), batch_of([coordinates(50, 40)] * 4)
    first = draw(transform, batch, 1)
    torch.manual_seed(7)
    backwards = {name: values[::-1] for name, values in batch.items()}
    assert torch.equal(draw(transform, backwards, 1).flip(0), first)
    assert torch.equal(draw(TrainingTransform(processor, OASIS.bin_scores), batch, 1), first)
    for other in (draw(transform, batch, 0), draw(TrainingTransform(processor, OASIS.bin_scores, seed=1), batch, 1)):
        assert not any(map(torch.equal, other, first))
    assert not torch.equal(first[0], first[1])


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_that_outlive_an_epoch_draw_anew(dataset, method):
    transform = TrainingTransform(ModalityImageProcessor(size=SIZE), OASIS.bin_scores)
    transformed = dataset.with_transform(transform, columns=transform.columns)
    loader = DataLoader(
        transformed,
        batch_size=6,
        collate_fn=default_data_collator,
        num_workers=1,
        persistent_workers=True,
        multiprocessing_context=method,
    )
    for epoch in (0, 1, 0):
        transform.set_epoch(epoch)
        [batch] = loader
        expected = torch.stack([transformed[number]["pixel_values"] for number in range(6)])
        assert torch.equal(batch["pixel_values"], expected), epoch


@pytest.mark.parametrize("fraction", [0, -0.5, 1.5])
def test_an_impossible_fraction_is_refused(fraction):
    with pytest.raises(ValueError, match=f"in \\(0, 1\\], got {fraction}"):
        TrainingTransform(ModalityImageProcessor(), OASIS.bin_scores, crop_fraction=fraction)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (3, 2)])
@pytest.mark.parametrize("view", ["squash", "crop"])
def test_tiny_pictures_pass(shape, view):
    transform = TrainingTransform(ModalityImageProcessor(view=view, **PLAIN), OASIS.bin_scores, crop_fraction=0.3)
    white = Image.new("RGB", shape, "white")
    assert torch.equal(torch.stack(transform(batch_of([white] * 20))["pixel_values"]), torch.ones(20, 3, 32, 32))


def test_labels_are_vote_shares():
    votes = [[0, 1, 2, 3, 4, 5, 6], [3, 0, 0, 0, 0, 0, 0]]
    batch = batch_of([coordinates(8, 8)] * 2, vote_counts=votes)
    labels = EvaluationTransform(ModalityImageProcessor(size=SIZE), OASIS.bin_scores)(batch)["labels"]
    assert [label.dtype for label in labels] == [torch.float32] * 2
    np.testing.assert_allclose(torch.stack(labels), np.array(votes) / [[21], [3]], rtol=1e-6)


@pytest.mark.parametrize("scale", [OASIS, RatingScale(1, 5, 9), RatingScale(0.1, 0.3, 5)], ids=str)
def test_means_become_histograms_with_these_moments(scale):
    span = scale.max_score - scale.min_score
    means = [float(np.float32(scale.min_score + share * span)) for share in (0.0, 0.2, 0.5, 0.7, 1.0)]
    stds = [None, 0.2 * span, 0.25 * span, None, None]
    batch = batch_of([coordinates(8, 8)] * 5, vote_counts=[None] * 5, score_mean=means, score_std=stds)
    labels = torch.stack(EvaluationTransform(ModalityImageProcessor(size=SIZE), scale.bin_scores)(batch)["labels"])
    found = labels.double().numpy() @ scale.bin_scores
    np.testing.assert_allclose(labels.sum(dim=1), 1, atol=1e-6)
    np.testing.assert_allclose(found, means, atol=1e-3 * span)
    variances = labels.double().numpy() @ scale.bin_scores**2 - found**2
    np.testing.assert_allclose(np.sqrt(variances[1:3]), stds[1:3], rtol=1e-3)


def test_votes_and_means_in_one_batch_stay_in_their_rows():
    votes = [None, [1, 0, 0, 0, 0, 0, 0], None, [0, 0, 0, 0, 0, 0, 4]]
    batch = batch_of(
        [coordinates(8, 8)] * 4, vote_counts=votes, score_mean=[2.0, 1.0, 6.0, 7.0], score_std=[None, 0, 0.8, 0]
    )
    labels = EvaluationTransform(ModalityImageProcessor(size=SIZE), OASIS.bin_scores)(batch)["labels"]
    assert [float(label.double() @ torch.arange(1.0, 8.0, dtype=torch.float64)) for label in labels] == pytest.approx(
        [2, 1, 6, 7], abs=1e-3
    )


@pytest.mark.parametrize("column", ["image", "image_id", "vote_counts", "score_mean", "score_std"])
def test_a_missing_column_is_named(column):
    batch = batch_of([coordinates(8, 8)])
    del batch[column]
    with pytest.raises(KeyError, match=rf"'{column}' is not a column of the dataset \({', '.join(batch)}\)"):
        TrainingTransform(ModalityImageProcessor(size=SIZE), OASIS.bin_scores)(batch)


@pytest.mark.parametrize("transform_class", [EvaluationTransform, TrainingTransform])
def test_a_missing_map_is_named(transform_class):
    processor = ModalityImageProcessor(modality="gray", size=SIZE)
    transform = transform_class(processor, OASIS.bin_scores, modality_column="depth")
    with pytest.raises(
        KeyError, match=r"'depth' is not a column of the dataset \(image, .*leave out `modality_column`"
    ):
        transform(batch_of([coordinates(8, 8)]))
    with pytest.raises(ValueError, match="a picture in `depth`, got null"):
        transform(batch_of([coordinates(8, 8)], depth=[None]))


@pytest.mark.parametrize("transform_class", [EvaluationTransform, TrainingTransform])
def test_maps_for_a_processor_of_pictures_are_refused(transform_class):
    transform = transform_class(ModalityImageProcessor(size=SIZE), OASIS.bin_scores, modality_column="depth")
    with pytest.raises(ValueError, match="this processor has modality 'rgb'"):
        transform(batch_of([coordinates(8, 8)], depth=[coordinates(8, 8).convert("L")]))


def test_a_row_without_any_rating_is_refused():
    batch = batch_of([coordinates(8, 8)], vote_counts=[None], score_mean=[None])
    with pytest.raises(ValueError, match="`vote_counts` or `score_mean`, got null in both"):
        EvaluationTransform(ModalityImageProcessor(size=SIZE), OASIS.bin_scores)(batch)


@pytest.fixture
def dataset(tmp_path) -> Dataset:
    rows = []
    for number in range(6):
        coordinates(40 + number, 30).save(tmp_path / f"{number}.png")
        label = vote_statistics([number, 1, 2, 3, 2, 1, 6 - number], OASIS, f"{number}.png")
        broken = {"path": str(tmp_path / "missing.png"), "bytes": None}
        rows.append(
            {
                "image": str(tmp_path / f"{number}.png"),
                "image_id": f"{number}",
                **label,
                "other_map": broken,
                "theme": "x",
            }
        )
    extra = {"other_map": ImageFeature(mode="L"), "theme": Value("string")}
    return Dataset.from_list(rows, rating_features(OASIS.num_bins, extra))


@pytest.mark.parametrize("num_workers", [0, 2])
def test_batches_of_a_data_set_train_a_model(dataset, tiny_nima_config, num_workers):
    transform = TrainingTransform(ModalityImageProcessor(size=SIZE), OASIS.bin_scores)
    transformed = dataset.with_transform(transform, columns=transform.columns)  # `other_map` cannot be decoded
    loader = DataLoader(transformed, batch_size=3, collate_fn=default_data_collator, num_workers=num_workers)
    tiny_nima_config.num_labels, tiny_nima_config.max_score = 7, 7.0
    model = NimaForAestheticAssessment(tiny_nima_config)
    for batch in loader:
        assert batch.keys() == {"pixel_values", "labels"}
        assert batch["pixel_values"].shape == (3, 3, 32, 32) and batch["labels"].shape == (3, 7)
        assert torch.isfinite(model(**batch).loss)
    assert set(transform.columns) < set(COMMON_COLUMNS)


@pytest.mark.parametrize("modality_column", [None, "depth"])
def test_transforms_survive_pickling(modality_column):
    processor = ModalityImageProcessor(modality="gray", view="crop", size=SIZE)
    transform = TrainingTransform(processor, OASIS.bin_scores, modality_column, crop_fraction=0.6)
    batch = batch_of([coordinates(50, 40)], depth=[coordinates(50, 40).convert("L")])
    assert torch.equal(draw(pickle.loads(pickle.dumps(transform)), batch, 2), draw(transform, batch, 2))
