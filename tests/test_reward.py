"""A scorer as a reward: the numbers of the scorer, and gradients that lead to pictures which it scores higher."""

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import TINY_RESNET
from torch.utils.checkpoint import checkpoint

from hf_aesthetics import (
    AestheticBaselineConfig,
    AestheticBaselineForAestheticAssessment,
    FisherVectorConfig,
    FisherVectorForAestheticAssessment,
    HandcraftedConfig,
    HandcraftedForAestheticAssessment,
    HandcraftedImageProcessor,
    ModalityImageProcessor,
    NimaConfig,
    NimaForAestheticAssessment,
)
from hf_aesthetics.scoring import AestheticReward, AestheticScorer


SIZE = {"height": 64, "width": 64}


def make_scorer(name: str) -> tuple:
    torch.manual_seed(0)
    processor = ModalityImageProcessor(size=SIZE)
    if name == "handcrafted":
        model, processor = HandcraftedForAestheticAssessment(HandcraftedConfig()), HandcraftedImageProcessor(size=SIZE)
    elif name == "fisher_vector":
        model = FisherVectorForAestheticAssessment(FisherVectorConfig(pca_size=8, num_components=4))
        processor = ModalityImageProcessor(size=SIZE, image_mean=[0.0] * 3, image_std=[1.0] * 3)
    elif name == "aesthetic_baseline":
        config = AestheticBaselineConfig(backbone_config=dict(TINY_RESNET), objective="ranking")
        model = AestheticBaselineForAestheticAssessment(config)
    else:
        modality = name.removeprefix("nima ") if " " in name else "rgb"
        processor = ModalityImageProcessor(size=SIZE, modality=modality)
        config = NimaConfig(backbone_config=dict(TINY_RESNET), num_channels=4 if "+" in modality else 3)
        model = NimaForAestheticAssessment(config)
    head: Any = getattr(model.score_head, "dense", model.score_head)
    torch.nn.init.normal_(head.weight, std=2.0 if head.in_features < 20 else 0.3)
    return model, processor


@pytest.fixture(scope="module")
def reward() -> AestheticReward:
    return AestheticReward(*make_scorer("nima"))


def photographs(count: int, height: int = 90, width: int = 120) -> torch.Tensor:
    """Soft coloured pictures, `(count, 3, height, width)` in 8-bit steps of [0, 1]."""
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(count, 3, height // 10, width // 10, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 1)
    return (255 * (0.8 * smooth + 0.2 * torch.rand(smooth.shape, generator=generator))).round() / 255


def as_pictures(images: torch.Tensor) -> list[Image.Image]:
    levels = (255 * images.detach().float()).round().to(torch.uint8)
    return [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in levels]


SCORERS = ["nima", "aesthetic_baseline", "handcrafted", "fisher_vector", "nima gray", "nima saliency", "nima rgb+gray"]


@pytest.mark.parametrize("name", SCORERS)
def test_reward_is_the_score_of_the_scorer(name):
    model, processor = make_scorer(name)
    reward, scorer = AestheticReward(model, processor), AestheticScorer(model, processor, name=name, device="cpu")
    images = photographs(3).requires_grad_()
    pictures = as_pictures(images)
    expected = torch.tensor([record["score"] for record in scorer.score(pictures)])
    assert torch.equal(reward(pictures), expected), "a list takes the very path of the scorer"
    torch.testing.assert_close(reward(images), expected, atol=0.02, rtol=0)  # 8-bit rounding after the resize
    assert expected.std() > 0.02, "not all the same"


@pytest.mark.parametrize("name", SCORERS)
def test_gradient_ascent_raises_the_score_of_the_saved_picture(name):
    model, processor = make_scorer(name)
    reward, scorer = AestheticReward(model, processor), AestheticScorer(model, processor, name=name, device="cpu")
    images = photographs(2)
    before = [record["score"] for record in scorer.score(as_pictures(images))]
    for _ in range(6):
        images.requires_grad_()
        (gradient,) = torch.autograd.grad(reward(images).sum(), images)
        assert gradient.isfinite().all()
        images = (images.detach() + 0.01 * gradient.sign()).clamp(0, 1)
    after = [record["score"] for record in scorer.score(as_pictures(images))]
    assert all(late > early + 0.02 for early, late in zip(before, after, strict=True)), (before, after)


@pytest.mark.parametrize("view", ["squash", "crop"])
@pytest.mark.parametrize(("resample", "levels"), [(2, 1.1), (3, 12)])  # 8-bit bicubic clips between its two passes
def test_pixels_are_those_of_the_processor(view, resample, levels):
    processor = ModalityImageProcessor(size=SIZE, view=view, resample=resample)
    reward = AestheticReward(make_scorer("nima")[0], processor)
    images, std = photographs(2), torch.tensor(processor.image_std).view(3, 1, 1)
    ours = reward._differentiable_inputs(images)["pixel_values"]
    difference = 255 * std * (ours - processor(as_pictures(images), return_tensors="pt").pixel_values).abs()
    assert difference.max() <= levels and difference.mean() < 0.4


def test_gradients_are_the_slopes(reward):
    images = (0.1 + 0.8 * photographs(1, 70, 80)).requires_grad_()  # away from black and white
    (gradient,) = torch.autograd.grad(reward(images).sum(), images)
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(2))
    for step in (0.01 * gradient / gradient.norm(), 0.03 * gradient / gradient.norm(), 0.0003 * noise):
        with torch.no_grad():
            rise = reward(images + step) - reward(images - step)
        assert rise.item() == pytest.approx(2 * (gradient * step).sum().item(), rel=0.05)


