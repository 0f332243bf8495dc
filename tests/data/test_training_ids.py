import random

import pytest

from hf_aesthetics.data.training_ids import TRAINING_IDS_FILE, TrainingIds


def test_overlap_is_what_sets_say(tmp_path):
    generator = random.Random(0)
    ids = [f"été-{number}.jpg" for number in range(400)]
    train, validation, asked = set(generator.sample(ids, 150)), set(generator.sample(ids, 40)), ids[::3]
    TrainingIds.of_splits("parks", {"train": train, "validation": validation}).save(tmp_path)
    found = TrainingIds.of_checkpoint(tmp_path).overlap("parks", asked)
    assert found == {"train": len(train & set(asked)), "validation": len(validation & set(asked))}
    assert TrainingIds.of_checkpoint(tmp_path).overlap("parks", [f"{image_id}x" for image_id in asked]) == {}


def test_training_in_two_steps_remembers_both(tmp_path):
    first = TrainingIds.of_splits("ava", {"train": ["1", "2"], "validation": ["3"]})
    both = TrainingIds.of_splits("eva", {"train": ["4", "2"]}) | first | first
    both.save(tmp_path)
    found = TrainingIds.of_checkpoint(tmp_path)
    assert found.overlap("eva", ["1", "2", "3", "4", "5"]) == {
        "train": 2,
        "train of ava": 2,
        "validation of ava": 1,
    }
    assert found.table.num_rows == 5


def test_names_of_files_are_not_published(tmp_path):
    TrainingIds.of_splits("mine", {"train": ["ada-in-hospital.jpg"]}).save(tmp_path)
    assert b"hospital" not in (tmp_path / TRAINING_IDS_FILE).read_bytes()


def test_a_checkpoint_need_not_say(tmp_path):
    assert TrainingIds.of_checkpoint(tmp_path) is None


@pytest.mark.parametrize("num_pictures", [235_000])
def test_all_of_ava_fits_into_two_megabytes(num_pictures, tmp_path):
    TrainingIds.of_splits("ava", {"train": (str(number) for number in range(num_pictures))}).save(tmp_path)
    assert (tmp_path / TRAINING_IDS_FILE).stat().st_size < 2.2e6
    found = TrainingIds.of_checkpoint(tmp_path).overlap("ava", map(str, range(num_pictures - 10, num_pictures + 10)))
    assert found == {"train": 10}
