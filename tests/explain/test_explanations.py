"""Explanations against theory: what each method must say of models whose reasons are known."""

import io
import itertools
import math

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import TINY_RESNET, TINY_VIT, tiny_model

from hf_aesthetics import ModalityImageProcessor, NimaConfig, NimaForAestheticAssessment
from hf_aesthetics.explain import METHODS, Prediction, explain, explain_prediction
from hf_aesthetics.explain.activation_maps import cam, grad_cam, grad_cam_plus_plus
from hf_aesthetics.explain.pixel_maps import integrated_gradients, occlusion


DINO = {**TINY_VIT, "model_type": "dinov3_vit"}


class PixelScorer(NimaForAestheticAssessment):
    """Scores by a few pixels and a number beside them, in closed form, and has no feature with places."""

    supports_spatial_explanation = False

    def forward(self, pixel_values, aspect_ratio=None, **kwargs):
        outputs = super().forward(pixel_values, **kwargs)
        score = 3 + pixel_values[:, 0, 3:6, 20:24].sum(dim=(1, 2)) - pixel_values[:, 1, 10, 10] ** 2
        outputs["score"] = score if aspect_ratio is None else score * aspect_ratio
        return outputs


def alert(model: NimaForAestheticAssessment) -> NimaForAestheticAssessment:
    """The head of a new model is so timid that all pictures score alike."""
    torch.nn.init.normal_(model.score_head.dense.weight, std=1.0, generator=torch.Generator().manual_seed(3))
    return model.eval()


def predict(model, height=32, width=32, seed=0, target="score") -> Prediction:
    pixel_values = torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(seed))
    return Prediction(model, {"pixel_values": pixel_values}, target)


@pytest.fixture(scope="module")
def resnet() -> NimaForAestheticAssessment:
    return alert(tiny_model(TINY_RESNET))


@pytest.fixture(scope="module")
def pixel_scorer() -> PixelScorer:
    return PixelScorer(NimaConfig(backbone_config=dict(TINY_RESNET))).eval()


# ---- maps of the last feature ----


def test_cam_is_each_class_map_of_the_paper_times_its_share_in_the_score(resnet):
    prediction = predict(resnet, 48, 64)
    with torch.no_grad():
        outputs = resnet(prediction.pixel_values, output_hidden_states=True)
        class_maps = torch.einsum("ck,kyx->cyx", resnet.score_head.dense.weight, outputs.spatial_features[0])
    shares = outputs.logits[0].softmax(dim=0)
    ratings = torch.arange(1.0, 6.0)
    expected = torch.einsum("c,cyx->yx", shares * (ratings - outputs.score), class_maps)
    torch.testing.assert_close(cam(prediction), expected, atol=1e-5, rtol=1e-4)


