"""Launchers and batch systems say in their own words which process this is."""

import re

import pytest

from hf_aesthetics.scoring import Rank


@pytest.mark.parametrize(
    ("environment", "rank"),
    [
        ({}, Rank()),
        ({"RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}, Rank(3, 8, 1, 2)),
        ({"SLURM_PROCID": "1", "SLURM_NTASKS": "4", "SLURM_LOCALID": "1"}, Rank(1, 4, 1)),
        ({"SLURM_ARRAY_TASK_ID": "5", "SLURM_ARRAY_TASK_COUNT": "10"}, Rank(5, 10)),
        (
            {
                "SLURM_ARRAY_TASK_ID": "9",
                "SLURM_ARRAY_TASK_MIN": "1",
                "SLURM_ARRAY_TASK_STEP": "4",
                "SLURM_ARRAY_TASK_COUNT": "3",
                "SLURM_PROCID": "0",
                "SLURM_NTASKS": "1",
            },
            Rank(2, 3),
        ),
        ({"RANK": "0", "WORLD_SIZE": "2", "SLURM_PROCID": "7", "SLURM_NTASKS": "9"}, Rank(0, 2)),
    ],
)
def test_launchers_are_understood(environment, rank):
    assert Rank.of_environment(environment) == rank


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"RANK": "2", "WORLD_SIZE": "2"}, "RANK must be from 0 to one less than the number of processes, got 2 of 2"),
        ({"RANK": "1"}, "RANK .* got 1 of 1"),
        ({"SLURM_PROCID": "zero"}, "SLURM_PROCID must be a whole number, got 'zero'"),
    ],
)
def test_contradictions_are_told(environment, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        Rank.of_environment(environment)
    assert re.search("[Uu]nset|Set both", str(caught.value))
