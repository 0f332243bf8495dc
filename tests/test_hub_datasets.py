"""
Rated collections on the Hub and back, through the real client: what was published is what is loaded.

One process publishes a folder of pictures in several ways and loads it again in all; the tests compare with what was
planted in the folder.
"""

import csv
import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset, DatasetDict
from huggingface_hub import DatasetCard
from local_hub import LocalHub
from PIL import Image
from test_hub import run

from hf_aesthetics.data.columns import DatasetFacts, RatingScale, rating_features, vote_statistics
from hf_aesthetics.data.loading import RatedCollection
from hf_aesthetics.data.splits import hash_split, split_fingerprint
from hf_aesthetics.hub import push_dataset
from hf_aesthetics.licensing import Permission


COUNTS = {"train": 14, "validation": 4, "test": 6}
PROGRAM = """
import hashlib, io, json, sys
from pathlib import Path

import numpy as np
from datasets import Dataset, DatasetDict, Features, Image, Value
from huggingface_hub import HfApi
from PIL import Image as Picture

from hf_aesthetics.data.columns import DatasetFacts, RatingScale, rating_features, vote_statistics
from hf_aesthetics.data.loading import RatedCollection, load_collection
from hf_aesthetics.hub import HubPublishError, push_dataset

work = Path(sys.argv[1])
told, loaded = {}, {}

def attempt(name, function, *arguments, **options):
    try:
        result = function(*arguments, **options)
    except (HubPublishError, OSError, ValueError) as error:
        told[name] = f"{type(error).__name__}: {error}"
        return None
    told[name] = getattr(result, "oid", None) or {
        "name": result.name, "revision": result.revision, "facts": vars(result.facts) | {
            part: vars(getattr(result.facts, part)) for part in ("pictures", "ratings", "weights")},
        "scale": str(result.scale), "modality_column": result.modality_column, "left_out": result.left_out,
        "is_streaming": result.is_streaming, "columns": result.splits["test"].column_names,
        "features": str(result.splits["test"].features),
        "labels": {part: rows["image_id"][:] for part, rows in result.labels.items()},
    }
    if hasattr(result, "splits"):
        picture = result.modality_column or "image"
        loaded[name] = {}
        for part, rows in result.splits.items():
            rows = rows.decode(False) if result.is_streaming else rows.cast_column(picture, Image(decode=False))
            loaded[name][part] = [
                (row["image_id"], row["vote_counts"], hashlib.sha256(
                    row[picture]["bytes"] or Path(row[picture]["path"]).read_bytes()).hexdigest())
                for row in rows
            ]
    return result

def png(image):
    content = io.BytesIO()
    image.save(content, "PNG")
    return {"bytes": content.getvalue(), "path": None}

own = load_collection("folder", data_dir=work / "parks")
maps = {
    part: Dataset.from_list(
        [{"image_id": row["image_id"], "gray": png(row["image"].convert("L"))} for row in rows],
        features=Features({"image_id": Value("string"), "gray": Image(mode="L")}),
    )
    for part, rows in own.splits.items()
}
attempt("unlicensed", push_dataset, own, "alice/unlicensed")
attempt("first", push_dataset, own, "alice/parks", pictures=True, license="cc-by-4.0")
attempt("parks", push_dataset, own, "alice/parks", pictures=True, modalities={"gray": maps}, license="cc-by-4.0")
attempt("again", push_dataset, own, "alice/parks", pictures=True, modalities={"gray": maps}, license="cc-by-4.0")
attempt("stale", push_dataset, own, "alice/parks", license="cc-by-4.0", parent_commit=told["first"])
attempt("labels", push_dataset, own, "alice/labels", modalities={"gray": maps}, license="cc-by-4.0")
attempt("own copy", push_dataset, own, "alice/own", pictures=True, private=True)
attempt("own copy in public", push_dataset, own, "alice/labels", pictures=True, private=True)
attempt("ids", push_dataset, own, "alice/ids", ratings=False)
attempt("shuffled", push_dataset, own, "alice/shuffled", private=True,
        modalities={"gray": {part: rows.shuffle(seed=1) for part, rows in maps.items()}})

attempt("rgb", load_collection, "alice/parks")
attempt("rgb stream", load_collection, "alice/parks", streaming=True)
attempt("gray", load_collection, "alice/labels", modality="gray")
attempt("gray stream", load_collection, "alice/labels", modality="gray", streaming=True)
attempt("before", load_collection, "alice/parks", revision=told["first"], modality="gray")
attempt("joined", load_collection, "alice/labels", data_dir=work / "mine")
attempt("no source", load_collection, "alice/labels")
attempt("two sources", load_collection, "alice/parks", data_dir=work / "mine")
attempt("joined stream", load_collection, "alice/labels", data_dir=work / "mine", streaming=True)
attempt("ids alone", load_collection, "alice/ids", data_dir=work / "mine")
attempt("ambiguous", load_collection, "alice/labels", data_dir=work)

# somebody else's repository, with one split and a card of its own
content, everything = io.BytesIO(), [row for part in own.splits.values() for row in part]
Dataset.from_list(everything, features=own.splits["train"].features).to_parquet(content)
api = HfApi()
api.create_repo("alice/lakes", repo_type="dataset")
card = b"---\\nlicense: cc-by-nc-4.0\\npretty_name: Lakes\\n---\\n"
for name, data in (("data/train.parquet", content.getvalue()), ("README.md", card)):
    api.upload_file(path_or_fileobj=data, path_in_repo=name, repo_id="alice/lakes", repo_type="dataset")
attempt("lakes", load_collection, "alice/lakes")
attempt("lakes stream", load_collection, "alice/lakes", streaming=True)

# pictures that are large beside their labels
scale, draw = RatingScale(1, 5, 5), np.random.default_rng(0)
noise = [Picture.fromarray(draw.integers(256, size=(180, 180, 3), dtype=np.uint8)) for _ in range(60)]
rows = [{"image": png(image), "image_id": f"n{i}", **vote_statistics([1, 2, i, 0, 0], scale, "row")}
        for i, image in enumerate(noise)]
split = Dataset.from_list(rows, features=rating_features(5))
splits = DatasetDict(train=split, validation=split, test=split)
large = RatedCollection("noise", splits, scale, DatasetFacts(name="noise", license="none"))
push_dataset(large, "alice/noise", pictures=True, license="cc0-1.0")
told["noise"] = len(load_collection("alice/noise", streaming=True).labels["train"])

(work / "told.json").write_text(json.dumps({"told": told, "loaded": loaded}))
"""


