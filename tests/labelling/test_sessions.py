"""People who answer, stop and come back; servers that are killed; answers that are sent twice."""

import json
import os
import resource
import time
from collections import Counter
from pathlib import Path

import pytest
from bare_package import bare
from forks import Forks

from hf_aesthetics.labelling import (
    Comparison,
    Journal,
    Labelling,
    LabellingTask,
    measure_consistency,
    pool_repeats,
    read_answers,
    tally_choices,
)
from hf_aesthetics.labelling.sessions import clean_name, file_name


TASK = LabellingTask([Comparison(str(number), f"{number}a", f"{number}b", "sea") for number in range(20)], {})
PROGRAM = """
import os
from pathlib import Path
from hf_aesthetics.labelling import Comparison, Labelling, LabellingTask

def work(folder, name):
    task = LabellingTask([Comparison(str(number), f"{number}a", f"{number}b") for number in range(60)], {})
    labelling, kept = Labelling(task, folder), open(Path(folder, f"{name}.kept"), "a")
    while (progress := labelling.look(name)).questions:
        question = progress.questions[0]
        labelling.answer(name, question.id, progress.attempt, 50, 1)
        print(question.id, file=kept, flush=True)

def two(folder, first, second):
    child = os.fork()
    work(folder, second if child else first)
    if not child:
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
"""


@pytest.fixture(scope="module")
def forks():
    with Forks(bare("hf_aesthetics") + PROGRAM, needs_torch=False) as forks:
        yield forks


@pytest.fixture
def labelling(tmp_path) -> Labelling:
    return Labelling(TASK, tmp_path)


def answer(labelling, progress, lean: float, seconds: float = 1.0):
    return labelling.answer(progress.annotator, progress.questions[0].id, progress.attempt, lean, seconds)


def test_answers_are_about_the_pictures_and_not_their_sides(labelling, tmp_path):
    progress = labelling.look("Ada")
    asked = progress.questions
    for lean in (-100, 30, 0):
        progress = answer(labelling, progress, lean, 2.5)
    said = {each.comparison: each for each in read_answers(tmp_path)}
    for question, lean in zip(asked, (-100, 30, 0), strict=False):
        kept = said[question.comparison.id]
        shown_left = kept.preference if question.left == "image_a" else -kept.preference
        assert shown_left == -lean and kept.left == question.left
        assert (kept.image_a, kept.image_b) == (question.comparison.image_a, question.comparison.image_b)
        assert (kept.annotator, kept.seconds, kept.series_id) == ("Ada", 2.5, "sea") and kept.time.endswith("Z")
    assert (progress.num_answered, progress.num_questions) == (3, 22)


def test_what_is_sent_twice_counts_once(labelling, tmp_path):
    before = labelling.look("Ada")
    after = answer(labelling, before, 100)
    assert answer(labelling, before, -100) == after  # a retry, or another window
    assert [abs(said.preference) for said in read_answers(tmp_path)] == [100] and after.num_answered == 1
    assert len((tmp_path / file_name("Ada")).read_text().splitlines()) == 1


def test_the_last_answer_can_be_taken_back(labelling, tmp_path):
    first = labelling.look("Ada")
    second = answer(labelling, first, 100)
    third = answer(labelling, second, 100)
    back = labelling.undo("Ada", *third.last)
    assert back.questions == second.questions and back.last == second.last and back.attempt == 1
    assert labelling.undo("Ada", *third.last) == back  # pressed twice: one answer is taken back
    assert answer(labelling, second, 100) == back  # what was under way when it was taken back
    again = answer(labelling, back, -40)
    assert again.last == (third.last[0], 1) and again.questions == third.questions
    assert labelling.undo("Ada", *third.last) == again  # late, and of the answer before
    assert [abs(said.preference) for said in read_answers(tmp_path)] == [100, 40]
    emptied = labelling.undo("Ada", *labelling.undo("Ada", *again.last).last)
    assert emptied.num_answered == 0 and emptied.last is None and emptied.questions == first.questions


def test_who_comes_back_goes_on_and_others_are_others(labelling, tmp_path):
    at = answer(labelling, labelling.look("Ada Lovelace"), 10)
    again = Labelling(TASK, tmp_path).look("  ada  LOVELACE ")
    assert again.questions == at.questions and again.num_answered == 1
    answer(labelling, again, 10)
    assert labelling.look("Bob").num_answered == 0
    assert [said.annotator for said in read_answers(tmp_path)] == ["Ada Lovelace"] * 2
    assert file_name("été") != file_name("ete") and "/" not in file_name("../../etc/passwd")
    for name in ("", "  ", "x" * 61, "a\u0000b"):
        with pytest.raises(ValueError, match="1 to 60 characters"):
            clean_name(name)


def test_answers_to_another_table_are_not_mixed(labelling, tmp_path):
    progress = answer(labelling, labelling.look("Ada"), 10)
    asked = read_answers(tmp_path)[0].comparison
    changed = [Comparison(pair.id, "new", pair.image_b) if pair.id == asked else pair for pair in TASK.comparisons]
    with pytest.raises(ValueError, match=f"comparison {asked} must be of new and {asked}b, but the answers of Ada"):
        Labelling(LabellingTask(changed, {}), tmp_path).look("Ada")
    longer = [*TASK.comparisons, Comparison("20", "20a", "20b")]
    assert Labelling(LabellingTask(longer, {}), tmp_path).look("Ada").num_answered == progress.num_answered


