"""
Which of several processes this one is, from the environment that launchers set. Knows nothing about scoring.

| launcher                    | this one's number     | how many                 | on this machine                  |
|-----------------------------|-----------------------|--------------------------|----------------------------------|
| torchrun, accelerate launch | `RANK`                | `WORLD_SIZE`             | `LOCAL_RANK`, `LOCAL_WORLD_SIZE` |
| SLURM, a job array          | `SLURM_ARRAY_TASK_ID` | `SLURM_ARRAY_TASK_COUNT` |                                  |
| SLURM, srun --ntasks        | `SLURM_PROCID`        | `SLURM_NTASKS`           | `SLURM_LOCALID`                  |
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Rank:
    """
    One of several processes that know nothing of each other.

    Args:
        number, count (`int`):
            This one's number, from 0 on, and how many there are.
        local_number, local_count (`int`):
            The same among those on this machine, as far as the launcher says.
    """

    number: int = 0
    count: int = 1
    local_number: int = 0
    local_count: int = 1

    @classmethod
    def of_environment(cls, environment: Mapping[str, str]) -> "Rank":
        """
        The process that the variables of a launcher describe; the only one where there are none.

        Raises:
            ValueError: If they are no whole numbers, or contradict each other.

        Example:
            >>> Rank.of_environment({"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_MIN": "1", "SLURM_ARRAY_TASK_COUNT": "8"})
            Rank(number=6, count=8, local_number=0, local_count=1)
        """  # noqa: E501

        def read(name: str, default: int) -> int:
            text = environment.get(name, str(default))
            if not text.isdecimal():
                raise ValueError(f"The environment variable {name} must be a whole number, got {text!r}. Unset it.")
            return int(text)

        if "RANK" in environment:
            launcher = "RANK"
            rank = cls(read("RANK", 0), read("WORLD_SIZE", 1), read("LOCAL_RANK", 0), read("LOCAL_WORLD_SIZE", 1))
        elif "SLURM_ARRAY_TASK_ID" in environment:
            launcher = "SLURM_ARRAY_TASK_ID"
            step = read("SLURM_ARRAY_TASK_STEP", 1)
            offset = read("SLURM_ARRAY_TASK_ID", 0) - read("SLURM_ARRAY_TASK_MIN", 0)
            rank = cls(offset // step, read("SLURM_ARRAY_TASK_COUNT", 1))
        else:
            launcher = "SLURM_PROCID"
            rank = cls(read("SLURM_PROCID", 0), read("SLURM_NTASKS", 1), read("SLURM_LOCALID", 0))
        if not 0 <= rank.number < rank.count:
            raise ValueError(
                f"{launcher} must be from 0 to one less than the number of processes, got {rank.number} of "
                f"{rank.count}. Set both, or neither."
            )
        return rank


ONLY_RANK = Rank()
"""A process that does everything."""