def plant_folder(work: Path) -> dict[str, list[tuple]]:
    """A folder of rated pictures; returns its rows as `(image_id, votes, SHA-256 of the file)`."""
    draw = np.random.default_rng(0)
    (work / "parks").mkdir()
    rows: dict[str, list[tuple]] = {part: [] for part in COUNTS}
    with (work / "parks" / "ratings.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file_name", "image_id", *(f"votes_{score}" for score in range(1, 6)), "split", "theme"])
        for part, count in COUNTS.items():
            for index in range(count):
                image_id, votes = f"{part}-{index}", draw.multinomial(20, np.ones(5) / 5).tolist()
                path = work / "parks" / f"{image_id}.png"
                Image.fromarray(draw.integers(256, size=(20, 30, 3), dtype=np.uint8)).save(path)
                table.writerow([path.name, image_id, *votes, part, "été"])
                rows[part].append((image_id, votes, hashlib.sha256(path.read_bytes()).hexdigest()))
    # somebody's own copy of them: in sub-folders, one missing, one damaged
    for part, found in rows.items():
        (work / "mine" / part).mkdir(parents=True)
        for image_id, *_ in found:
            (work / "mine" / part / f"{image_id}.png").write_bytes((work / "parks" / f"{image_id}.png").read_bytes())
    (work / "mine" / "train" / "train-3.png").unlink()
    (work / "mine" / "test" / "test-0.png").write_bytes(b"\x89PNG damaged")
    return rows


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The Hub after the program, what it was told and what it loaded, and what was planted."""
    work = tmp_path_factory.mktemp("collections")
    planted = plant_folder(work)
    with LocalHub(tokens={"hf_write": ("alice", "write")}) as hub:
        (work / "program.py").write_text(PROGRAM)
        run("program.py", work, cwd=work, env=hub.env("hf_write", work / "home"))
        results = json.loads((work / "told.json").read_text())
        loaded = {
            name: {part: [(i, votes, sha) for i, votes, sha in rows] for part, rows in splits.items()}
            for name, splits in results["loaded"].items()
        }
        yield hub, results["told"], loaded, planted


@pytest.mark.parametrize("name", ["rgb", "rgb stream"])
def test_pictures_come_back_as_the_bytes_that_they_were(published, name):
    hub, told, loaded, planted = published
    assert loaded[name] == planted
    assert told[name]["labels"] == {part: [row[0] for row in rows] for part, rows in planted.items()}
    assert told[name]["is_streaming"] is (name == "rgb stream") and told[name]["modality_column"] is None
    assert told[name]["revision"] == told["parks"] and told[name]["scale"] == "1..5 in 5 bins"


def test_types_survive_exactly(published):
    hub, told, *_ = published
    assert told["rgb"]["features"] == str({**rating_features(5), "theme": "x"}).replace("'x'", "Value('string')")
    gray = {name: feature for name, feature in rating_features(5).items() if name != "image"}
    assert told["gray"]["features"] == str(gray)[:-1] + ", 'gray': Image(mode='L', decode=True)}"


@pytest.mark.parametrize("name", ["gray", "gray stream"])
def test_a_modality_needs_no_picture(published, name):
    hub, told, loaded, planted = published
    assert told[name]["modality_column"] == "gray" and "image" not in told[name]["columns"]
    assert [[row[:2] for row in rows] for rows in loaded[name].values()] == [
        [row[:2] for row in rows] for rows in planted.values()
    ]
    assert loaded["gray"] == loaded["gray stream"]
    assert len({sha for rows in loaded[name].values() for *_, sha in rows}) == sum(COUNTS.values())


def test_labels_of_a_stream_travel_without_the_pictures(published):
    hub, told, *_ = published
    size = sum(len(content) for name, content in hub.files("alice/noise", "dataset").items() if "parquet" in name)
    sent = sum(count for path, count in hub.bytes_sent.items() if path.startswith("/datasets/alice/noise/resolve"))
    assert told["noise"] == 60 and size > 15e6 and sent < 0.05 * size


def test_ones_own_pictures_are_joined_by_id_and_the_missing_counted(published):
    hub, told, loaded, planted = published
    missing = {"train-3", "test-0"}
    assert loaded["joined"] == {part: [row for row in rows if row[0] not in missing] for part, rows in planted.items()}
    assert told["joined"]["left_out"] == {"missing": 1, "unreadable": 1}
    assert not missing & {image_id for ids in told["joined"]["labels"].values() for image_id in ids}


def test_an_earlier_revision_is_what_it_was(published):
    hub, told, loaded, planted = published
    # its maps came later, so that the modality is made of the pictures
    assert told["before"]["revision"] == told["first"] and told["before"]["modality_column"] is None
    assert loaded["before"] == planted


def test_a_push_is_one_commit_and_repeating_it_none(published):
    hub, told, *_ = published
    commits = hub.repos["dataset", "alice/parks"].commits
    assert [commit.oid for commit in commits[1:]] == [told["first"], told["parks"]] and told["again"] == told["parks"]
    files = set(hub.files("alice/parks", "dataset"))
    parquet = {f"{config}/{part}-00000.parquet" for config in ("data", "gray") for part in COUNTS}
    assert files == {"README.md"} | parquet


def test_facts_come_from_the_card(published):
    hub, told, *_ = published
    facts = told["rgb"]["facts"]
    assert facts["license"] == "cc-by-4.0" and facts["pictures"]["license"] == "cc-by-4.0"
    assert facts["source_url"] == "https://huggingface.co/datasets/alice/parks"
    facts = told["lakes"]["facts"]
    assert (facts["name"], facts["license"]) == ("Lakes", "cc-by-nc-4.0, by its card")
    assert facts["pictures"] == {
        "is_given": True,
        "terms": "published under cc-by-nc-4.0, by the card of alice/lakes",
        "license": "cc-by-nc-4.0",
    }


def test_missing_splits_follow_from_the_ids_on_disk_and_streamed(published):
    hub, told, loaded, planted = published
    ids = [row[0] for rows in planted.values() for row in rows]
    expected = {part: [image_id for image_id in ids if hash_split(image_id) == part] for part in COUNTS}
    assert told["lakes"]["labels"] == told["lakes stream"]["labels"] == expected
    assert loaded["lakes"] == loaded["lakes stream"]
    assert [[row[0] for row in loaded["lakes"][part]] for part in COUNTS] == list(expected.values())


def test_the_card_says_what_is_there(published):
    hub, told, loaded, planted = published
    card = DatasetCard(hub.files("alice/labels", "dataset")["README.md"].decode())
    assert [config["config_name"] for config in card.data.configs] == ["default", "gray"]
    assert card.data.license == "cc-by-4.0"
    for part, rows in planted.items():
        assert f"| {part} | {len(rows)} | `{split_fingerprint(row[0] for row in rows)}` |" in card.text
    assert "`theme`" in card.text and "The pictures are not here" in card.text
    own = hub.files("alice/own", "dataset")["README.md"].decode()
    assert hub.repos["dataset", "alice/own"].is_private and "somebody's own copy" in own
    assert "\n\n\n" not in card.text.rstrip() and "\n\n\n" not in own.rstrip()


def test_the_example_of_the_card_joins_the_pictures(published, tmp_path):
    hub, told, loaded, planted = published
    card = hub.files("alice/labels", "dataset")["README.md"].decode()
    example = re.findall(r"```python\n(.*?)```", card, re.DOTALL)[-1]
    (tmp_path / "folder" / "of" / "the").mkdir(parents=True)
    plant_folder(tmp_path)
    (tmp_path / "mine").rename(tmp_path / "folder" / "of" / "the" / "pictures")
    example = example.replace("*.jpg", "*.png") + "\nprint(len(test), test[1]['image'].size)"
    (tmp_path / "example.py").write_text(example)
    printed = run("example.py", cwd=tmp_path, env=hub.env("hf_write", tmp_path / "home"))
    assert printed.splitlines()[-1] == f"{COUNTS['test']} (30, 20)"


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("unlicensed", "ValueError: a folder of rated pictures cannot be published so .ratings: nobody has said"),
        ("stale", r"HubPublishError: Cannot push to alice/parks: the Hub has a newer commit than [0-9a-f]{40}\. Look"),
        ("own copy in public", "HubPublishError: Cannot push to alice/labels: it is public, but this shall stay pri"),
        ("shuffled", "ValueError: The gray maps of 'train' must have the ids of its 14 rows in their order"),
        (
            "no source",
            r"ValueError: alice/labels has no pictures\. Give the folder of the pictures as data_dir, or choose the "
            "modality gray",
        ),
        ("two sources", "ValueError: alice/parks has pictures of its own, so `data_dir` is not needed, got '.*mine'"),
        ("joined stream", "ValueError: `data_dir` is for rows on disk, got '.*mine' and `streaming`"),
        ("ids alone", "ValueError: alice/ids must have the columns .* but lacks vote_counts, score_mean, score_std"),
        ("ambiguous", "ValueError: The picture '[a-z]+-[0-9]+' must lie in '.*' once, found .* and "),
    ],
)
def test_refusals_say_what_to_do(published, step, message):
    _, told, *_ = published
    assert re.match(message, told[step]), told[step]
    assert "\n" not in told[step]


def test_refused_pushes_leave_no_repository(published):
    hub, *_ = published
    assert {name for _, name in hub.repos} & {"alice/unlicensed", "alice/shuffled"} == set()


def test_a_licence_of_ones_own_does_not_overrule_the_terms_of_the_source():
    rows = [{"image": None, "image_id": "a", **vote_statistics([1, 2], RatingScale(1, 2, 2), "a")}]
    splits = DatasetDict({part: Dataset.from_list(rows, features=rating_features(2)) for part in COUNTS})
    terms = Permission(False, "the photographers have not agreed")
    facts = DatasetFacts(name="AVA", license="research", pictures=terms)
    collection = RatedCollection("ava", splits, RatingScale(1, 2, 2), facts)
    with pytest.raises(ValueError, match="AVA cannot be published so .pictures: the photographers have not agreed"):
        push_dataset(collection, "alice/ava", pictures=True, license="cc0-1.0")
