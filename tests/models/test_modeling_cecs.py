"""CECS: views in training, its losses, its embedding. `tiny_models` feeds the contract tests."""

import pytest
import torch
import torch.nn.functional as F
from tiny import TINY_RESNET, TINY_VIT
from transformers import AutoModel

from hf_aesthetics import CecsConfig, CecsModel
from hf_aesthetics.models.similarity_losses import cosine_triplet_loss


BAD_VALUES = [
    ({"embedding_size": 0}, "`embedding_size` must be at least 1"),
    ({"num_labels": 1}, "at least 2, got 128 and 1"),
    ({"view_share": 1.5}, "`view_share` in [0, 1], got 4 and 1.5"),
    ({"view_grid": 0}, "`view_grid` must be at least 1"),
    ({"views": ["shuffled"]}, "Invalid item at index 0 in list 'views'"),
    ({"mask_fill": "black"}, "black"),
    ({"similarity_loss": "arcface"}, "arcface"),
    ({"similarity_loss_weight": -1}, "`similarity_loss_weight` must be at least 0, got -1"),
    ({"similarity_scale": 0}, "`similarity_scale` must be above 0, got 0"),
    ({"num_channels": 1}, "`num_channels` must be 3 or"),
]
LABELS = torch.tensor([0, 1, 2, 0])


def tiny_models() -> dict[str, CecsConfig]:
    fields = {"num_labels": 3, "embedding_size": 6}
    return {
        "resnet": CecsConfig(backbone_config=dict(TINY_RESNET), **fields),
        "vit": CecsConfig(backbone_config=dict(TINY_VIT, image_size=64), pooling="mean", **fields),
        "stages": CecsConfig(backbone_config=dict(TINY_RESNET), pooled_stages=[-2], num_channels=4, **fields),
    }


def tiny(backbone: dict = TINY_VIT, **fields) -> CecsModel:
    torch.manual_seed(0)
    return CecsModel(CecsConfig(backbone_config=dict(backbone), num_labels=3, embedding_size=6, **fields))


def batch() -> torch.Tensor:
    return torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def test_embeddings_have_length_one_and_views_are_for_training_alone():
    model = tiny().eval()
    with torch.no_grad():
        outputs, again = model(batch(), LABELS), model(batch(), LABELS)
    torch.testing.assert_close(outputs.image_embeds.norm(dim=1), torch.ones(4))
    assert torch.equal(outputs.loss, again.loss)
    expected = F.cross_entropy(outputs.logits, LABELS) + 0.2 * cosine_triplet_loss(outputs.image_embeds, LABELS, 0.2)
    torch.testing.assert_close(outputs.loss, expected)
    assert model(batch()).loss is None


def test_loss_is_the_sum_over_the_picture_and_its_views():
    """A model without dropout or batch norm; the views are those that the same seed draws."""
    model = tiny(similarity_loss_weight=0.5).train()
    torch.manual_seed(7)
    loss = model(batch(), LABELS).loss
    torch.manual_seed(7)
    views = [batch(), *model._draw_views(batch(), LABELS)]
    model.eval()
    outputs = [model(view) for view in views]
    expected = sum(F.cross_entropy(each.logits, LABELS) for each in outputs)
    embeds = torch.cat([each.image_embeds for each in outputs])
    expected = expected + 0.5 * cosine_triplet_loss(embeds, LABELS.repeat(3), 0.2)
    torch.testing.assert_close(loss, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_gradient_flows_through_all_three_views(weight):
    model, seen = tiny(similarity_loss_weight=weight).train(), []

    def keep(module, arguments):
        (pixel_values,) = arguments
        pixel_values.requires_grad_()
        seen.append(pixel_values)

    model.backbone.register_forward_pre_hook(keep)
    model(batch(), LABELS).loss.backward()
    assert seen[0].shape[0] == 12 and seen[0].grad.abs().amax(dim=(1, 2, 3)).min() > 0


@pytest.mark.parametrize(("views", "rows"), [([], 4), (["masked"], 8), (["replaced"], 8)])
def test_views_can_be_left_out(views, rows):
    model, shapes = tiny(views=views).train(), []
    model.backbone.register_forward_pre_hook(lambda module, arguments: shapes.append(arguments[0].shape))
    outputs = model(batch(), LABELS)
    assert shapes[0][0] == rows and outputs.logits.shape == (4, 3) and outputs.image_embeds.shape == (4, 6)


def test_a_batch_of_one_category_is_refused_where_patches_are_replaced():
    one = torch.zeros(4, dtype=torch.long)
    with pytest.raises(ValueError, match="at least 2 labels, got 4 of label 0"):
        tiny().train()(batch(), one)
    assert torch.isfinite(tiny(views=["masked"]).train()(batch(), one).loss)


def test_a_pretrained_backbone_is_taken_over(tmp_path):
    source = tiny(TINY_RESNET)
    source.backbone.save_pretrained(tmp_path)
    model = CecsModel.from_backbone_pretrained(str(tmp_path), num_labels=7, embedding_size=5)
    assert isinstance(model.backbone, AutoModel.from_pretrained(tmp_path).__class__)
    for name, value in source.backbone.state_dict().items():
        assert torch.equal(model.backbone.state_dict()[name], value), name
    assert model(torch.rand(2, 3, 32, 32)).logits.shape == (2, 7)
