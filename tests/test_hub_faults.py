"""
Whatever goes wrong with the Hub is one line that says what to do, and leaves nothing half-written.

Everything that writes to the Hub and everything that reads from it meets the same faults, through the real client: one
process online, one whose Hub is gone, one that is offline.
"""

import json
import re

import pytest
from local_hub import LocalHub
from test_hub import run

from hf_aesthetics.cards import render_model_card
from hf_aesthetics.data.columns import DatasetFacts
from hf_aesthetics.hub import add_results, save_checkpoint
from hf_aesthetics.scoring import AestheticScorer


WRITERS = ("checkpoint", "dataset", "space", "folder")
READERS = ("collection", "scorer", "fetch")
PROGRAM = """
import json, os, sys, time, urllib.request
from pathlib import Path

time.sleep = lambda seconds: None  # the client's patience and ours, without the waiting
from datasets import Dataset, DatasetDict
from huggingface_hub import HfApi
from hf_aesthetics.data.columns import DatasetFacts, RatingScale, rating_features, vote_statistics
from hf_aesthetics.data.loading import RatedCollection, load_collection
from hf_aesthetics.hub import (
    HubPublishError, fetch_folder, push_checkpoint, push_dataset, push_folder, push_space
)
from hf_aesthetics.licensing import license_permission
from hf_aesthetics.scoring import AestheticScorer

work, situation = Path(sys.argv[1]), sys.argv[2]
told, count = {}, 0

def collection():
    scale, allowed = RatingScale(1, 2, 2), license_permission("cc0-1.0")
    rows = [{"image": None, "image_id": f"p{i}", **vote_statistics([count + 1, i], scale, "row")} for i in range(4)]
    split = Dataset.from_list(rows, features=rating_features(2)).remove_columns("image")
    facts = DatasetFacts(name="parks", license="mine", ratings=allowed)
    return RatedCollection("parks", DatasetDict(train=split, validation=split, test=split), scale, facts)

def change(folder, name):  # a text and a large file, so that every push has both kinds
    (folder / name).write_bytes(b"%d" % count)
    with (folder / "README.md").open("a") as readme:
        readme.write(f"\\nVersion {count}.\\n")
    return folder

PUSH = {
    "checkpoint": lambda **o: push_checkpoint(change(work / "nima", "training_ids.parquet"), "alice/nima", **o),
    "dataset": lambda **o: push_dataset(collection(), "alice/parks", **o),
    "space": lambda **o: push_space(change(work / "space", "example.png"), "alice/space", **o),
    "folder": lambda **o: push_folder(change(work / "run", "optimizer.pt"), "alice/run", "last-checkpoint", **o),
}
READ = {
    "collection": lambda name="parks", **o: load_collection(f"alice/{name}", data_dir=work, **o),
    "scorer": lambda name="nima", **o: AestheticScorer.from_pretrained(f"alice/{name}", device="cpu", **o),
    "fetch": lambda name="run", **o: fetch_folder(f"alice/{name}", "last-checkpoint", work / f"fetched{count}", **o),
}

def attempt(key, function, *arguments, **options):
    global count
    count += 1
    try:
        result = function(*arguments, **options)
    except Exception as error:
        told[key] = f"{type(error).__name__}: {error}"
    else:
        told[key] = getattr(result, "oid", "done")

def inject(*faults):
    body = json.dumps(faults).encode()
    urllib.request.urlopen(urllib.request.Request(os.environ["HF_ENDPOINT"] + "/_faults", data=body, method="POST"))

if situation == "online":
    for name, push in PUSH.items():
        attempt(f"{name}: first", push, commit_message="first")
        for step, fault in {
            "a failed creation": ("POST", "/api/repos/create", 503),
            "a failed listing": ("GET", "/tree/", 500),
            "a failed announcement": ("POST", "/preupload/", 502),
            "a failed upload": ("PUT", "/_lfs/", 500),
            "a failed commit": ("POST", "/commit/", 500),
        }.items():
            inject(fault)
            attempt(f"{name}: {step}", push, commit_message=step)
        for step, fault in {
            "uploads that fail": ("PUT", "/_lfs/", 500), "commits that fail": ("POST", "/commit/", 503)
        }.items():
            inject(*[fault] * 50)
            attempt(f"{name}: {step}", push, commit_message=step)
        inject(("POST", "/commit/", -500))
        attempt(f"{name}: a lost answer", push, commit_message="a lost answer")
        inject()
        attempt(f"{name}: stale parent", push, parent_commit=told[f"{name}: first"])
        attempt(f"{name}: bad token", push, token="hf_bad")
        attempt(f"{name}: read-only token", push, token="hf_read")
        attempt(f"{name}: token of another", push, token="hf_other")
        token = os.environ.pop("HF_TOKEN")
        attempt(f"{name}: no token", push)
        os.environ["HF_TOKEN"] = token
    for name, read in READ.items():
        attempt(f"{name}: missing repository", read, "nothing")
        attempt(f"{name}: missing revision", read, revision="v9")
        inject(*[("GET", "/api/", 500)] * 50)
        attempt(f"{name}: requests that fail", read, revision="main")
        inject()
        os.environ["HF_TOKEN"] = "hf_bad"
        attempt(f"{name}: bad token", read)
        os.environ["HF_TOKEN"] = "hf_other"
        attempt(f"{name}: private", read, "private")
        attempt(f"{name}: gated", read, "gated")
        os.environ["HF_TOKEN"] = token
    attempt("fetch: missing folder", fetch_folder, "alice/nima", "last-checkpoint", work / "no-run")
    attempt("fetch: whole", fetch_folder, "alice/run", "last-checkpoint", work / "whole")
    attempt("fetch: twice", fetch_folder, "alice/run", "last-checkpoint", work / "whole")
else:
    for name, function in {**PUSH, **READ}.items():
        attempt(f"{name}: {situation}", function)
(work / f"{situation}.json").write_text(json.dumps(told))
"""


