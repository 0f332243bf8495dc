"""The running average of the weights, against the sum that defines it."""

import numpy as np
import pytest
import torch
from tiny import PROCESSOR, TINY_RESNET, brightness_collection, tiny_model, training_arguments

from hf_aesthetics.training import train_scorer
from hf_aesthetics.training.weight_average import WeightAverage


def weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


@pytest.mark.parametrize("decay", [0.3, 0.9])
def test_average_is_the_weighted_sum_of_all_that_came(decay):
    model = torch.nn.BatchNorm1d(3)
    average, history = WeightAverage(model, decay), []
    generator = np.random.default_rng(0)
    for step in range(30):
        history.append(generator.normal(size=3))
        model.running_mean.copy_(torch.tensor(history[-1]))
        model.num_batches_tracked.fill_(step)
        average.update_parameters(model)
    kept = [min(decay, (1 + step) / (10 + step)) for step in range(30)]
    shares = np.array([(1 - kept[t] if t else 1) * np.prod(kept[t + 1 :]) for t in range(30)])
    assert shares.sum() == pytest.approx(1)
    np.testing.assert_allclose(average.module.running_mean, shares @ np.array(history), rtol=1e-5, atol=1e-6)
    assert average.module.num_batches_tracked == 29


def test_a_network_gets_its_own_weights_back(tmp_path):
    model = torch.nn.Linear(4, 2)
    average = WeightAverage(model, 0.9)
    average.update_parameters(model)
    with torch.no_grad():
        model.weight.add_(1)
    own, averaged = weights(model), weights(average.module)
    with pytest.raises(RuntimeError, match="in the middle"), average.in_place_of(model):
        assert all(torch.equal(value, averaged[name]) for name, value in weights(model).items())
        raise RuntimeError("in the middle")
    assert all(torch.equal(value, own[name]) for name, value in weights(model).items())
    with pytest.raises(FileNotFoundError, match="began without --ema_decay"):
        average.load(tmp_path)


@pytest.mark.parametrize("decay", [0, 1, 1.5])
def test_an_impossible_decay_is_refused(decay):
    with pytest.raises(ValueError, match=rf"in \(0, 1\), got {decay}"):
        WeightAverage(torch.nn.Linear(1, 1), decay)


@pytest.mark.parametrize("load_best", [True, False])
def test_the_average_is_evaluated_and_kept(load_best, tmp_path):
    args = training_arguments(
        tmp_path / "nima", max_steps=12, eval_steps=4, save_steps=4, ema_decay=0.9, load_best_model_at_end=load_best
    )
    collection = brightness_collection()
    trainer = train_scorer(tiny_model(TINY_RESNET), PROCESSOR, collection, args)
    step = trainer.state.best_global_step if load_best else 12
    saved = torch.load(tmp_path / f"nima.run/checkpoint-{step}/weight_average.pt", weights_only=True)
    own = trainer.model.state_dict()
    assert all(torch.equal(own[name], saved[f"module.{name}"]) for name in own)
    by_step = {entry["step"]: entry["eval_emd"] for entry in trainer.state.log_history if "eval_emd" in entry}
    assert trainer.evaluate()["eval_emd"] == pytest.approx(by_step[step], abs=1e-7)
