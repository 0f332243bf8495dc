"""Category systems as they come out of the columns of data sets."""

import numpy as np
import pytest
from datasets import Dataset, Features, Image, List, Value

from hf_aesthetics.analysis.categories import SOURCES, CategorySource, CategorySystem, category_systems
from hf_aesthetics.data.synthetic import load_synthetic


def test_lists_become_members_and_null_is_unknown():
    features = Features({"image": Image(), "image_id": Value("string"), "styles": List(Value("string"))})
    rows = Dataset.from_dict(
        {"image": ["none.jpg"] * 4, "image_id": list("abcd"), "styles": [["Macro", "HDR"], [], None, ["HDR"]]},
        features,
    )
    (system,) = category_systems(rows)  # no picture is read: there is none
    assert (system.name, system.kind, system.names) == ("AVA styles", "indicator", ("HDR", "Macro"))
    np.testing.assert_array_equal(system.values, [[1, 1], [0, 0], [np.nan, np.nan], [1, 0]])


def test_ratings_keep_their_values_and_lose_their_endings():
    rows = Dataset.from_dict(
        {"valence_mean": [1.5, None, 3.0], "arousal_mean": [2, 3, 4], "category": ["a", "b", None]}
    )
    categories, affect = category_systems(rows)
    assert (categories.name, categories.names) == ("OASIS categories", ("a", "b"))
    np.testing.assert_array_equal(categories.values, [[1, 0], [0, 1], [np.nan, np.nan]])
    assert (affect.kind, affect.names) == ("rating", ("valence", "arousal"))
    np.testing.assert_array_equal(affect.values, [[1.5, 2], [np.nan, 3], [3, 4]])


def test_a_system_needs_all_of_its_columns():
    assert category_systems(Dataset.from_dict({"visual_mean": [1.0], "valence_mean": [1.0]})) == []


def test_causes_of_rendered_scenes_are_ratings():
    rows = load_synthetic(3, 1, 1, with_maps=False)["train"]
    (system,) = category_systems(rows)
    assert {"depth", "saliency"} <= set(system.names) and system.kind == "rating"
    np.testing.assert_allclose(system.values[:, system.names.index("depth")], rows["cause_depth"])


def test_rows_follow_the_ids_of_predictions():
    rows = Dataset.from_dict({"image_id": ["a", "b", "c"], "category": ["x", "y", "z"]})
    (system,) = category_systems(rows, image_ids=np.array(["c", "a"]))
    np.testing.assert_array_equal(system.values, [[0, 0, 1], [1, 0, 0]])
    with pytest.raises(ValueError, match="row for each of 2 pictures, found none for 'q' and 0 others"):
        category_systems(rows, image_ids=["a", "q"])


def test_a_column_of_ones_own_is_one_row_more():
    rows = Dataset.from_dict({"lens": [35, 50, 35]})
    (system,) = category_systems(rows, sources=(*SOURCES, CategorySource("lens", "indicator", ("lens",))))
    assert system.names == ("35", "50") and system.values[:, 0].tolist() == [1, 0, 1]


def test_impossible_values_are_refused():
    with pytest.raises(ValueError, match="Indicators of 's' must be 0, 1 or NaN, got 2"):
        CategorySystem("s", "indicator", ("a",), [[2], [1]])
    with pytest.raises(ValueError, match=r"shape \(num_images, 2\), got \(2, 1\)"):
        CategorySystem("s", "indicator", ("a", "b"), [[1], [1]])
    with pytest.raises(ValueError, match=r"must differ, got \['a'\]"):
        CategorySystem("s", "rating", ("a", "a"), [[1, 2]])
    with pytest.raises(ValueError, match="'s' must be finite"):
        CategorySystem("s", "rating", ("a",), [[np.inf]])
    with pytest.raises(ValueError, match="'valence_mean' of OASIS valence and arousal must hold numbers, got string"):
        category_systems(Dataset.from_dict({"valence_mean": ["high"], "arousal_mean": [1.0]}))
