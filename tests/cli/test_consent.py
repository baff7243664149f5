"""Code that a protocol names runs with consent only, which holds for exactly what was consented to."""

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from neuro_aws import Protocol, open_run
from neuro_aws.cli import consent
from neuro_aws.protocol.consent import Request
from tests.calls import command
from tests.conftest import ROOT, TINY

CODE = """
from pathlib import Path

from neuro_aws.metrics import Value

Path(__file__).with_name("imported").touch()


def sparseness(subject):
    yield Value("sparseness", float((subject.waking()[1] > 0).double().mean()), 1)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NEURO_AWS_CONFIG", str(tmp_path / "config"))
    here = tmp_path / "mine"
    here.mkdir()
    (here / "my_code.py").write_text(CODE)
    (here / "p.yaml").write_text(TINY + "  - {measure: 'my_code:sparseness'}\n")
    return here


def imported(folder: Path) -> bool:
    """Say whether the code was imported since it was last asked."""
    trace = folder / "imported"
    found = trace.exists()
    trace.unlink(missing_ok=True)
    return found


def touched(folder: Path) -> None:
    """Give the code another time stamp, so that nobody takes the module of before."""
    path = folder / "my_code.py"
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 10**9))


def validate(folder, *words):
    touched(folder)
    return command("validate", str(folder / "p.yaml"), *words)


def test_consent_is_remembered_until_a_letter_changes(folder):
    refused = validate(folder)
    assert refused.returncode == 1
    assert "--allow-code" in refused.stderr
    assert f"code of your own: my_code:sparseness: {folder}/my_code.py" in refused.stdout
    assert not imported(folder)
    assert validate(folder, "--allow-code").returncode == 0
    assert imported(folder)
    assert validate(folder).returncode == 0
    assert imported(folder)
    changes = {
        "p.yaml": lambda text: text + "# another comment\n",
        "my_code.py": lambda text: text + "# another comment\n",
        "unused.py": lambda text: "x = 1\n",
        "package/inner.py": lambda text: "x = 1\n",
    }
    for name, change in changes.items():
        path = folder / name
        before = path.read_text() if path.exists() else None
        path.parent.mkdir(exist_ok=True)
        path.write_text(change(before))
        assert validate(folder).returncode == 1, name
        assert not imported(folder)
        path.unlink() if before is None else path.write_text(before)
        assert validate(folder).returncode == 0, name
        imported(folder)
    assert validate(folder, "--set", "seeds=2").returncode == 1
    assert not imported(folder)


def test_a_run_folder_is_no_way_around_it(folder):
    """A stranger's run folder that names a consented protocol, with other settings."""
    done = command("run", "p.yaml", "--jobs", "1", "--arms", "control", "--allow-code", cwd=folder)
    assert done.returncode == 0, done.stderr
    (run,) = (folder / "runs" / "tiny").iterdir()
    assert imported(folder)
    measure = ["evaluate", str(run), "--measure", "my_code:sparseness"]
    touched(folder)
    assert command(*measure).returncode == 0
    imported(folder)
    for name in ("inspect", "plot"):
        touched(folder)
        assert command(name, str(run)).returncode == 0
        assert not imported(folder)
    hostile = Path(shutil.copytree(run, folder.parent / "hostile"))
    facts = json.loads((hostile / "provenance.json").read_text())
    other = ['measure=["my_code:touched"]']
    for change in ({"overrides": other}, {}):
        (hostile / "provenance.json").write_text(
            json.dumps({**facts, "outcome": "stopped", "allow_code": True, **change})
        )
        if not change:
            with (hostile / "protocol.yaml").open("a") as file:
                file.write("# mine\n")
        for words in (["evaluate", str(hostile)], ["run", "--jobs", "1", "--resume", str(hostile)]):
            touched(folder)
            refused = command(*words)
            assert refused.returncode == 1, (words, change)
            assert "was not loaded" in refused.stderr
            assert not imported(folder)
    assert open_run(hostile).protocol.own_code == ["my_code:sparseness"]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("answer", ["y", "n", ""])
