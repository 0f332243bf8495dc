"""The order in which a person is asked: everything once, a few things twice, nothing to be learnt from the side."""

import pytest
from scipy.stats import binomtest, spearmanr

from hf_aesthetics.labelling import Comparison, order_questions


PAIRS = [Comparison(str(number), f"{number}a", f"{number}b") for number in range(400)]


def places(questions, is_repeat: bool = False) -> dict[str, int]:
    return {
        question.comparison.id: place for place, question in enumerate(questions) if question.is_repeat == is_repeat
    }


def test_everything_is_asked_once_and_a_tenth_again_with_its_sides_changed():
    questions = order_questions(PAIRS, "Ada")
    first, again = places(questions), places(questions, is_repeat=True)
    assert first.keys() == {pair.id for pair in PAIRS} and len(again) == 40 and len(questions) == 440
    assert len({question.id for question in questions}) == 440
    for name, place in again.items():
        assert place - first[name] >= 30
        assert questions[place].left != questions[first[name]].left
    assert max(again.values()) - min(again.values()) > 300  # all along the way


@pytest.mark.parametrize("num_pairs", [1, 2, 3, 7, 30, 61])
@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_short_tasks_have_repeats_as_far_off_as_they_can(num_pairs, share):
    questions = order_questions(PAIRS[:num_pairs], "Ada", repeat_share=share)
    first, again = places(questions), places(questions, is_repeat=True)
    gap = min(30, num_pairs // 2)
    assert len(first) == num_pairs and len(again) == min(round(share * num_pairs), num_pairs - gap)
    assert all(place - first[name] >= max(gap, 1) for name, place in again.items())


def test_order_and_sides_are_a_matter_of_the_person_alone():
    ada, bob = (order_questions(PAIRS, name) for name in ("Ada", "Bob"))
    assert ada == order_questions(PAIRS[::-1], "Ada") != order_questions(PAIRS, "Ada", seed=1)
    first, other = places(ada), places(bob)
    assert abs(spearmanr([first[pair.id] for pair in PAIRS], [other[pair.id] for pair in PAIRS]).statistic) < 0.2
    assert abs(spearmanr([first[pair.id] for pair in PAIRS], range(400)).statistic) < 0.2
    sides = [{each.comparison.id: each.left for each in asked if not each.is_repeat} for asked in (ada, bob)]
    for same in (
        [left == "image_a" for left in sides[0].values()],
        [sides[0][name] == sides[1][name] for name in first],
    ):
        assert binomtest(sum(same), 400).pvalue > 0.001


def test_comparisons_that_are_added_leave_the_others_as_they_were():
    before, after = (order_questions(PAIRS[:count], "Ada", repeat_share=0) for count in (300, 400))
    known = {pair.id for pair in PAIRS[:300]}
    assert [question for question in after if question.comparison.id in known] == before


@pytest.mark.parametrize(("share", "gap"), [(-0.1, 30), (1.5, 30), (0.1, 0)])
def test_what_is_out_of_range_is_refused(share, gap):
    with pytest.raises(ValueError, match=f"got {share} and {gap}"):
        order_questions(PAIRS, "Ada", repeat_share=share, repeat_gap=gap)
