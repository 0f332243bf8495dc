"""Series ranked by a scorer of single pictures and by one that compares, in Python and as a task of transformers."""

import itertools
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest
import torch
from PIL import Image
from planted_scorer import PlantedModel, planted_scorer
from scipy.stats import norm
from transformers import BatchFeature, pipeline
from transformers.utils import ModelOutput

from hf_aesthetics import FgaesqConfig, FgaesqForAestheticAssessment, FgaesqImageProcessor, ModalityImageProcessor
from hf_aesthetics.images import ImageReadError
from hf_aesthetics.models.series_losses import win_shares
from hf_aesthetics.pipelines import ImageSeriesRankingPipeline, pair_probabilities
from hf_aesthetics.scoring import AestheticScorer, rank, rank_series, score_pictures


def gray(level: int) -> Image.Image:
    return Image.new("RGB", (32, 32), (level,) * 3)


def brightness(pixels: torch.Tensor) -> torch.Tensor:
    return 1 + 9 * pixels.mean(dim=(1, 2, 3))


class ComparingProcessor(ModalityImageProcessor):
    """Two rows for each pair, of pictures side by side with their rival."""

    def preprocess_series(self, images: list) -> BatchFeature:
        pairs = list(itertools.combinations(range(len(images)), 2))
        pixels = self(images=images, return_tensors="pt")["pixel_values"]
        rows = [pixels[place] for pair in pairs for place in pair]
        return BatchFeature({"pixel_values": torch.stack(rows), "pair_images": torch.tensor(pairs)})


class ComparingModel(PlantedModel):
    """Of three pictures it likes the dark one better than the bright one, when both are beside each other."""

    def forward(self, pixel_values: torch.Tensor, pair_images: torch.Tensor | None = None, **kwargs) -> ModelOutput:
        outputs = super().forward(pixel_values)
        if pair_images is not None:
            assert len(pixel_values) == 2 * len(pair_images)
            first, second = outputs["score"].view(-1, 2).unbind(dim=1)
            outputs["pair_probabilities"] = (second - first).sigmoid()
        return outputs


@pytest.fixture
def comparing() -> AestheticScorer:
    processor = ComparingProcessor(size={"height": 16, "width": 16}, do_normalize=False)
    return AestheticScorer(ComparingModel(brightness), processor, name="comparing", device="cpu")


def test_probabilities_are_those_of_the_two_models_of_error():
    scores = [2.0, 5.0, 4.5]
    plain, known = pair_probabilities(scores), pair_probabilities(scores, error=0.8)
    for (i, a), (j, b) in itertools.product(enumerate(scores), repeat=2):
        assert plain[i, j] == pytest.approx(1 / (1 + np.exp(b - a)))
        # two errors, each with the deviation that has a mean absolute value of 0.8
        assert known[i, j] == pytest.approx(norm.cdf((a - b) / (np.sqrt(2) * 0.8 * np.sqrt(np.pi / 2))))
    with pytest.raises(ValueError, match="`error` must be above 0, got 0"):
        pair_probabilities(scores, error=0.0)


def test_how_often_scores_with_errors_are_in_order_is_the_probability():
    rng = np.random.default_rng(0)
    difference, error = 0.7, 0.5
    noise = rng.normal(0, error * np.sqrt(np.pi / 2), (2, 200_000))
    assert np.abs(noise).mean() == pytest.approx(error, abs=0.01)
    # what a scorer with this error says of two pictures with this difference of scores, and no more known of either
    right = np.mean(difference + noise[0] - noise[1] > 0)
    assert pair_probabilities([difference, 0.0], error)[0, 1] == pytest.approx(right, abs=0.005)


def test_the_order_is_that_of_the_scores_and_series_do_not_mix():
    scorer = planted_scorer(brightness, side=16)
    series = [[gray(30), gray(200), gray(90)], [gray(120)], [gray(10), gray(20)]]
    ranked = list(rank_series(scorer, series, batch_size=4))
    assert [found.order for found in ranked] == [[1, 2, 0], [0], [1, 0]]
    alone = [row.score for pictures in series for row in score_pictures(scorer, pictures)]
    assert [score for found in ranked for score in found.scores] == pytest.approx(alone)
    assert ranked[0].probabilities[1, 0] == pytest.approx(pair_probabilities(ranked[0].scores)[1, 0])


