"""Explanations against planted truth: a network that has learned to rate pictures by one small thing off centre."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tiny import TINY_RESNET, tiny_model

from hf_aesthetics.explain import Prediction, explain_prediction
from hf_aesthetics.explain.faithfulness import (
    area_under_curve,
    deletion_curve,
    insertion_curve,
    pointing_game,
    randomisation_correlation,
    with_random_weights,
)


SIDE, SUBJECT = 64, 16


def plant(worths: np.ndarray, seed: int) -> tuple[torch.Tensor, np.ndarray]:
    """Clouds and noise in grey, and off centre a square whose hue alone, from blue to orange, carries the worth."""
    generator = np.random.default_rng(seed)
    clouds = torch.from_numpy(generator.uniform(0.2, 0.8, (len(worths), 1, 8, 8)).astype(np.float32))
    pictures = F.interpolate(clouds, (SIDE, SIDE), mode="bicubic").expand(-1, 3, -1, -1).numpy()
    pictures = pictures + generator.normal(0, 0.08, pictures.shape)
    masks = np.zeros((len(worths), SIDE, SIDE), dtype=bool)
    for picture, mask, worth in zip(pictures, masks, worths, strict=True):
        top, left = 24, 24
        while max(abs(top - 24), abs(left - 24)) < 16:
            top, left = generator.integers(0, SIDE - SUBJECT + 1, 2)
        mask[top : top + SUBJECT, left : left + SUBJECT] = True
        hue = np.array([0.15 + 0.75 * worth, 0.45, 0.9 - 0.75 * worth])
        picture[:, mask] = hue[:, None] + generator.normal(0, 0.05, (3, SUBJECT**2))
    return torch.from_numpy(pictures.clip(0, 1)).float() * 2 - 1, masks


@pytest.fixture(scope="module")
def planted() -> tuple[list[Prediction], np.ndarray, np.ndarray]:
    """What the trained network says of new pictures, where their subjects are, and what these are worth."""
    worths = np.random.default_rng(0).uniform(0, 1, 512)
    pixel_values, _ = plant(worths, seed=1)
    ratings = 1 + 4 * torch.from_numpy(worths)[:, None]
    labels = (-((torch.arange(1, 6) - ratings) ** 2) / 0.5).softmax(dim=1).float()
    model = tiny_model(TINY_RESNET).train()
    optimizer = torch.optim.AdamW(model.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=200)
    for _ in range(200):
        batch = torch.randint(0, len(labels), (16,))
        optimizer.zero_grad()
        model(pixel_values[batch], labels=labels[batch]).loss.backward()
        optimizer.step()
        schedule.step()
    # a subject of middling worth neither raises nor lowers the score, so there is nothing to point at
    worths = np.concatenate([np.linspace(0, 0.3, 15), np.linspace(0.7, 1, 15)])
    pixel_values, masks = plant(worths, seed=2)
    return [Prediction(model, {"pixel_values": picture[None]}) for picture in pixel_values], masks, worths


def test_the_network_has_learned_what_was_planted(planted):
    predictions, _, worths = planted
    scores = [prediction.values(prediction.pixel_values).item() for prediction in predictions]
    assert np.corrcoef(scores, worths)[0, 1] > 0.97


@pytest.mark.parametrize("method", ["grad_cam", "cam", "integrated_gradients", "occlusion"])
def test_the_strongest_place_is_the_subject(planted, method):
    predictions, masks, _ = planted
    every = slice(None) if "cam" in method else slice(None, None, 3)  # the pixels' methods take longer
    heats = [explain_prediction(prediction, method) for prediction in predictions[every]]
    assert pointing_game(heats, masks[every]) >= 0.9


@pytest.mark.parametrize("method", ["grad_cam", "grad_cam_plus_plus"])
def test_the_sign_of_the_heat_says_whether_the_subject_raises_the_score(planted, method):
    predictions, masks, worths = planted
    heats = [explain_prediction(prediction, method).numpy() for prediction in predictions]
    strengths = np.array([heat[mask].mean() for heat, mask in zip(heats, masks, strict=True)])
    rises = worths > 0.5
    if method == "grad_cam":
        assert (np.sign(strengths) == np.where(rises, 1, -1)).mean() >= 0.9
    else:
        assert all(heat.min() >= 0 for heat in heats)
        assert pointing_game(np.array(heats)[rises], masks[rises]) >= 0.9


def test_deletion_and_insertion_prefer_the_explanation_to_chance_and_to_the_centre(planted):
    predictions, generator = planted[0][::3], np.random.default_rng(0)
    rows, columns = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    rivals = {"chance": lambda _: generator.uniform(size=(SIDE, SIDE)), "centre": lambda _: -np.hypot(rows, columns)}
    areas = {name: [] for name in ("grad_cam", *rivals)}
    for prediction in predictions:
        for name, make in {"grad_cam": explain_prediction, **rivals}.items():
            heat = make(prediction)
            curves = deletion_curve(prediction, heat, 16), insertion_curve(prediction, heat, 16)
            areas[name].append([area_under_curve(curve) for curve in curves])
    for rival in rivals:
        deletion, insertion = np.subtract(areas["grad_cam"], areas[rival]).T
        assert deletion.mean() < -0.15 and (deletion < 0).mean() >= 0.9
        assert insertion.mean() > 0.15 and (insertion > 0).mean() >= 0.9


@pytest.mark.parametrize("method", ["grad_cam", "grad_cam_plus_plus", "integrated_gradients"])
def test_a_network_that_has_learned_nothing_is_explained_otherwise(planted, method):
    predictions = planted[0][::3]
    random_models = [with_random_weights(predictions[0].model, seed) for seed in (0, 1)]
    correlations = [
        randomisation_correlation(prediction, model, method, **({"num_steps": 16} if "int" in method else {}))
        for prediction in predictions
        for model in random_models
    ]
    assert abs(np.mean(correlations)) < 0.3


def test_random_weights_come_from_the_seed_alone_and_leave_the_model_and_chance_as_they_are(planted):
    model = planted[0][0].model
    before, state = {name: value.clone() for name, value in model.state_dict().items()}, torch.get_rng_state()
    first, again, other = (with_random_weights(model, seed).state_dict() for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(torch.equal(first[name], again[name]) for name in first)
    name = "score_head.dense.weight"
    assert not torch.equal(first[name], other[name]) and not torch.equal(first[name], before[name])


def test_curves_cover_and_uncover_in_the_order_of_the_heat():
    """Of two halves, worth different scores, each curve has one step in the middle."""
    model = tiny_model(TINY_RESNET).eval()
    torch.nn.init.normal_(model.score_head.dense.weight, std=1.0)
    pixel_values = torch.randn(1, 3, 32, 32)
    prediction = Prediction(model, {"pixel_values": pixel_values})
    heat = np.zeros((32, 32))
    heat[:16] = 1.0
    half = pixel_values.clone()
    empty = pixel_values.mean(dim=(2, 3), keepdim=True).expand_as(half)
    with torch.no_grad():
        whole, nothing = model(pixel_values).score.item(), model(empty).score.item()
        half[:, :, :16] = empty[:, :, :16]
        lower = model(half).score.item()
        upper = model(pixel_values + empty - half).score.item()
    assert deletion_curve(prediction, heat, 2) == pytest.approx([whole, lower, nothing], abs=1e-5)
    assert insertion_curve(prediction, heat, 2) == pytest.approx([nothing, upper, whole], abs=1e-5)
    with pytest.raises(ValueError, match=r"`heat` must be as large as `pixel_values`, \(32, 32\), got \(4, 4\)"):
        deletion_curve(prediction, np.zeros((4, 4)))


def test_a_mask_must_fit_its_heat():
    with pytest.raises(ValueError, match=r"as large as its heat, \(2, 2\), got \(3, 2\)"):
        pointing_game([np.zeros((2, 2))], [np.zeros((3, 2), dtype=bool)])
