"""FGAesQ over tiny towers. `tiny_models` feeds the contract tests."""

import math

import pytest
import torch
from PIL import Image
from torchvision.transforms.v2.functional import pil_to_tensor
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection, pipeline

from hf_aesthetics import FgaesqConfig, FgaesqForAestheticAssessment, FgaesqImageProcessor
from hf_aesthetics.data.rendering.series import render_series
from hf_aesthetics.models.modeling_fgaesq import bicubic_weights
from hf_aesthetics.scoring import AestheticReward, AestheticScorer


TOWER = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 64,
    "patch_size": 16,
    "projection_dim": 12,
}
BAD_VALUES = [
    ({"head_hidden_sizes": [8]}, "[8] and [0.2, 0.1]"),
    ({"head_dropouts": [0.2, 1.0]}, "[0.2, 1.0]"),
    ({"series_loss_weight": -1}, "got -1"),
    ({"align_loss_weight": -0.5}, "got -0.5"),
    ({"series_loss": "triplet"}, "triplet"),
    ({"backbone_config": {**TOWER, "image_size": 60}}, "`patch_size` = 16, got 60"),
    ({"emd_order": 0.5}, "0.5"),
]
PROCESSOR = FgaesqImageProcessor(size={"height": 128, "width": 96}, sequence_length=24, num_refined=2)


def tiny_models() -> dict[str, FgaesqConfig]:
    head = {"head_hidden_sizes": [9, 8]}
    return {
        "tower": FgaesqConfig(backbone_config=dict(TOWER), **head),
        "five": FgaesqConfig(backbone_config=dict(TOWER), max_score=5, num_labels=5, **head),
        "padded": FgaesqConfig(backbone_config=dict(TOWER), use_padding_attention=True, **head),
    }