def test_an_answer_at_a_terminal_counts_and_is_remembered(folder, answer, monkeypatch):
    from neuro_aws.cli.main import main

    said = Terminal()
    monkeypatch.setattr(sys, "stdin", Terminal(answer + "\n"))
    monkeypatch.setattr(sys, "stderr", said)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    touched(folder)
    if answer == "y":
        main(["validate", str(folder / "p.yaml")])
    else:
        with pytest.raises(SystemExit):
            main(["validate", str(folder / "p.yaml")])
    monkeypatch.undo()
    assert f"my_code:sparseness: {folder}/my_code.py" in said.getvalue()
    assert "can do all that you can" in said.getvalue()
    assert imported(folder) == (answer == "y")


def test_without_a_terminal_nobody_is_asked(folder, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert validate(folder).returncode == 1
    assert not imported(folder)


def test_what_cannot_be_remembered_holds_for_the_command_and_damage_is_said(folder):
    config = folder.parent / "config"
    config.write_text("a file where the folder should be")
    done = validate(folder, "--allow-code")
    assert done.returncode == 0
    assert "it was not noted" in done.stderr
    config.unlink()
    config.mkdir()
    (config / "allowed_code.json").write_text("[1")
    done = validate(folder)
    assert done.returncode == 1
    assert "is damaged" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert validate(folder, "--allow-code").returncode == 0


def test_code_behind_a_link_counts_and_too_much_code_is_asked_about_each_time(folder, monkeypatch):
    (folder.parent / "package").mkdir()
    (folder.parent / "package" / "inner.py").write_text("x = 1\n")
    (folder / "package").symlink_to(folder.parent / "package")
    assert validate(folder, "--allow-code").returncode == 0
    assert validate(folder).returncode == 0
    (folder.parent / "package" / "inner.py").write_text("x = 2\n")
    assert validate(folder).returncode == 1
    (folder / "package" / "loop").symlink_to(folder)
    assert validate(folder, "--allow-code").returncode == 0
    assert validate(folder).returncode == 0
    monkeypatch.setattr("neuro_aws.protocol.consent.MOST_FILES", 1)
    assert validate(folder).returncode == 1
    done = validate(folder, "--allow-code")
    assert done.returncode == 0
    assert "it was not noted" in done.stderr


def test_code_that_cannot_be_read_does_not_stop_who_allows_it(folder, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr("neuro_aws.protocol.consent.Path.read_bytes", refuse)
        done = validate(folder, "--allow-code")
    assert done.returncode == 0, done.stderr
    assert "it was not noted" in done.stderr


def test_processes_of_a_team_are_not_asked(folder, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    monkeypatch.setattr(sys, "stderr", Terminal())
    request = Request.of(Protocol.load(folder / "p.yaml"), str(folder / "p.yaml"))
    assert not consent._answered(request)
    monkeypatch.delenv("RANK")
    assert consent._answered(request)


HOSTILE = ("numpy", "torch", "random", "multiprocessing", "yaml", "click", "h5py", "typing", "json")


def test_nothing_is_imported_from_where_a_command_is_started(tmp_path):
    """Nor by the worker processes: a folder may be anybody's."""
    for name in HOSTILE:
        (tmp_path / f"{name}.py").write_text(
            f"import os, sys; sys.stderr.write('{name} of the folder'); os._exit(9)\n"
        )
    (tmp_path / "tiny.yaml").write_text(TINY)
    # from a folder as an installed package: the checkout is on the path, but not the current folder
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONSAFEPATH"}
    words = ["run", "tiny.yaml", "--seeds", "2", "--jobs", "2", "--arms", "control"]
    done = subprocess.run(
        [sys.executable, "-m", "neuro_aws", *words],
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "of the folder" not in done.stderr