def test_pictures_of_a_batch_do_not_see_each_other(reward):
    images = photographs(3).requires_grad_()
    scores = reward(images)
    (gradient,) = torch.autograd.grad(scores[1], images, retain_graph=True)
    assert gradient[1].abs().max() > 0 and gradient[0].abs().max() == gradient[2].abs().max() == 0
    torch.testing.assert_close(torch.cat([reward(image[None]) for image in images]), scores, atol=1e-5, rtol=0)


def test_a_generator_learns_through_it_and_the_scorer_stays(reward):
    """As in training: everything is set to train, activations are computed anew, the decoder is in bfloat16."""
    before = {name: tensor.clone() for name, tensor in reward.state_dict().items()}
    torch.manual_seed(0)
    decoder = torch.nn.Conv2d(3, 3, 1, bias=False, dtype=torch.bfloat16)
    torch.nn.init.dirac_(decoder.weight)
    whole = torch.nn.ModuleDict({"decoder": decoder, "reward": reward}).train()
    assert not any(module.training for module in reward.modules())
    latents = photographs(2).to(torch.bfloat16)
    plain = reward(decoder(latents))
    (expected,) = torch.autograd.grad(plain.sum(), decoder.weight)
    again = checkpoint(reward, decoder(latents), use_reentrant=False)
    assert plain.dtype == torch.float32 and torch.equal(plain, again)
    again.sum().backward()
    assert decoder.weight.grad is not None and torch.equal(decoder.weight.grad, expected) and expected.any()
    assert [name for name, parameter in whole.named_parameters() if parameter.grad is not None] == ["decoder.weight"]
    assert all(torch.equal(tensor, before[name]) for name, tensor in reward.state_dict().items())


def test_range_of_a_decoder(reward):
    signed = AestheticReward(reward.model, reward.processor, value_range=(-1.0, 1.0))
    images = photographs(2)
    torch.testing.assert_close(signed(2 * images - 1), reward(images), atol=1e-5, rtol=0)
    beyond = (images * 1.3 - 0.15).requires_grad_()  # as decoders give
    (gradient,) = torch.autograd.grad(reward(beyond).sum(), beyond)
    assert torch.equal(reward(beyond), reward(beyond.clamp(0, 1)))
    assert gradient[(beyond < 0) | (beyond > 1)].abs().max() == 0 < gradient.abs().max()


def test_trainers_without_gradients_get_numbers_of_what_they_have(reward):
    images = photographs(2)
    pictures = as_pictures(images)
    assert reward(pictures).tolist() == reward((255 * images).round().to(torch.uint8)).tolist()
    assert not reward(pictures).requires_grad
    mixed = reward([pictures[0], as_pictures(photographs(1, 40, 60))[0]])
    assert mixed.shape == (2,) and mixed[0] == pytest.approx(reward(pictures)[0].item(), abs=1e-5)


def test_a_checkpoint_becomes_a_reward(tiny_checkpoint, photo_folder):
    reward = AestheticReward.from_pretrained(tiny_checkpoint, device="cpu")
    scorer = AestheticScorer.from_pretrained(tiny_checkpoint, device="cpu")
    path = photo_folder / "beach.jpg"
    assert reward([path]).tolist() == [scorer.score([path])[0]["score"]]
    pixels = torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1)[None] / 255
    assert reward(pixels).item() == pytest.approx(scorer.score([path])[0]["score"], abs=0.02)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.rand(3, 8, 8), r"must have shape .*, got \(3, 8, 8\)"),
        (torch.rand(1, 1, 8, 8), r"got \(1, 1, 8, 8\)"),
        (torch.rand(1, 3, 8, 8) * 2 - 1, r"values from 0 to 1, got -.* value_range=\(-1.0, 1.0\)"),
        (torch.rand(1, 3, 8, 8) * 255, "values from 0 to 1, got .* to 2"),
        (torch.full((1, 3, 8, 8), torch.nan), "got nan to nan"),
    ],
)
def test_batches_that_are_no_pictures_are_refused(images, message, reward):
    with pytest.raises(ValueError, match=message):
        reward(images)


@pytest.mark.parametrize(
    ("modality", "reason"), [("depth", "a network"), ("rgb+depth", "a network"), ("blur", "compare and count")]
)
def test_maps_without_a_gradient_are_refused_at_once(modality, reason, reward):
    name = modality.removeprefix("rgb+")
    with pytest.raises(ValueError, match=f"the maps '{name}' have none: .*{reason}"):
        AestheticReward(reward.model, ModalityImageProcessor(modality=modality))
