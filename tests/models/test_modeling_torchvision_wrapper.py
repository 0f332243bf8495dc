"""Torchvision networks as backbones. `tiny_models` feeds the contract tests."""

import pytest
import torch
from torchvision import models

from hf_aesthetics.models.configuration_torchvision_wrapper import TorchvisionWrapperConfig
from hf_aesthetics.models.modeling_torchvision_wrapper import TorchvisionWrapperModel


BAD_VALUES = [({"architecture": 3}, "architecture"), ({"use_classifier": "yes"}, "use_classifier")]


def tiny_models() -> dict[str, TorchvisionWrapperConfig]:
    return {"alexnet": TorchvisionWrapperConfig(use_classifier=False)}


@pytest.mark.parametrize("architecture", ["alexnet", "vgg11"])
def test_feature_equals_torchvision_network_without_its_last_layer(architecture):
    reference = models.get_model(architecture, weights=None).eval()
    wrapper = TorchvisionWrapperModel(TorchvisionWrapperConfig(architecture=architecture)).eval()
    wrapper.load_state_dict({k: v for k, v in reference.state_dict().items() if k in wrapper.state_dict()})
    pixel_values = torch.rand(1, 3, 96, 96)
    with torch.no_grad():
        feature = wrapper(pixel_values).pooler_output
        torch.testing.assert_close(reference.classifier[-1](feature), reference(pixel_values))


def test_average_of_the_map_without_classifier():
    wrapper = TorchvisionWrapperModel(TorchvisionWrapperConfig(use_classifier=False)).eval()
    with torch.no_grad():
        outputs = wrapper(torch.rand(2, 3, 96, 96), output_hidden_states=True)
    torch.testing.assert_close(outputs.pooler_output, outputs.last_hidden_state.mean(dim=(2, 3)))
    assert torch.equal(outputs.hidden_states[-1], outputs.last_hidden_state)


def test_pretrained_weights_come_from_torchvision(tmp_path, monkeypatch):
    # a file of the published name in torch's cache is what a machine that fetched it once holds
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    url = models.AlexNet_Weights.DEFAULT.url
    reference = models.alexnet(weights=None)
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(reference.state_dict(), tmp_path / "hub" / "checkpoints" / url.rsplit("/", 1)[-1])
    wrapper = TorchvisionWrapperModel.from_torchvision("alexnet")
    assert torch.equal(wrapper.classifier[1].weight, reference.classifier[1].weight)
    assert torch.equal(wrapper.features[0].weight, reference.features[0].weight)


@pytest.mark.parametrize(
    ("architecture", "message"), [("alexnett", "got 'alexnett'"), ("resnet18", "'resnet18' is not")]
)
def test_refuses_what_it_cannot_wrap(architecture, message):
    with pytest.raises(ValueError, match=message):
        TorchvisionWrapperModel(TorchvisionWrapperConfig(architecture=architecture))
