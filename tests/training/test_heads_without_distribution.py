"""Heads without a distribution are trained, calibrated, cross-validated and measured like others."""

import numpy as np
import pytest
import torch
from datasets import concatenate_datasets
from scipy import stats
from tiny import PROCESSOR, SCALE, TINY_RESNET, brightness_collection, training_arguments
from transformers import AutoModel, default_data_collator, set_seed

from hf_aesthetics import AestheticBaselineConfig, AestheticBaselineForAestheticAssessment
from hf_aesthetics.data.training_rows import IndexedRows
from hf_aesthetics.data.transforms import EvaluationTransform
from hf_aesthetics.evaluation.cross_validation import Fold
from hf_aesthetics.training import ModelArguments, build_scorer, finish_checkpoint, train_scorer
from hf_aesthetics.training.folds import predict_folds
from hf_aesthetics.training.linear_probe import fit_linear_probe


@pytest.fixture(scope="module")
def collection():
    return brightness_collection(num_validation=40)


def tiny_ranker(objective: str = "ranking") -> AestheticBaselineForAestheticAssessment:
    set_seed(0)
    fields = {"max_score": 5, "num_labels": 5, "head_dropout": 0.0, "objective": objective}
    return AestheticBaselineForAestheticAssessment(
        AestheticBaselineConfig(backbone_config=dict(TINY_RESNET), **fields)
    )


def test_trained_ranking_is_calibrated_and_its_report_speaks_of_the_score_alone(collection, tmp_path):
    args = training_arguments(tmp_path / "run", max_steps=40, eval_steps=20, save_steps=20)
    trainer = train_scorer(tiny_ranker(), PROCESSOR, collection, args)
    assert trainer.model.score_is_calibrated and trainer.state.best_metric > 0.8
    report = finish_checkpoint(trainer.model, PROCESSOR, collection, tmp_path / "ranker", training={})
    assert report.metrics["srcc"] > 0.8 and report.metrics["mae"] < report.constant_metrics["mae"] / 2
    assert "emd" not in report.metrics and "calibration" in (tmp_path / "ranker" / "README.md").read_text()


def test_folds_give_scores_in_rating_units(collection, tmp_path):
    pictures = concatenate_datasets([collection.splits[name] for name in ("train", "validation", "test")])
    parts = np.split(np.random.default_rng(0).permutation(len(pictures)), [60, 85])
    args = training_arguments(tmp_path, max_steps=-1, num_train_epochs=6, eval_strategy="epoch", save_strategy="epoch")
    [prediction] = predict_folds(lambda: (tiny_ranker(), PROCESSOR), pictures, SCALE, [Fold(*parts)], args)
    assert prediction.distribution is None
    means = np.array(pictures.select(parts[2])["score_mean"][:])
    assert stats.spearmanr(prediction.scores, means).statistic > 0.8
    assert np.abs(prediction.scores - means).mean() < np.abs(means.mean() - means).mean() / 2


@pytest.mark.parametrize("objective", ["binary", "classes", "regression", "ranking"])
def test_the_last_layer_starts_from_what_the_objective_asks_for(collection, objective):
    model = tiny_ranker(objective).eval()
    rows = [
        IndexedRows(collection.splits[split], EvaluationTransform(PROCESSOR, SCALE.bin_scores.tolist()))
        for split in ("train", "validation")
    ]
    fit_linear_probe(model, *rows)
    batch = default_data_collator([rows[1][index] for index in range(len(rows[1]))])
    with torch.no_grad():
        outputs = model(**batch)
    shares = batch["labels"].numpy()
    means = shares @ SCALE.bin_scores
    assert stats.spearmanr(outputs.score, means).statistic > 0.8
    if objective == "regression":  # in rating units already
        assert np.abs(outputs.score.numpy() - means).mean() < 0.7 * np.abs(means.mean() - means).mean()
    if objective == "binary":
        assert ((outputs.logits.squeeze(1).numpy() > 0) == (means > 3)).mean() > 0.8
    if objective == "classes":
        assert np.abs(outputs.logits.argmax(dim=1).numpy() + 1 - means).mean() < 0.7


def test_the_score_of_ideal_logits_is_the_mean_score_but_for_the_ends():
    shares = torch.tensor(np.random.default_rng(0).dirichlet(np.ones(5), 20))
    means = (shares @ torch.tensor(SCALE.bin_scores)).float().clamp(1.4, 4.6)
    for objective in ("regression", "ranking"):
        model = tiny_ranker(objective)
        torch.testing.assert_close(model._raw_score(model.ideal_logits(shares).float()), means)


@pytest.mark.parametrize(
    ("model_type", "options", "refused"),
    [
        ("nima", {"objective": "ranking"}, "`objective` is no option of 'nima', got 'ranking'"),
        ("aesthetic_baseline", {"distribution_loss": "cjs"}, "`distribution_loss`.*'cjs'"),
        ("aesthetic_baseline", {"loss": "mse"}, "`loss` is no option of 'aesthetic_baseline'"),
    ],
)
def test_options_of_another_type_are_refused_not_ignored(model_type, options, refused):
    with pytest.raises(ValueError, match=refused):
        build_scorer(ModelArguments(model_type=model_type, **options), SCALE)


def test_options_reach_the_configuration(tmp_path):
    backbone = AestheticBaselineConfig(backbone_config=dict(TINY_RESNET)).backbone_config
    AutoModel.from_config(backbone).save_pretrained(tmp_path)
    PROCESSOR.save_pretrained(tmp_path)
    arguments = ModelArguments(
        model_type="aesthetic_baseline", backbone=str(tmp_path), objective="ranking", ranking_loss="list_mle"
    )
    config = build_scorer(arguments, SCALE)[0].config
    assert (config.objective, config.ranking_loss, config.max_score) == ("ranking", "list_mle", 5)
    model, _ = build_scorer(ModelArguments(backbone=str(tmp_path), distribution_loss="cjs"), SCALE)
    assert model.config.distribution_loss == "cjs"