@pytest.fixture(scope="module")
def faulty(tmp_path_factory, tiny_checkpoint):
    """The Hub after all faults, what the processes were told, and their folder."""
    work = tmp_path_factory.mktemp("faults")
    scorer = AestheticScorer.from_pretrained(tiny_checkpoint, device="cpu")
    save_checkpoint(scorer.model, scorer.processor, work / "nima")
    add_results(work / "nima", [], render_model_card(work / "nima", [], facts=DatasetFacts(name="x", license="x")))
    for name in ("run", "space"):
        (work / name / "__pycache__").mkdir(parents=True)
        (work / name / "__pycache__" / "app.pyc").write_bytes(b"")
        (work / name / "README.md").write_text("---\nsdk: gradio\nlicense: mit\n---\n")
    (work / "program.py").write_text(PROGRAM)
    tokens = {"hf_write": ("alice", "write"), "hf_read": ("alice", "read"), "hf_other": ("mallory", "write")}
    with LocalHub(tokens=tokens) as hub:
        for kind in ("model", "dataset"):
            hub.create(kind, "alice/private").is_private = True
            hub.create(kind, "alice/gated").is_gated = True
        environment = hub.env("hf_write", work / "home")
        run("program.py", work, "online", cwd=work, env=environment)
        fresh = {**environment, "HF_HOME": str(work / "empty")}
        run("program.py", work, "gone", cwd=work, env={**fresh, "HF_ENDPOINT": "http://127.0.0.1:9"})
        run("program.py", work, "offline", cwd=work, env={**fresh, "HF_HUB_OFFLINE": "1"})
        told = {}
        for situation in ("online", "gone", "offline"):
            told |= json.loads((work / f"{situation}.json").read_text())
        yield hub, told, work


REPOSITORY = {"checkpoint": "alice/nima", "dataset": "alice/parks", "space": "alice/space", "folder": "alice/run"}
KIND = {"checkpoint": "model", "dataset": "dataset", "space": "space", "folder": "model"}
WHAT = {"collection": "dataset alice/{}", "scorer": "{}", "fetch": "model alice/{}"}
OWN = {"collection": "parks", "scorer": "nima", "fetch": "run"}


