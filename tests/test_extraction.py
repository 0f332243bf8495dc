"""Maps for any pictures: closed form or a network, in order, on the scale that they promise."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats
from transformers import AutoModelForDepthEstimation, GLPNConfig, GLPNForDepthEstimation, GLPNImageProcessor

from hf_aesthetics import U2NetConfig, U2NetForImageSegmentation, U2NetImageProcessor
from hf_aesthetics.extraction import ModalityExtractor, nearness_map, resolve_extractor
from hf_aesthetics.models.modality_maps import make_modality_maps


KINDS = (("hidden", 8), ("inner", 4))
SIZES = [(40, 60), (60, 40), (40, 60), (300, 900), (40, 60)]  # height, width


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    rng = np.random.default_rng(0)
    coarse = [rng.integers(0, 256, (5, 5, 3), dtype=np.uint8) for _ in SIZES]
    return [Image.fromarray(c).resize((w, h)) for c, (h, w) in zip(coarse, SIZES, strict=True)]


def values(modality_map: Image.Image) -> np.ndarray:
    return np.asarray(modality_map, dtype=int)


@pytest.mark.parametrize("name", ["blur", "depth"])
def test_maps_come_in_order_and_each_as_if_alone(name, pictures, tiny_depth):
    checkpoint = str(tiny_depth) if name == "depth" else None
    extractor = ModalityExtractor(name, checkpoint, map_size=64, device="cpu", batch_size=2)
    maps = extractor.make_maps(pictures)
    assert [(m.mode, m.height, m.width) for m in maps] == [("L", h, w) for h, w in [*SIZES[:3], (21, 64), SIZES[4]]]
    for picture, together in zip(pictures, maps, strict=True):
        (alone,) = extractor.make_maps([picture])
        assert np.abs(values(together) - values(alone)).max() <= 1
    assert len({m.tobytes() for m in maps}) == len(maps)
    assert extractor.make_maps([]) == []


@pytest.mark.parametrize("size", [(1, 1), (4000, 20)])
def test_odd_shapes_have_maps(size, tiny_depth):
    (near,) = ModalityExtractor("depth", str(tiny_depth), device="cpu").make_maps([Image.new("RGB", size)])
    assert near.size == (size if size == (1, 1) else (512, 3))


def test_closed_form_is_what_the_processor_makes(pictures):
    (made,) = ModalityExtractor("saliency", device="cpu").make_maps(pictures[:1])
    pixels = torch.from_numpy(np.array(pictures[0])).permute(2, 0, 1)[None]
    np.testing.assert_array_equal(values(made), make_modality_maps(pixels, "saliency")[0, 0].numpy())


def test_nearness_is_stretched_between_the_1st_and_the_99th_percentile():
    depth = torch.from_numpy(np.random.default_rng(1).gamma(2, 3, (70, 90)) + 0.5)
    for is_distance, near in ((False, depth.numpy()), (True, 1 / depth.numpy())):
        low, high = np.percentile(near, [1, 99])
        expected = np.clip((near - low) / (high - low), 0, 1) * 255
        np.testing.assert_allclose(nearness_map(depth, is_distance).numpy(), expected, atol=0.51)


def test_what_is_equally_near_everywhere_is_0(pictures, tiny_depth, tmp_path):
    folder = shutil.copytree(tiny_depth, tmp_path / "flat")
    model = AutoModelForDepthEstimation.from_pretrained(folder)
    for parameter in model.head.parameters():
        torch.nn.init.constant_(parameter, 0.1)
    torch.nn.init.zeros_(model.head.conv3.weight)
    model.save_pretrained(folder)
    (flat,) = ModalityExtractor("depth", str(folder), device="cpu").make_maps(pictures[:1])
    assert values(flat).max() == 0
    assert nearness_map(torch.full((8, 8), 1e-3), is_distance=True).max() == 0


def test_distances_are_inverted(pictures, tiny_depth, tmp_path):
    folder = shutil.copytree(tiny_depth, tmp_path / "metric")
    model = AutoModelForDepthEstimation.from_pretrained(folder, depth_estimation_type="metric", max_depth=20)
    torch.nn.init.normal_(model.head.conv3.weight, std=1e3, generator=torch.Generator().manual_seed(0))
    model.save_pretrained(folder)
    extractor = ModalityExtractor("depth", str(folder), device="cpu")
    inputs = extractor.processor(images=pictures[:1], return_tensors="pt")
    with torch.no_grad():
        outputs = extractor.model(**inputs)
    [result] = extractor.processor.post_process_depth_estimation(outputs, [(40, 60)])
    (near,) = extractor.make_maps(pictures[:1])
    assert stats.spearmanr(values(near).ravel(), result["predicted_depth"].numpy().ravel()).statistic < -0.95


def test_a_model_type_that_is_always_metric_is_inverted(pictures, tmp_path):
    sizes = {"hidden_sizes": [8, 8, 8, 8], "num_attention_heads": [1, 1, 1, 1], "decoder_hidden_size": 8}
    torch.manual_seed(0)
    model = GLPNForDepthEstimation(GLPNConfig(depths=[1, 1, 1, 1], **sizes)).eval()
    model.save_pretrained(tmp_path)
    GLPNImageProcessor().save_pretrained(tmp_path)
    (near,) = ModalityExtractor("depth", str(tmp_path), device="cpu").make_maps(pictures[3:4])
    with torch.no_grad():
        distance = model(**GLPNImageProcessor()(pictures[3:4], return_tensors="pt")).predicted_depth[0]
    shrunk = np.asarray(near.resize(distance.shape[::-1]), dtype=float)
    assert stats.spearmanr(shrunk.ravel(), distance.numpy().ravel()).statistic < -0.8


def test_a_mask_is_the_sigmoid_of_the_logits_and_not_stretched(pictures, tmp_path):
    sizes = {
        f"{part}_{kind}_sizes": [width] * n for part, n in (("encoder", 6), ("decoder", 5)) for kind, width in KINDS
    }
    torch.manual_seed(0)
    model = U2NetForImageSegmentation(U2NetConfig(**sizes)).eval()
    model.save_pretrained(tmp_path)
    processor = U2NetImageProcessor(size={"height": 64, "width": 64})
    processor.save_pretrained(tmp_path)
    maps = ModalityExtractor("saliency_u2net", str(tmp_path), device="cpu").make_maps(pictures[:2])
    assert [m.size for m in maps] == [(60, 40), (40, 60)]
    for picture, mask in zip(pictures, maps, strict=False):
        with torch.no_grad():
            share = model(**processor([picture], return_tensors="pt")).logits.sigmoid() * 255
        assert share.min() - 1 <= values(mask).min() <= values(mask).max() <= share.max() + 1
        assert values(mask).mean() == pytest.approx(share.mean().item(), abs=1)
    model.load_state_dict({name: torch.zeros_like(value) for name, value in model.state_dict().items()})
    model.save_pretrained(tmp_path)
    (half,) = ModalityExtractor("saliency_u2net", str(tmp_path), device="cpu").make_maps(pictures[:1])
    assert set(values(half).ravel()) == {128}  # the sigmoid of 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("depth", "{nima}"), "Expected a network for depth-estimation .*'.*nima-tiny', which is a 'nima'"),
        (("saliency_u2net", "{depth}"), "a network for image-segmentation .*which is a 'depth_anything'"),
        (("saliency_u2net",), "none is named. Give its checkpoint"),
        (("blur", "{depth}"), "'blur' come from no network, got"),
        (("depth", "{depth}", "sha256:000000000000"), "must be those of 'sha256:000000000000', got 'sha256:"),
        (("rgb",), "A map must be one of .*got 'rgb'"),
        (("rgb+depth",), "A map must be one of .*got 'rgb.depth'"),
        (("depth", "{empty}"), "Expected model.safetensors in"),
    ],
)
def test_what_makes_no_maps_is_refused_in_one_line(arguments, message, tiny_checkpoint, tiny_depth, tmp_path):
    places = {"nima": tiny_checkpoint, "depth": tiny_depth, "empty": tmp_path}
    with pytest.raises(ValueError, match=message) as refused:
        ModalityExtractor(*(text.format(**places) for text in arguments), device="cpu")
    assert "\n" not in str(refused.value)


def test_a_checkpoint_that_is_not_there_is_named():
    with pytest.raises(OSError, match="must be a folder or a repository on the Hub, got 'no/such-depth'"):
        resolve_extractor("depth", "no/such-depth")