def opinionated_model(**fields) -> FgaesqForAestheticAssessment:
    """A model whose weights are large, so that its scores differ."""
    torch.manual_seed(0)
    model = FgaesqForAestheticAssessment(FgaesqConfig(backbone_config=dict(TOWER), **fields)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if not name.startswith("backbone.vision_model.pre") and parameter.ndim:
                parameter.add_(0.2 * torch.randn(parameter.shape))
    return model


def pictures(count: int) -> list[Image.Image]:
    generator = torch.Generator().manual_seed(4)
    pixels = torch.randint(0, 256, (count, 128, 96, 3), generator=generator).to(torch.uint8)
    return [Image.fromarray(each.numpy()) for each in pixels]


# ---- the tower ----


def test_coarse_tokens_on_the_grid_of_the_tower_are_stock_clip():
    model = opinionated_model()
    with torch.no_grad():
        model.scale_embedding[0] = 0
        pixels = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
        expected = model.backbone(pixels).image_embeds
        torch.testing.assert_close(model(pixels).image_embeds, expected, atol=1e-6, rtol=0)


def test_order_of_the_tokens_does_not_matter():
    model, inputs = opinionated_model(), PROCESSOR(pictures(2), return_tensors="pt")
    order = torch.randperm(23, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        shuffled = model(**{name: values[:, order] for name, values in inputs.items()})
        torch.testing.assert_close(shuffled.image_embeds, model(**inputs).image_embeds, atol=1e-5, rtol=0)


@pytest.mark.parametrize("grid", [(4, 4), (3, 7), (12, 5), (1, 1)])
def test_positions_are_interpolated_as_clip_does(grid):
    table = torch.randn(1, 6, 5, 5, generator=torch.Generator().manual_seed(1))
    expected = torch.nn.functional.interpolate(table, size=grid, mode="bicubic", align_corners=False)[0]
    rows, columns = (bicubic_weights((torch.arange(count) + 0.5) / count, 5) for count in grid)
    torch.testing.assert_close(torch.einsum("hr,wc,drc->dhw", rows, columns, table[0]), expected, atol=1e-5, rtol=0)


def test_padding_is_not_seen():
    inputs = PROCESSOR(pictures(2), return_tensors="pt")
    used = (inputs["token_scales"] >= 0).all(dim=0)
    assert used.sum() == 18
    model, released = opinionated_model(), opinionated_model(use_padding_attention=True)
    with torch.no_grad():
        for each, bound in ((model, 1e-5), (released, None)):
            padded = each(**inputs).logits
            short = each(**{name: values[:, used] for name, values in inputs.items()}).logits
            difference = (padded - short).abs().max().item()
            assert difference < bound if bound else difference > 1e-3


# ---- what learns ----


@pytest.mark.parametrize(
    ("switch", "still"),
    [
        ("use_detached_scales", "scale_embedding"),
        ("use_frozen_positions", "backbone.vision_model.embeddings.position_embedding.weight"),
        ("use_padding_attention", None),
    ],
)
def test_gradient_reaches_everything_but_what_the_released_code_forgets(switch, still, tmp_path):
    inputs = PROCESSOR.preprocess_series(pictures(3))
    released = opinionated_model(**{switch: True})
    released.save_pretrained(tmp_path)
    for model in (opinionated_model(), released, FgaesqForAestheticAssessment.from_pretrained(tmp_path)):
        model(**inputs, ranks=torch.tensor([2, 0, 1]), text_embeds=torch.randn(3, 12)).loss.backward()
        missing = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
        missing = [name for name in missing if not name.endswith("k_proj.bias")]  # softmax does not see them
        assert missing == ([still] if still and getattr(model.config, switch) else [])
        assert model.mask_token is None or model.mask_token.grad.any()


def test_a_loaded_tower_keeps_its_weights(tmp_path):
    torch.manual_seed(1)
    CLIPVisionModelWithProjection(CLIPVisionConfig(**TOWER)).save_pretrained(tmp_path)
    model = FgaesqForAestheticAssessment.from_backbone_pretrained(str(tmp_path), max_score=5, num_labels=5).eval()
    pixels = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        model.scale_embedding[0] = 0
        expected = CLIPVisionModelWithProjection.from_pretrained(tmp_path)(pixels).image_embeds
        torch.testing.assert_close(model(pixels).image_embeds, expected, atol=1e-6, rtol=0)


# ---- series ----


def test_a_picture_beside_itself_is_even():
    picture = pictures(1)[0]
    with torch.no_grad():
        outputs = opinionated_model()(**PROCESSOR.preprocess_series([picture, picture.copy()]))
    assert outputs.pair_probabilities.item() == 0.5


def test_pairs_compare_each_picture_as_it_is_seen_beside_the_other():
    model, images = opinionated_model(), pictures(3)
    inputs = PROCESSOR.preprocess_series(images)
    with torch.no_grad():
        chances = model(**inputs).pair_probabilities
        for (i, j), chance in zip(inputs["pair_images"].tolist(), chances.tolist(), strict=True):
            beside = PROCESSOR([images[i], images[j]], partners=[images[j], images[i]], return_tensors="pt")
            first, second = model(**beside).score.tolist()
            assert chance == pytest.approx(1 / (1 + math.exp(second - first)), abs=1e-5)
    assert (chances - 0.5).abs().min() > 1e-4


def test_the_loss_counts_each_series_once():
    """Two series in one batch cost the mean of both alone, though one has more pairs and captions."""
    model, images = opinionated_model(align_loss_weight=2.0), pictures(5)
    text = torch.randn(4, 12, generator=torch.Generator().manual_seed(0))
    text[1] = torch.nan
    first = PROCESSOR.preprocess_series(images[:3])
    second = PROCESSOR.preprocess_series(images[3:])
    losses = [
        model(**first, ranks=torch.tensor([0, 1, 2]), text_embeds=text[:3]).loss.item(),
        model(**second, ranks=torch.tensor([1, 0]), text_embeds=text[3:]).loss.item(),
    ]
    both = {name: torch.cat([first[name], second[name]]) for name in PROCESSOR.model_input_names}
    pair_images = torch.cat([first["pair_images"], second["pair_images"] + 3])
    truth = {"ranks": torch.tensor([0, 1, 2, 1, 0]), "series": torch.tensor([0, 0, 0, 1, 1]), "text_embeds": text}
    loss = model(**both, pair_images=pair_images, **truth).loss.item()
    assert loss == pytest.approx(sum(losses) / 2, abs=1e-5)


@pytest.mark.parametrize("loss", ["rank_reg", "rank_reg_pairs", "bradley_terry"])
def test_weights_of_the_losses_add_up(loss):
    inputs = PROCESSOR.preprocess_series(pictures(3))
    truth = {"ranks": torch.tensor([0, 2, 1]), "text_embeds": torch.randn(3, 12)}
    values = {
        weights: opinionated_model(series_loss=loss, series_loss_weight=weights[0], align_loss_weight=weights[1])(
            **inputs, **truth
        ).loss.item()
        for weights in [(1, 0), (0, 1), (2, 3)]
    }
    assert values[2, 3] == pytest.approx(2 * values[1, 0] + 3 * values[0, 1], abs=1e-4)


def test_inputs_of_a_wrong_shape_are_refused():
    model, inputs = opinionated_model(), PROCESSOR.preprocess_series(pictures(3))
    with pytest.raises(ValueError, match=r"shape \(3, 2\), half of the rows .* got \(2, 2\)"):
        model(**{**inputs, "pair_images": inputs["pair_images"][:2]})
    with pytest.raises(ValueError, match=r"num_tokens, 3, 16, 16\), .* got \(6, 23, 3, 16, 16\)"):
        model(pixel_values=inputs["pixel_values"])
    with pytest.raises(ValueError, match=r"divisible by 16, got \(1, 3, 60, 64\)"):
        model(torch.zeros(1, 3, 60, 64))


@pytest.mark.parametrize("num_refined", [4, 0])
def test_four_series_are_learnt_by_heart_only_where_the_detail_is_seen(num_refined):
    """All that differs is a detail smaller than a coarse token. Of what rounding leaves there nothing is learnt."""
    processor = FgaesqImageProcessor(
        do_resize=False, num_refined=num_refined, candidate_share=0.16, sequence_length=33
    )
    batches = []
    for seed in range(4):
        images = [Image.fromarray(pixels) for pixels in render_series(seed).pictures]
        batches.append(processor.preprocess_series(images))
    inputs = {name: torch.cat([batch[name] for batch in batches]) for name in processor.model_input_names}
    inputs["pair_images"] = torch.cat([batch["pair_images"] + 3 * number for number, batch in enumerate(batches)])
    torch.manual_seed(0)
    tower = {**TOWER, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1}
    model = FgaesqForAestheticAssessment(FgaesqConfig(backbone_config=tower, head_dropouts=[0.0, 0.0]))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    series, ranks = torch.arange(4).repeat_interleave(3), torch.arange(3).repeat(4)
    for _ in range(70):
        optimizer.zero_grad()
        outputs = model(**inputs, ranks=ranks, series=series)
        outputs.loss.backward()
        optimizer.step()
    if num_refined:
        assert (outputs.pair_probabilities > 0.5).all() and outputs.loss < 1.5
    else:
        assert outputs.loss > 1.75  # log 3! = 1.79 for who knows nothing


# ---- every interface ----


def test_single_pictures_score_everywhere(tmp_path):
    model = opinionated_model(score_quantiles=[1.0, 5.0, 10.0])
    model.save_pretrained(tmp_path)
    PROCESSOR.save_pretrained(tmp_path)
    images = pictures(2)
    with torch.no_grad():
        expected = model(**PROCESSOR(images, return_tensors="pt"))
    records = pipeline("image-aesthetics", model=str(tmp_path))(images, batch_size=2)
    scorer = AestheticScorer.from_pretrained(tmp_path, device="cpu")
    for record, other, score in zip(records, scorer.score(images), expected.score.tolist(), strict=True):
        assert record["score"] == pytest.approx(score, abs=1e-5) == other["score"]
        assert 0 < record["percentile"] < 100 and record["score_std"] > 0
    assert scorer.preprocessing.startswith("rgb, squash 128x96, ")


@pytest.mark.parametrize("resized", [False, True])
def test_a_reward_is_the_score_of_the_saved_picture_with_a_gradient(resized):
    size = {"height": 160, "width": 128} if resized else {"height": 128, "width": 96}
    processor = FgaesqImageProcessor(size=size, sequence_length=32, num_refined=2)
    model = opinionated_model()
    reward = AestheticReward(model, processor)
    images = pictures(2)
    floats = torch.stack([pil_to_tensor(image) for image in images]).div(255).requires_grad_()
    scores = reward(floats)
    torch.testing.assert_close(scores, reward(images), atol=0.03 if resized else 1e-4, rtol=0)
    scores.sum().backward()
    assert (floats.grad.abs().amax(dim=1) > 0).float().mean() > 0.8