@pytest.mark.parametrize(("lean", "seconds"), [(101, 1), (float("nan"), 1), (0, -1), (0, float("inf"))])
def test_numbers_out_of_range_are_refused(labelling, lean, seconds):
    progress = labelling.look("Ada")
    with pytest.raises(ValueError, match=f"got {lean if seconds == 1 else seconds}"):
        answer(labelling, progress, lean, seconds)
    with pytest.raises(ValueError, match="Expected a question of Ada, got 'none'"):
        labelling.answer("Ada", "none", 0, 0, 1)
    assert labelling.look("Ada") == progress


def kept_by(folder: Path, name: str) -> list[str]:
    path = folder / f"{name}.kept"
    return path.read_text().split() if path.exists() else []


def test_nothing_that_was_kept_is_lost_with_the_process(forks, tmp_path):
    for num_kills, stop in enumerate((10, 25, 45), start=1):
        forks.start("work", str(tmp_path), "Ada")
        until = time.monotonic() + 60
        while len(kept_by(tmp_path, "Ada")) < stop and time.monotonic() < until:
            time.sleep(0.001)
        assert forks.kill() == -9
        kept, said = kept_by(tmp_path, "Ada"), Journal(tmp_path / file_name("Ada")).read()
        # at each stop one may have been kept without a word
        assert stop <= len(kept) <= len(said) <= len(kept) + num_kills
    assert forks.run("work", str(tmp_path), "Ada") == 0
    asked = Counter((said.comparison, said.is_repeat) for said in read_answers(tmp_path))
    assert len(asked) == 66 and set(asked.values()) == {1}


def test_two_processes_never_overwrite_each_other(forks, tmp_path):
    assert forks.run("two", str(tmp_path), "Ada", "Bob") == 0, forks.log.read_text()
    assert Counter(said.annotator for said in read_answers(tmp_path)) == {"Ada": 66, "Bob": 66}
    both = tmp_path / "both"
    both.mkdir()
    assert forks.run("two", str(both), "Ada", "Ada") == 0, forks.log.read_text()
    assert len(Journal(both / file_name("Ada")).read()) == len(read_answers(both)) == 66


def test_a_line_that_was_cut_short_is_dropped_with_a_note(labelling, tmp_path, caplog):
    progress = answer(labelling, answer(labelling, labelling.look("Ada"), 10), 20)
    path = tmp_path / file_name("Ada")
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    back = labelling.look("Ada")
    assert back.num_answered == 1 and f"{path.name}: the last line was cut short" in caplog.text
    assert answer(labelling, back, 20).questions == progress.questions
    assert [json.loads(line)["comparison"] for line in path.read_text().splitlines()] == [
        json.loads(line)["comparison"] for line in whole.splitlines()
    ]
    path.write_text("{}\nnonsense\n{}\n")
    with pytest.raises(ValueError, match=r"line 2: expected a JSON object, got b'nonsense'"):
        Journal(path).read()


def test_a_full_disk_leaves_the_file_as_it_was(labelling, tmp_path):
    progress = answer(labelling, labelling.look("Ada"), 10)
    path = tmp_path / file_name("Ada")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = path.read_bytes()
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 20, limits[1]))  # room for a part of a line
    try:
        with pytest.raises(OSError):
            answer(labelling, progress, 20)
        assert path.read_bytes() == before
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert answer(labelling, labelling.look("Ada"), 20).num_answered == 2 and os.path.getsize(path) > len(before)


def test_repeats_tell_how_consistent_a_person_is(tmp_path):
    labelling = Labelling(TASK, tmp_path, repeat_share=0.2)
    said = {"Ada": lambda pair, again: 60, "Bob": lambda pair, again: -20 if again else 60}
    for name, prefer in said.items():
        progress = labelling.look(name)
        while progress.questions:
            asked = progress.questions[0]
            preference = prefer(asked.comparison, asked.is_repeat)
            lean = -preference if asked.left == "image_a" else preference
            progress = answer(labelling, progress, lean, 4 if asked.is_repeat else 2)
    answers = read_answers(tmp_path)
    found = measure_consistency(answers)
    assert (found["Ada"].num_answers, found["Ada"].num_repeats) == (20, 4)
    assert (found["Ada"].agreement, found["Ada"].mean_difference) == (1.0, 0.0)
    assert (found["Bob"].agreement, found["Bob"].mean_difference) == (0.0, 80.0)
    left = [(each.preference > 0) == (each.left == "image_a") for each in answers if each.annotator == "Ada"]
    assert found["Ada"].left_share == pytest.approx(sum(left) / 24) and found["Ada"].median_seconds == 2
    pooled = pool_repeats(answers)
    assert Counter((each.annotator, each.preference) for each in pooled) == {
        ("Ada", 60): 20,
        ("Bob", 60): 16,
        ("Bob", 20): 4,
    }
    rows = tally_choices([each for each in pooled if each.annotator == "Ada" or each.preference == 60])
    assert Counter((row["wins_a"], row["wins_b"], row["num_ties"]) for row in rows) == {(2, 0, 0): 16, (1, 0, 0): 4}


def test_a_folder_without_answers_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="Expected answers, one .jsonl file a person"):
        read_answers(tmp_path)
    (tmp_path / "x.jsonl").write_text('{"comparison": "0", "is_repeat": false, "preference": 3}\n')
    with pytest.raises(ValueError, match=r"x.jsonl: expected an answer, got \{'comparison': '0'"):
        read_answers(tmp_path)
