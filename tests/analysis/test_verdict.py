import numpy as np
import pytest

from hf_aesthetics.analysis.descriptors import SIDE
from hf_aesthetics.analysis.verdict import CuePanel, judge, reach_verdict


NUM_PICTURES = 150


@pytest.fixture(scope="module")
def planted() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Maps that show three properties each in its own cue, and the properties, of mean 0 and deviation 1."""
    rng = np.random.default_rng(0)
    depth, blur, level = rng.uniform(0.2, 1, (3, NUM_PICTURES))
    ramp = np.linspace(0, 255, SIDE) * np.ones((SIDE, 1))
    maps = {
        "depth": np.uint8(ramp * depth[:, None, None]),
        "blur": np.uint8(ramp.T * blur[:, None, None]),
        "rgb": np.uint8(np.ones((SIDE, SIDE, 3)) * 255 * level[:, None, None, None]),
    }
    properties = {"depth": depth, "blur": blur, "light": level}
    return maps, {name: (values - values.mean()) / values.std() for name, values in properties.items()}


@pytest.fixture(scope="module")
def panel(planted) -> CuePanel:
    return CuePanel.from_maps(planted[0])


@pytest.mark.parametrize("cause", ["depth", "blur", "light"])
def test_a_single_cause_is_named(planted, panel, cause):
    noise = 0.5 * np.random.default_rng(1).standard_normal(NUM_PICTURES)
    verdict = judge(panel, planted[1][cause] + noise, num_permutations=100)
    assert verdict.cause == cause and verdict.sentence.startswith(cause.capitalize())
    assert verdict.shares[cause].value > 0.9 and sum(
        share.value for share in verdict.shares.values()
    ) == pytest.approx(1)
    assert verdict.explained.low < 1 / 1.25 < verdict.explained.high + 0.05
    assert f"{cause} carries more than" in " ".join(verdict.claims)


def test_two_equal_causes_are_not_put_in_order(planted, panel):
    depth, light = planted[1]["depth"], planted[1]["light"]
    verdict = judge(panel, depth + light, num_permutations=100)
    assert verdict.cause is None and "cannot be told apart" in verdict.sentence
    assert verdict.shares["depth"].low < 0.5 < verdict.shares["depth"].high


def test_scores_of_other_pictures_lead_to_a_claim_about_once_in_twenty(planted, panel):
    rng = np.random.default_rng(3)
    mixed = planted[1]["depth"] + 0.5 * planted[1]["light"]
    verdicts = [judge(panel, rng.permutation(mixed), num_resamples=50, num_permutations=100) for _ in range(40)]
    claims = sum(bool(verdict.leaders) for verdict in verdicts)
    assert claims <= 6  # of 40; more than 6 has a chance of 0.3 % at one in twenty
    silent = [verdict for verdict in verdicts if not verdict.leaders]
    assert all(v.cause is None and v.sentence.startswith("Nothing is claimed") and not v.claims for v in silent)


def test_groups_that_share_maps_and_scores_are_no_evidence(planted):
    # ten pictures each of 15 themes, with scores that belong to the theme alone: 15 draws, not 150
    maps, rng, claims = planted[0], np.random.default_rng(4), 0
    themes = np.repeat(np.arange(30), 5)
    same = {name: values[themes] for name, values in maps.items()}
    cues = CuePanel.from_maps(same, themes)
    for _ in range(30):
        verdict = judge(cues, rng.standard_normal(30)[themes], num_resamples=20, num_permutations=60)
        claims += bool(verdict.leaders)
    assert claims <= 5


def test_reliability_raises_what_is_explained(planted):
    maps, properties = planted
    values = properties["depth"] + np.random.default_rng(5).standard_normal(NUM_PICTURES)
    plain, corrected = (
        reach_verdict(maps, values, reliability=reliability, num_permutations=40) for reliability in (None, 0.5)
    )
    assert corrected.explained.value == pytest.approx(min(1, 2 * plain.explained.value))


def test_variants_of_a_cue_count_once(planted):
    maps = {**planted[0], "depth_far": planted[0]["blur"], "gray": planted[0]["blur"], "rgb+depth": planted[0]["blur"]}
    assert list(CuePanel.from_maps(maps).readers) == ["depth", "blur", "colour", "light"]


def test_what_another_extractor_turns_round_is_not_claimed(planted):
    maps, properties = planted
    rng = np.random.default_rng(6)
    blind = maps["depth"][rng.permutation(NUM_PICTURES)]
    scores = 2 * properties["depth"] + properties["blur"]
    settings = {"num_resamples": 200, "num_permutations": 60}
    alone = reach_verdict(maps, scores, **settings)
    assert alone.cause == "depth" and "depth carries more than blur" in alone.claims
    agreed = reach_verdict({**maps, "depth_other": maps["depth"]}, scores, **settings)
    assert agreed.cause == "depth" and agreed.claims == alone.claims
    assert agreed.sentence.endswith("So it is with depth_other, too.")
    turned = reach_verdict({**maps, "depth_other": blind}, scores, **settings)
    assert turned.cause is None and turned.leaders == ["depth", "blur"]
    assert "depth carries more than blur" not in turned.claims
    assert "depending on the extractor: with the first ones depth, with depth_other blur. With" in turned.sentence


@pytest.mark.parametrize(
    ("scores", "number", "reason"),
    [(np.ones(NUM_PICTURES), NUM_PICTURES, "all scores are the same"), (np.arange(12.0), 12, "there are 12 groups")],
)
def test_what_cannot_be_judged_is_not(planted, scores, number, reason):
    maps = {name: values[:number] for name, values in planted[0].items()}
    verdict = reach_verdict(maps, scores)
    assert verdict.cause is None and verdict.sentence == f"Nothing is claimed: {reason}."


def test_maps_must_fit_the_scores(planted):
    with pytest.raises(ValueError, match="Expected 150 depth maps, one for each score, got 149"):
        reach_verdict({"depth": planted[0]["depth"][1:]}, np.arange(150.0))
    with pytest.raises(ValueError, match=r"maps of at least one cue, got \['gray'\]"):
        reach_verdict({"gray": planted[0]["depth"]}, np.arange(150.0))


def test_many_pictures_are_sampled(planted, monkeypatch):
    monkeypatch.setattr("hf_aesthetics.analysis.verdict.MAX_PICTURES", 100)
    verdict = reach_verdict({"depth": planted[0]["depth"]}, planted[1]["depth"], num_permutations=40)
    assert verdict.cause == "depth"
