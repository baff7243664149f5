"""Shipped protocols are found by name, and stand in the way of nobody's own."""

from pathlib import Path

import pytest

from neuro_aws.protocol import Protocol
from neuro_aws.protocol.matrix import Matrix
from neuro_aws.protocol.shipped import file_of, shipped
from tests.calls import command
from tests.conftest import ROOT, TINY


def test_names_are_those_of_all_files_in_protocols():
    assert set(shipped()) == {path.stem for path in (ROOT / "protocols").glob("*.yaml")}


@pytest.mark.parametrize("named", ["quickstart", "quickstart.yaml", Path("quickstart")])
def test_a_name_is_found_from_any_folder(tmp_path, monkeypatch, named):
    monkeypatch.chdir(tmp_path)
    loaded = Protocol.load(named)
    assert loaded.text == (ROOT / "protocols" / "quickstart.yaml").read_text()
    assert Path(loaded.source).is_file()


def test_a_file_that_is_there_wins_and_a_folder_does_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quickstart").write_text(TINY)
    (tmp_path / "critical_period").mkdir()
    (tmp_path / "vae").symlink_to("nothing")
    assert Protocol.load("quickstart").spec.name == "tiny"
    assert file_of("critical_period") == shipped()["critical_period"]
    assert file_of("vae") == Path("vae")


def test_new_copies_a_shipped_one_and_says_what_to_do_with_it(tmp_path):
    for name, kind, said in (
        ("quickstart", Protocol, "validate mine.yaml"),
        ("prediction_matrix", Matrix, "matrix mine.yaml --short"),
    ):
        (tmp_path / name).mkdir()
        done = command("new", "mine.yaml", "--from", name, cwd=tmp_path / name)
        assert done.returncode == 0, done.stderr
        assert f"neuro-aws {said}" in done.stdout
        assert kind.load(tmp_path / name / "mine.yaml").text == kind.load(name).text
