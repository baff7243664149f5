"""A run folder may be anybody's: nothing is read or written outside it, and what is wrong is said."""

import hashlib
import io
import json
import os
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from neuro_aws import Options, run
from neuro_aws.experiment.workers import SAFE_PATH, safe_path
from neuro_aws.protocol import Protocol
from neuro_aws.recording import checkpoint
from neuro_aws.recording.checkpoint import Place
from neuro_aws.recording.folder import size
from tests.calls import command
from tests.conftest import TINY

COMMANDS = (
    ["inspect"],
    ["inspect", "--verify"],
    ["plot"],
    ["evaluate"],
    ["run", "--jobs", "1", "--resume"],
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    options = Options(out=str(tmp_path_factory.mktemp("whole")), jobs=1)
    return run(Protocol.from_text(TINY, "tiny.yaml"), options=options).folder


@pytest.fixture
def folder(whole, tmp_path):
    return Path(shutil.copytree(whole, tmp_path / "place" / "run"))


def refused(*words: str, says: str) -> None:
    """Call a command that must fail in one line that says something."""
    done = command(*words)
    assert done.returncode == 1, (words, done.stdout)
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "unexpected" not in done.stderr, done.stderr
    assert says in done.stderr, done.stderr
    assert len(done.stderr) < 1000


@pytest.mark.parametrize(
    "name",
    ["run.log", "run.lock", "evaluation.csv", "figures", "metrics.csv", "checkpoints/s0/new.npz"],
)
@pytest.mark.parametrize("exists", [True, False])
def test_links_that_lead_out_are_not_followed(folder, tmp_path, name, exists):
    outside = tmp_path / "outside"
    if exists and name == "figures":
        outside.mkdir()
    elif exists:
        outside.write_text("precious")
    path = folder / name
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    path.symlink_to(outside)
    for words in COMMANDS:
        refused(*words, str(folder), says="a link that leads out of the run's folder")
    refused("compare", str(folder), str(folder), says="leads out")
    if exists and name != "figures":
        assert outside.read_text() == "precious"
    elif exists:
        assert not list(outside.iterdir())
    else:
        assert not outside.exists()


def test_links_within_and_a_link_to_the_folder_itself_are_fine(folder, tmp_path):
    (folder / "latest.csv").symlink_to("metrics.csv")
    (tmp_path / "latest").symlink_to(folder)
    assert command("inspect", str(tmp_path / "latest"), "--verify").returncode == 0


def test_a_pipe_in_the_folder_keeps_nobody_waiting(folder):
    (folder / "metrics.json").unlink()
    os.mkfifo(folder / "metrics.json")
    for words in COMMANDS:
        refused(*words, str(folder), says="neither a file nor a folder")


def outside_file(folder: Path) -> str:
    """Write a recording of secrets outside the run's folder; return its path."""
    path = folder.parent / "secret.h5"
    with h5py.File(path, "w") as file:
        file["ach"] = np.arange(42, dtype="f4")
        file["ach"].attrs["units"] = file["ach"].attrs["description"] = "secret"
    return str(path)


def linked(file, folder):
    del file["s0/control"]
    file["s0/control"] = h5py.ExternalLink(outside_file(folder), "/")


def softly_linked(file, folder):
    del file["s0/control/neuromodulators/ach"]
    file["s0/control/neuromodulators/ach"] = h5py.SoftLink("/s0/common/neuromodulators/ach")


def stored_outside(file, folder):
    del file["s0/control/neuromodulators/ach"]
    (folder.parent / "passwd").write_bytes(b"x" * 112)
    made = file["s0/control/neuromodulators"].create_dataset(
        "ach", (28,), "f4", external=[(str(folder.parent / "passwd"), 0, 112)]
    )
    made.attrs["units"] = made.attrs["description"] = "D"


def virtual_from_outside(file, folder):
    del file["s0/control/neuromodulators/ach"]
    layout = h5py.VirtualLayout((28,), "f4")
    layout[:] = h5py.VirtualSource(outside_file(folder), "ach", (42,))[:28]
    made = file["s0/control/neuromodulators"].create_virtual_dataset("ach", layout)
    made.attrs["units"] = made.attrs["description"] = "D"


def virtual_from_an_external_part(file, folder):
    (folder.parent / "passwd").write_bytes(b"x" * 112)
    with h5py.File(folder / "part_00000.h5", "w") as part:
        part.create_dataset("ach", (28,), "f4", external=[(str(folder.parent / "passwd"), 0, 112)])
    del file["s0/control/neuromodulators/ach"]
    layout = h5py.VirtualLayout((28,), "f4")
    layout[:] = h5py.VirtualSource("part_00000.h5", "ach", (28,))
    made = file["s0/control/neuromodulators"].create_virtual_dataset("ach", layout)
    made.attrs["units"] = made.attrs["description"] = "D"


def virtual_from_a_linked_part(file, folder):
    virtual_from_an_external_part(file, folder)
    with h5py.File(folder / "part_00000.h5", "w") as part:
        part["ach"] = h5py.ExternalLink(outside_file(folder), "ach")


def looped(file, folder):
    file["s0/control/again"] = file["s0/control"]
    file["s0/control/neuromodulators/again"] = file["s0"]


def without_attributes(file, folder):
    del file["s0/control/neuromodulators/ach"].attrs["units"]


def a_group_for_a_dataset(file, folder):
    del file["s0/control/neuromodulators/ach"]
    file.create_group("s0/control/neuromodulators/ach/inner")
    del file["s0/control/metrics/value"]
    file.create_group("s0/control/metrics/value")


def a_dataset_for_a_group(file, folder):
    del file["s0/control"]
    file["s0/control"] = np.zeros(3)


def of_objects(file, folder):
    for name in ("neuromodulators/ach", "metrics/value"):
        del file[f"s0/control/{name}"]
        made = file["s0/control"].create_dataset(name, data=["a", "b"])
        made.attrs["units"] = made.attrs["description"] = "D"


def shorter(file, folder):
    for name in ("neuromodulators/ach", "metrics/value"):
        file[f"s0/control/{name}"].resize(1, axis=0)


def huge(file, folder):
    for name in ("neuromodulators/ach", "metrics/value", "intervals/phases/start"):
        file[f"s0/control/{name}"].resize(2**40, axis=0)


def steering(file, folder):
    file["s0/control/metrics/name"][0] = b"\x1b[2J"
    file["s0/control/intervals/phases/label"][0] = b"\xff\xfe"


STRUCTURES = [
    linked,
    softly_linked,
    stored_outside,
    virtual_from_outside,
    virtual_from_an_external_part,
    virtual_from_a_linked_part,
    without_attributes,
    a_group_for_a_dataset,
    a_dataset_for_a_group,
    of_objects,
    shorter,
    huge,
    steering,
]


@pytest.mark.parametrize("change", STRUCTURES, ids=lambda c: c.__name__)
def test_a_recording_that_is_not_as_we_write_it_is_named(folder, change):
    with h5py.File(folder / "recording.h5", "r+") as file:
        change(file, folder)
    facts = json.loads((folder / "provenance.json").read_text())
    (folder / "provenance.json").write_text(json.dumps(facts | {"outcome": "stopped"}))
    seen = 0
    for words in (
        ["plot", str(folder), "--arm", "control"],
        ["inspect", str(folder), "--datasets"],
        ["compare", str(folder), str(folder)],
        ["run", "--jobs", "1", "--resume", str(folder)],
    ):
        done = command(*words)
        assert "unexpected" not in done.stderr, done.stderr
        assert "secret" not in done.stdout
        assert "\x1b" not in done.stdout + done.stderr
        if done.returncode == 1:
            seen += 1
            assert "recording.h5" in done.stderr, done.stderr
            assert len(done.stderr.splitlines()) == 1
    assert seen, "no command saw it"


def test_loops_in_a_recording_end(folder):
    with h5py.File(folder / "recording.h5", "r+") as file:
        looped(file, folder)
    for words in COMMANDS[:2]:
        assert command(*words, str(folder)).returncode in (0, 1)


def crafted(folder: Path, change) -> Path:
    """Save a state with a right seal that is not one of the program's."""
    path = Place(folder, 0, "control").final
    state, facts = checkpoint.load(path)
    change(state, facts)
    checkpoint.save(path, state, facts)
    return path


def weight(state) -> str:
    return next(name for name in state if name.endswith("feedforward_into1"))


CRAFTED = {
    "another shape": lambda s, f: s.update({weight(s): s[weight(s)][:1]}),
    "one number for all": lambda s, f: s.update({weight(s): np.float32(1)}),
    "another kind": lambda s, f: s.update({weight(s): s[weight(s)].astype("f8")}),
    "text": lambda s, f: s.update({weight(s): np.array("x")}),
    "a name missing": lambda s, f: s.pop(weight(s)),
    "a name too many": lambda s, f: s.update({"network/more": np.zeros(3)}),
    "a name without a part": lambda s, f: s.update({"more": np.zeros(3)}),
    "another part": lambda s, f: s.update({"more/of/it": np.zeros(3)}),
    "moments of another shape": lambda s, f: s.update({"updates/feedforward/first": np.zeros(3)}),
    "a count that is none": lambda s, f: s.update({"updates/feedforward/count": np.zeros(3)}),
    "nothing": lambda s, f: s.clear(),
    "a step too late": lambda s, f: f.update(step=10**6),
    "a step too early": lambda s, f: f.update(step=1),
    "no parts": lambda s, f: f.pop("parts"),
    "parts that are none": lambda s, f: f.update(parts=[["../../x", 1, "", 0, 1]]),
}


@pytest.mark.parametrize("change", CRAFTED.values(), ids=CRAFTED)
def test_a_checkpoint_that_is_none_of_this_branch_is_refused(folder, change, request):
    path = crafted(folder, change)
    name = request.node.callspec.id
    facts = json.loads((folder / "provenance.json").read_text())
    if "parts" not in name:
        refused("evaluate", str(folder), "--measure", "reconstruction", says=str(path))
    with h5py.File(folder / "recording.h5", "r+") as file:
        file.attrs["complete"] = False
    (folder / "provenance.json").write_text(json.dumps(facts | {"outcome": "stopped"}))
    resumed = path.with_name("control.resume.npz")
    path.rename(resumed)
    refused("run", "--jobs", "1", "--resume", str(folder), says=str(folder))


def test_what_a_measure_kept_and_does_not_fit_is_said_of_the_state(folder):
    def change(state, facts):
        name = next(name for name in state if name.startswith("memory/"))
        state[name] = np.zeros((0,), state[name].dtype)

    path = crafted(folder, change)
    refused("evaluate", str(folder), "--measure", "target_cells", says=str(path))


@pytest.mark.parametrize("state", ["../../x", "9" * 5000, "", "\u0663", "best", "final.npz", "-1"])
def test_only_states_that_were_kept_are_evaluated(folder, state):
    refused("evaluate", str(folder), f"--state={state}", says="no state")


@pytest.mark.parametrize("arm", ["common_life", "common", "common_7", "../x", "nobody", "x" * 9999])
def test_only_arms_of_the_run_are_drawn(folder, arm):
    refused("plot", str(folder), "--arm", arm, says="no arm")


def test_a_checkpoint_that_unpacks_to_much_more_is_refused(folder):
    content = io.BytesIO()
    np.savez_compressed(content, facts=np.array("{}"), zeros=np.zeros(10_000_000))
    packed = content.getvalue()
    path = Place(folder, 0, "control").final
    path.write_bytes(packed + checkpoint.SEAL + hashlib.sha256(packed).digest())
    refused("evaluate", str(folder), "--measure", "reconstruction", says="its arrays are packed")


@pytest.mark.parametrize(
    "facts",
    [
        {"animals": list(range(20_000))},
        {"animals": [0, 0]},
        {"arms": ["control", "control"]},
        {"device": "meta"},
        {"more": "x" * 5_000_000},
    ],
    ids=lambda f: next(iter(f)),
)
def test_facts_that_cost_much_or_stand_twice_are_refused(folder, facts):
    path = folder / "provenance.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | facts))
    for words in COMMANDS:
        refused(*words, str(folder), says="provenance.json")


def test_a_folder_that_is_no_run_is_not_looked_through(tmp_path):
    (tmp_path / "link").symlink_to("/")
    refused("inspect", str(tmp_path), says="is not a run folder")


def test_a_run_under_way_may_rename_and_remove_while_it_is_looked_at(folder, monkeypatch):
    walk = os.walk

    def with_one_more(*words, **more):
        for here, folders, files in walk(*words, **more):
            yield here, folders, [*files, "renamed.tmp"]

    monkeypatch.setattr(os, "walk", with_one_more)
    assert command("inspect", str(folder)).returncode == 0
    assert size(folder) > 0


def test_a_run_on_the_device_that_is_there_can_be_read_again(tmp_path):
    protocol = Protocol.from_text(TINY, "tiny.yaml")
    options = Options(out=str(tmp_path), jobs=1, arms=("control",), device="auto")
    assert run(protocol, options=options).provenance["device"] in ("cpu", "cuda")


@pytest.mark.parametrize("before", [None, "", "yes"])
def test_the_environment_is_as_before_once_processes_have_run(before, monkeypatch):
    monkeypatch.delenv(SAFE_PATH, raising=False)
    if before is not None:
        monkeypatch.setenv(SAFE_PATH, before)
    with safe_path():
        assert os.environ[SAFE_PATH] == "1"
    assert os.environ.get(SAFE_PATH) == before