@pytest.mark.parametrize("writer", WRITERS)
def test_what_fails_once_is_tried_again(faulty, writer):
    hub, told, _ = faulty
    steps = ["first", "a failed creation", "a failed listing", "a failed announcement", "a failed upload"]
    steps += ["a failed commit", "a lost answer"]
    commits = hub.repos[KIND[writer], REPOSITORY[writer]].commits
    # and what fails for good leaves no commit
    assert [commit.title for commit in commits] == ["initial commit", *steps]
    assert [commit.oid for commit in commits[1:-1]] == [told[f"{writer}: {step}"] for step in steps[:-1]]


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("uploads that fail", r"Cannot push to {}: the Hub answered 500\. Wait a little, then push again\."),
        ("commits that fail", r"Cannot push to {}: the Hub answered 503\. Wait a little, then push again\."),
        ("a lost answer", r"Cannot push to {}: the Hub failed, and now has a newer commit than \w+, perhaps this"),
        ("stale parent", r"Cannot push to {}: the Hub has a newer commit than \w+\. Look at what changed, then push"),
        ("bad token", r"Cannot push to {}: the Hub does not know the token\. Make one with write access at https"),
        ("read-only token", r"Cannot push to {}: the Hub does not let this token write there\. Use one with write"),
        ("token of another", r"Cannot push to {}: the Hub does not let this token write there\. Use one with write"),
        ("no token", r"Pushing to {} needs a token with write access, but there is none\. Run `hf auth login`"),
        ("gone", r"Cannot push to {}: http://127\.0\.0\.1:9 cannot be reached \(.+\)\. Check the connection and push"),
        ("offline", r"Cannot push to {}: offline mode is on\. Unset HF_HUB_OFFLINE\."),
    ],
)
def test_a_push_that_fails_says_why_in_one_line(faulty, writer, fault, message):
    _, told, _ = faulty
    line = told[f"{writer}: {fault}"]
    assert re.match("HubPublishError: " + message.format(REPOSITORY[writer]), line), line
    assert "\n" not in line


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("fault", "repository", "message"),
    [
        ("missing repository", "nothing", r"no such (model|dataset) that you may read\. Check the spelling"),
        ("missing revision", None, r"(no such commit, branch or tag as|got) 'v9'\. See http\S+/commits/main"),
        ("requests that fail", None, r"the Hub answered 500\. Wait a little, then try again\."),
        ("bad token", None, r"the Hub does not know the token\. Make one at https://.+, or unset HF_TOKEN"),
        ("private", "private", r"no such (model|dataset) that you may read\. Check the spelling"),
        ("gated", "gated", r"it is gated\. Ask for access at http://\S+/alice/gated, then log in"),
        ("gone", None, r"http://127\.0\.0\.1:9 cannot be reached \(.+\)\. Check the connection and try again\."),
        ("offline", None, r"offline mode is on\. Unset HF_HUB_OFFLINE, or read it once while online\."),
    ],
)
def test_a_reading_that_fails_says_why_in_one_line(faulty, reader, fault, repository, message):
    _, told, _ = faulty
    line = told[f"{reader}: {fault}"]
    assert re.match(f"OSError: .*(?:{message})", line), line
    assert f"alice/{repository or OWN[reader]}" in line and "\n" not in line


def test_a_folder_is_fetched_whole_or_not_at_all(faulty):
    hub, told, work = faulty
    assert told["fetch: whole"] == "done"
    published = hub.files("alice/run")
    assert {f"last-checkpoint/{path.name}": path.read_bytes() for path in (work / "whole").iterdir()} == published
    assert set(published) == {"last-checkpoint/README.md", "last-checkpoint/optimizer.pt"}
    assert re.match(r"FileExistsError: `local_dir` must not exist yet, got '.*whole'", told["fetch: twice"])
    missing = r"FileNotFoundError: alice/nima at \w{40} must have a folder 'last-checkpoint', but has none"
    assert re.match(missing, told["fetch: missing folder"])
    left = [path.name for path in work.iterdir() if path.name.startswith((".", "fetched", "no-run"))]
    assert left == [], left