def test_grad_cam_is_cam_up_to_scale_where_a_linear_layer_reads_the_average(resnet):
    prediction = predict(resnet, 48, 64)
    first, second = cam(prediction), grad_cam(prediction)
    torch.testing.assert_close(second / second.abs().max(), first / first.abs().max(), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_cam_says_that_it_needs_an_average_of_all_places(pooling):
    model = alert(tiny_model({**TINY_VIT, "patch_size": 8}, pooling=pooling))
    with pytest.raises(ValueError, match=r"linear head over an average.* by \d+%.*Choose 'grad_cam'"):
        cam(predict(model))


def test_grad_cam_plus_plus_is_equation_19_of_the_paper(resnet):
    prediction = predict(resnet)
    features, gradients = (values.numpy().astype(np.float64) for values in prediction.spatial_features())
    expected = np.zeros(features.shape[1:])
    for feature, gradient in zip(features, gradients, strict=True):
        weight = 0.0
        for place in np.ndindex(feature.shape):
            if (g := gradient[place]) > 0:
                weight += g**2 / (2 * g**2 + feature.sum() * g**3) * g
        expected += weight * feature
    np.testing.assert_allclose(grad_cam_plus_plus(prediction), expected.clip(0), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("backbone", [TINY_VIT | {"patch_size": 8}, DINO | {"patch_size": 8}], ids=["vit", "dinov3"])
def test_patches_of_a_transformer_lie_where_they_are_in_the_picture(backbone):
    """Of tokens that one patch alone disturbs before the first block, that patch changes most."""
    model = alert(tiny_model(backbone, pooling="mean"))
    plain = torch.zeros(1, 3, 32, 32)
    before, _ = Prediction(model, {"pixel_values": plain}).spatial_features()
    assert before.shape == (16, 4, 4), "class and register tokens are no places"
    for row, column in [(0, 0), (0, 3), (2, 1), (3, 3)]:
        planted = plain.clone()
        planted[..., 8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = 3.0
        after, _ = Prediction(model, {"pixel_values": planted}).spatial_features()
        change = (after - before).square().sum(dim=0)
        assert divmod(change.argmax().item(), 4) == (row, column)


@pytest.mark.parametrize("method", ["grad_cam", "grad_cam_plus_plus"])
def test_wide_pictures_have_wide_maps_of_patches(method):
    backbone = {**TINY_VIT, "model_type": "siglip2_vision_model", "num_patches": 16, "patch_size": 8}
    del backbone["image_size"]
    model = alert(tiny_model(backbone))
    assert METHODS[method](predict(model, 24, 48)).shape == (3, 6)


# ---- maps of pixels ----


def test_integrated_gradients_are_exact_for_a_polynomial_of_pixels(pixel_scorer):
    prediction = predict(pixel_scorer)
    pixels, mean = prediction.pixel_values[0].numpy(), prediction.pixel_values[0].mean(dim=(1, 2)).numpy()
    expected = np.zeros((32, 32))
    expected[3:6, 20:24] = pixels[0, 3:6, 20:24] - mean[0]
    expected[10, 10] = -(pixels[1, 10, 10] ** 2 - mean[1] ** 2)
    np.testing.assert_allclose(integrated_gradients(prediction), expected, atol=1e-5)


@pytest.mark.parametrize("target", ["score", "score_std"])
def test_integrated_gradients_add_up_to_what_the_picture_adds_to_an_empty_one(resnet, target):
    prediction = predict(resnet, target=target)
    empty = prediction.baseline.expand_as(prediction.pixel_values)
    added = (prediction.values(prediction.pixel_values) - prediction.values(empty)).item()
    errors = [abs(integrated_gradients(prediction, num_steps).sum().item() - added) for num_steps in (4, 256)]
    assert abs(added) > 0.05
    assert errors[1] < 0.01 * abs(added) and errors[1] < errors[0]


def test_occlusion_is_what_a_loop_over_windows_finds(resnet):
    """In the middle of a window lies its own loss, elsewhere the mean of those around, weighted by nearness."""
    prediction, half = predict(resnet, 24, 32), 4
    pixels, heat = prediction.pixel_values, occlusion(prediction, window=0.25).double()
    mean = pixels.mean(dim=(2, 3), keepdim=True)
    rows, columns = range(0, 28, 3), range(0, 36, half)  # middles of windows of 6 x 8 pixels, to the far border
    losses = {}
    for y, x in itertools.product(rows, columns):
        covered = pixels.clone()
        for v, u in itertools.product(range(y - 3, y + 3), range(x - 4, x + 4)):
            if 0 <= v < 24 and 0 <= u < 32:
                covered[:, :, v, u] = mean[:, :, 0, 0]
        with torch.no_grad():
            losses[y, x] = (resnet(pixels).score - resnet(covered).score).item()
    for v, u in [(0, 0), (11, 17), (23, 31), (5, 30)]:
        weights = {(y, x): max(0, 1 - abs(v + 0.5 - y) / 3) * max(0, 1 - abs(u + 0.5 - x) / half) for y, x in losses}
        expected = sum(weights[place] * losses[place] for place in losses) / sum(weights.values())
        assert heat[v, u].item() == pytest.approx(expected, abs=1e-5)


def test_occlusion_does_not_depend_on_the_batch_size(resnet):
    prediction = predict(resnet)
    torch.testing.assert_close(
        occlusion(prediction, batch_size=1), occlusion(prediction, batch_size=7), atol=1e-5, rtol=0
    )


def test_occlusion_refuses_a_window_in_pixels(resnet):
    with pytest.raises(ValueError, match=r"`window` must be a share .*got 32"):
        occlusion(predict(resnet), window=32)


# ---- any scorer, any modality ----


def test_a_model_without_places_says_so_and_is_explained_by_its_pixels(pixel_scorer):
    for method in ("grad_cam", "grad_cam_plus_plus", "cam"):
        with pytest.raises(ValueError, match=r"PixelScorer has none\. Choose 'integrated_gradients' or 'occlusion'"):
            explain_prediction(predict(pixel_scorer), method)
    for method in ("integrated_gradients", "occlusion"):
        heat = explain_prediction(predict(pixel_scorer), method)
        assert heat.shape == (32, 32) and heat.any()


@pytest.mark.parametrize("method", ["integrated_gradients", "occlusion"])
def test_what_a_model_reads_beside_the_pixels_stays_as_it_is(pixel_scorer, method):
    plain = predict(pixel_scorer)
    wide = Prediction(pixel_scorer, {**plain.inputs, "aspect_ratio": torch.tensor([1.5])})
    torch.testing.assert_close(explain_prediction(wide, method), 1.5 * explain_prediction(plain, method))


@pytest.mark.parametrize("method", METHODS)
def test_a_model_that_answers_with_nan_is_not_explained(method):
    model = alert(tiny_model(TINY_RESNET))
    torch.nn.init.constant_(model.score_head.dense.bias, math.nan)
    with pytest.raises(ValueError, match=f"NimaForAestheticAssessment must be finite, but '{method}' met NaN"):
        explain_prediction(predict(model), method)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("is_training", [False, True])
def test_explaining_leaves_no_trace(resnet, method, is_training):
    resnet.train(is_training)
    resnet.backbone.encoder.stages[0].eval()  # as a frozen stage
    resnet.score_head.requires_grad_(False)
    modes = [module.training for module in resnet.modules()]
    state = {name: value.clone() for name, value in resnet.state_dict().items()}
    prediction = predict(resnet)
    given = prediction.inputs["pixel_values"].clone()
    with torch.inference_mode():  # as in a demo
        heat = explain_prediction(prediction, method)
    resnet.score_head.requires_grad_(True)
    assert [module.training for module in resnet.modules()] == modes
    assert all(parameter.grad is None for parameter in resnet.parameters())
    assert all(torch.equal(value, state[name]) for name, value in resnet.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in resnet.modules())
    assert (
        torch.equal(prediction.inputs["pixel_values"], given) and not prediction.inputs["pixel_values"].requires_grad
    )
    assert heat.dtype == torch.float32 and not heat.requires_grad
    resnet.eval()
    torch.testing.assert_close(heat, explain_prediction(predict(resnet), method))


@pytest.mark.parametrize("method", METHODS)
def test_a_frozen_model_in_half_precision_is_explained_in_float32(method):
    model = alert(tiny_model(TINY_RESNET)).to(torch.bfloat16).requires_grad_(False)
    model.score_head.float()
    exact = explain_prediction(predict(alert(tiny_model(TINY_RESNET))), method).flatten()
    rough = explain_prediction(predict(model), method).flatten()
    assert rough.dtype == torch.float32
    assert torch.corrcoef(torch.stack([exact, rough]))[0, 1] > 0.9


@pytest.mark.parametrize("modality", ["rgb", "blur", "rgb+gray"])
def test_heat_has_the_proportions_of_the_picture(modality):
    model = alert(tiny_model(TINY_RESNET, num_channels=4 if "+" in modality else 3))
    processor = ModalityImageProcessor(modality=modality, size={"height": 32, "width": 32})
    picture = Image.effect_noise((90, 45), 60).convert("RGB")
    explanation = explain(model, processor, picture)
    assert explanation.heat.shape == (16, 32) and explanation.heat.dtype == np.float32
    with torch.no_grad():
        assert explanation.score == pytest.approx(model(**processor([picture], return_tensors="pt")).score.item())
    spread = explain(model, processor, picture, target="score_std")
    assert spread.score == explanation.score and not np.allclose(spread.heat, explanation.heat)


def test_a_map_that_was_made_before_is_explained_in_place_of_the_picture(resnet):
    processor = ModalityImageProcessor(modality="depth", size={"height": 32, "width": 32})
    picture, depth = Image.new("RGB", (60, 40)), Image.effect_noise((60, 40), 60)
    rgb = ModalityImageProcessor(size={"height": 32, "width": 32})
    explanation = explain(resnet, processor, picture, modality_map=depth)
    np.testing.assert_array_equal(explanation.heat, explain(resnet, rgb, depth).heat)


def test_heat_of_the_crop_view_lies_where_the_crop_was(pixel_scorer):
    """The scorer looks at rows 3 to 5 and columns 20 to 23 of 32, which are those of the crop."""
    processor = ModalityImageProcessor(view="crop", crop_fraction=0.8, size={"height": 32, "width": 32})
    picture = Image.effect_noise((160, 80), 80).convert("RGB")
    explanation = explain(pixel_scorer, processor, picture, "integrated_gradients")
    assert explanation.heat.shape == (40, 80)
    rows, columns = np.nonzero(explanation.heat)
    # the crop of 64 x 64 pixels starts at row 8, column 48: half of that in the heat
    assert (rows.min(), rows.max()) == (4 + 3, 4 + 10)
    assert (columns.min(), columns.max()) == (24 + 10, 24 + 23)


def test_a_file_is_explained_like_its_picture(resnet, tmp_path):
    processor = ModalityImageProcessor(size={"height": 32, "width": 32})
    picture, stream = Image.effect_noise((40, 40), 80).convert("RGB"), io.BytesIO()
    picture.save(tmp_path / "noise.png")
    picture.save(stream, "PNG")
    expected = explain(resnet, processor, picture).heat
    for source in (tmp_path / "noise.png", str(tmp_path / "noise.png"), stream.getvalue()):
        np.testing.assert_array_equal(explain(resnet, processor, source).heat, expected)


def test_what_does_not_exist_is_named(resnet):
    with pytest.raises(ValueError, match=r"`method` must be one of \['grad_cam', .*\], got 'gradcam'"):
        explain_prediction(predict(resnet), "gradcam")
    with pytest.raises(ValueError, match=r"one of \['score', 'score_std'\], got 'beauty'"):
        explain_prediction(predict(resnet, target="beauty"))
    with pytest.raises(ValueError, match=r"of one picture.* got \(2, 3, 32, 32\)"):
        Prediction(resnet, {"pixel_values": torch.zeros(2, 3, 32, 32)})
    with pytest.raises(ValueError, match="Expected a scorer.*'resnet'"):
        Prediction(resnet.backbone, {"pixel_values": torch.zeros(1, 3, 32, 32)})
    assert math.isfinite(predict(resnet).values(torch.zeros(1, 3, 32, 32)).item())