def test_what_cannot_be_read_has_a_row_and_no_place(tmp_path):
    (tmp_path / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    ranked = rank(planted_scorer(brightness), [gray(10), str(tmp_path / "torn.jpg"), gray(90)], error=0.5)
    assert ranked.order == [2, 0]
    assert np.isnan(ranked.probabilities[1]).all() and np.isnan(ranked.probabilities[:, 1]).all()
    assert "torn.jpg" in ranked.rows[1].error and ranked.scores[1] is None
    assert ranked.probabilities[2, 0] > 0.99


@pytest.mark.parametrize("batch_size", [2, 5, 64])
def test_a_model_that_compares_is_asked_about_every_pair(comparing, batch_size):
    levels = [30, 200, 90, 120]
    [ranked] = rank_series(comparing, [[gray(level) for level in levels]], batch_size=batch_size)
    assert ranked.order == [0, 2, 3, 1]  # the darkest first, against its own scores of single pictures
    scores = [1 + 9 * level / 255 for level in levels]
    np.testing.assert_allclose(ranked.probabilities, 1 - pair_probabilities(scores), atol=1e-5)
    np.testing.assert_allclose(ranked.scores, scores, atol=1e-5)


def test_a_model_that_compares_leaves_out_what_it_cannot_read(comparing):
    [ranked, lone] = rank_series(comparing, [["gone.jpg", gray(9), gray(99)], [gray(50), "gone.jpg"]])
    assert (ranked.order, lone.order) == ([1, 2], [0])
    assert ranked.rows[0].error and np.isnan(ranked.probabilities[0, 1])


@pytest.fixture(scope="module")
def ranker(tiny_checkpoint) -> ImageSeriesRankingPipeline:
    # its overloads list the tasks of transformers alone
    return pipeline("image-series-ranking", model=str(tiny_checkpoint), device="cpu")  # ty: ignore


@pytest.fixture(scope="module")
def photos() -> list[Image.Image]:
    rng = np.random.default_rng(3)
    return [Image.fromarray(rng.integers(0, 50 * n, (40, 48, 3), dtype=np.uint8)) for n in range(1, 6)]


def test_the_task_says_what_the_scorer_says(ranker, tiny_checkpoint, photos):
    record = ranker(photos)
    expected = rank(AestheticScorer.from_pretrained(tiny_checkpoint, device="cpu"), photos)
    assert record["order"] == expected.order
    assert sorted(record["scores"], reverse=True) == [record["scores"][place] for place in record["order"]]
    np.testing.assert_allclose(record["scores"], expected.scores, atol=1e-5)
    np.testing.assert_allclose(record["probabilities"], expected.probabilities, atol=1e-5)


def test_several_series_batches_and_errors(ranker, photos):
    several = ranker([photos[:2], photos[2:]], batch_size=2)
    assert [len(record["order"]) for record in several] == [2, 3]
    assert several[0]["scores"] == pytest.approx(ranker(photos[:2])["scores"], abs=1e-5)
    sure = ranker(iter(photos), error=1e-3)
    assert np.isin(np.round(np.array(sure["probabilities"]) * 2), [0, 1, 2]).all()


def test_the_task_asks_a_model_that_compares(comparing, ranker):
    task = ImageSeriesRankingPipeline(model=comparing.model, image_processor=comparing.processor, device="cpu")
    record = task([gray(30), gray(200), gray(90)])
    assert record["order"] == [0, 2, 1] and set(record) == {"order", "scores", "probabilities"}


def test_what_is_no_series_is_refused(ranker, photos):
    with pytest.raises(ValueError, match="at least 2 pictures, got 1 in the list"):
        ranker(photos[:1])
    with pytest.raises(ValueError, match="at least 2 pictures, got 1 in series 1"):
        ranker([photos[:2], photos[:1]])
    with pytest.raises(ValueError, match="some of both: number 2 is another kind"):
        ranker([photos[:2], photos[2:], photos[0]])
    with pytest.raises(ValueError, match="Expected a list of pictures, got dict"):
        ranker({"images": photos})
    with pytest.raises(ValueError, match="`batch_size` must be at least 1, got 0"):
        ranker(photos, batch_size=0)
    with pytest.raises(ImageReadError, match="Cannot read <bytes>: the file is empty.* It is number 2 of the list"):
        ranker([*photos[:2], b""])
    with pytest.raises(ValueError, match="Expected a list of pictures, got str"):
        ranker("beach.jpg")
    with pytest.raises(TypeError, match="`batch_size` and `error`, got 'top_k'"):
        ranker(photos, top_k=1)


def test_pictures_may_lie_on_the_web(ranker, photos, tmp_path):
    for number, photo in enumerate(photos[:2]):
        photo.save(tmp_path / f"{number}.png")
    serve = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        urls = [f"http://127.0.0.1:{server.server_address[1]}/{name}.png" for name in (0, 1, "gone")]
        assert ranker(urls[:2]) == ranker(photos[:2])
        with pytest.raises(ImageReadError, match="gone.png': there is no such file.* It is number 1 of the list"):
            ranker([photos[0], urls[2]])
        server.shutdown()


def test_fgaesq_ranks_a_series_by_its_comparisons():
    tower = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 64,
        "patch_size": 16,
        "projection_dim": 12,
    }
    torch.manual_seed(0)
    model = FgaesqForAestheticAssessment(FgaesqConfig(backbone_config=tower))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape))
    processor = FgaesqImageProcessor(size={"height": 128, "width": 96}, sequence_length=24, num_refined=2)
    scorer = AestheticScorer(model, processor, name="fgaesq", device="cpu")
    rng = np.random.default_rng(0)
    burst = [Image.fromarray(rng.integers(0, 256, (128, 96, 3), dtype=np.uint8)) for _ in range(4)]
    ranked = rank(scorer, burst)
    with torch.no_grad():
        inputs = processor.preprocess_series(burst)
        shares = win_shares(model(**inputs).pair_probabilities, inputs["pair_images"], len(burst))
    np.testing.assert_allclose((ranked.probabilities.sum(axis=1) - 0.5) / 3, shares.numpy(), atol=1e-5)
    assert ranked.order == shares.argsort(descending=True).tolist()
    task = ImageSeriesRankingPipeline(model=model, image_processor=processor, device="cpu")
    np.testing.assert_allclose(task(burst)["probabilities"], ranked.probabilities, atol=1e-5)
