import subprocess
import sys
from collections import Counter

import pytest

from hf_aesthetics.data import splits
from hf_aesthetics.data.splits import SPLITS, hash_split, split_fingerprint


KEYS = [f"picture {number}.jpg" for number in range(20_000)]


@pytest.mark.parametrize("validation, test", [(0.1, 0.1), (0.05, 0.3), (0.0, 0.5)])
def test_shares_are_met_within_chance(validation, test):
    counts = Counter(hash_split(key, validation, test) for key in KEYS)
    for split, share in {"validation": validation, "test": test, "train": 1 - validation - test}.items():
        deviation = (share * (1 - share) / len(KEYS)) ** 0.5
        assert counts[split] / len(KEYS) == pytest.approx(share, abs=4 * deviation)


def test_another_process_with_another_hash_seed_agrees():
    code = f"import runpy; hash_split = runpy.run_path({splits.__file__!r})['hash_split']; "
    code += "print(*(hash_split(f'{n}.jpg') for n in range(50)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONHASHSEED": "7"})
    assert run.stdout.split() == [hash_split(f"{n}.jpg") for n in range(50)]


def test_the_assignment_is_the_documented_one():
    # a silent change of the rule would leak test pictures of earlier models into training
    digest = subprocess.run(["sha256sum"], input="0:harbour.jpg", capture_output=True, text=True, check=True).stdout
    position = int(digest[:16], 16) / 16**16
    assert hash_split("harbour.jpg", validation=0.0, test=position + 1e-6) == "test"
    assert hash_split("harbour.jpg", validation=0.0, test=position - 1e-6) == "train"


def test_the_share_of_validation_moves_no_test_picture():
    few, many = ([hash_split(key, validation, 0.1) == "test" for key in KEYS[:2000]] for validation in (0.01, 0.5))
    assert few == many


def test_a_larger_test_split_keeps_the_smaller_one():
    small, large = ({key for key in KEYS[:2000] if hash_split(key, 0.1, test) == "test"} for test in (0.1, 0.2))
    assert small < large


def test_seeds_are_independent():
    same = sum(hash_split(key, 0, 0.5) == hash_split(key, 0, 0.5, seed=1) for key in KEYS) / len(KEYS)
    assert same == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("validation, test", [(-0.1, 0.1), (0.5, 0.5), (float("nan"), 0.1)])
def test_impossible_shares_are_refused(validation, test):
    with pytest.raises(ValueError, match=f"got {validation} and {test}"):
        hash_split("a", validation, test)


def test_fingerprint_is_what_sort_and_sha256sum_print():
    ids = ["I10", "I2", "été/夏.jpg", "a b.jpg", "Z", "I1"]
    command = "LC_ALL=C sort | sha256sum"
    run = subprocess.run(command, shell=True, input="\n".join(ids) + "\n", capture_output=True, text=True, check=True)
    assert split_fingerprint(ids) == run.stdout.split()[0]


def test_fingerprint_ignores_order_and_sees_every_picture():
    assert split_fingerprint(reversed(KEYS)) == split_fingerprint(KEYS)
    assert split_fingerprint(KEYS[:-1]) != split_fingerprint(KEYS)
    assert split_fingerprint(["ab", "c"]) != split_fingerprint(["a", "bc"])


def test_fingerprint_refuses_an_id_of_two_lines():
    with pytest.raises(ValueError, match=r"'I1\\nI2'"):
        split_fingerprint(["I1\nI2"])


def test_split_names_are_those_of_the_hub():
    assert {hash_split(key) for key in KEYS[:200]} == set(SPLITS) == {"train", "validation", "test"}
