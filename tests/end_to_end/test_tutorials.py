"""The tutorials run: in a shrunken form by default, as they stand with -m slow."""

import importlib.util
import sys

import pytest

from tests.conftest import ROOT

nbformat = pytest.importorskip("nbformat", reason="pip install 'neuro-aws[docs]'")

SPEC = importlib.util.spec_from_file_location("tutorials", ROOT / "docs" / "notebooks.py")
tutorials = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tutorials)
NOTEBOOKS = tutorials.notebooks()

SHRUNKEN = {
    "rem_silencing": "animals, infancy, critical_period = 2, 1, 2",
    "own_theory": "animals, pairs = 2, 3",
    "own_data": "animals, cycles, count = 2, 1, 160",
    "live_session": "learning, silenced, released, every = 104, 52, 52, 26",
}
"""What stands in each notebook's cell of sizes here."""

CLAIMS = {
    "rem_silencing": "effect.difference.high < -0.5 and through_ach.difference.high < -0.5"
    " and (both == 1).all() and at_the_end('rem_activated').min() > 1.3",
    "own_theory": "(at_the_end('mine', 'linear_probe', 1) < at_the_end('frozen', 'linear_probe', 1)).all()"
    " and paired(*(at_the_end(arm, 'reconstruction', 1) for arm in ('mine', 'frozen'))).difference.high > 0",
    "own_data": "max(of_pixels, shuffled) < 0.35 and values_of('frozen', 1, 'initial').mean() > 0.75"
    " and values_of(arms[0], 1, 'end').mean() < values_of(arms[0], 1, 'initial').mean()",
    "live_session": "at_release < 0.6 and at_end > at_release + 0.1 and its_twin[-1] > 0.8",
}
"""What the prose of each says of its results at full size."""


def test_every_tutorial_is_known_here_and_has_a_page():
    pages = (ROOT / "mkdocs.yml").read_text()
    assert set(NOTEBOOKS) == set(SHRUNKEN) == set(CLAIMS)
    assert [n for n in NOTEBOOKS if f"tutorials/{n}.md" not in pages] == []


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_what_is_stored_is_what_was_executed(name):
    assert list(tutorials.faults(tutorials.read(NOTEBOOKS[name]))) == []


@pytest.fixture
def shell(tmp_path, monkeypatch):
    """Return an IPython in this process, in an empty folder, that keeps no history."""
    interactive = pytest.importorskip("IPython.core.interactiveshell").InteractiveShell
    config = pytest.importorskip("traitlets.config").Config
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.syspath_prepend("")
    yield interactive.instance(config=config({"HistoryManager": {"enabled": False}}))
    interactive.clear_instance()
    sys.modules.pop("my_theory", None)


@pytest.mark.parametrize("name", SHRUNKEN)
def test_tutorials_run_when_shrunken(name, shell):
    """All cells; but for a command of the shell, which has tests of its own."""
    cells = tutorials.code_cells(tutorials.read(NOTEBOOKS[name]))
    sizes = ["sizes" in cell.metadata.get("tags", ()) for cell in cells]
    assert sizes.count(True) == 1
    for cell, of_sizes in zip(cells, sizes, strict=True):
        if "subprocess.run" not in cell.source:
            shell.run_cell(SHRUNKEN[name] if of_sizes else cell.source).raise_error()


@pytest.mark.slow
@pytest.mark.parametrize("name", CLAIMS)
def test_tutorials_find_what_they_say(name):
    notebook = tutorials.read(NOTEBOOKS[name])
    claim = nbformat.v4.new_code_cell(f"assert {CLAIMS[name]}")
    notebook.cells.append(claim)
    done = tutorials.executed(notebook)
    done.cells.pop()
    done.metadata["executed"] = tutorials.fingerprint(done)
    assert list(tutorials.faults(done)) == []


def test_faults_of_stored_outputs_are_seen():
    v4 = nbformat.v4
    shown = v4.new_output("stream", name="stdout", text="saved in /home/somebody/runs")
    cell = v4.new_code_cell("print(1)", execution_count=2, outputs=[shown])
    notebook = v4.new_notebook(cells=[cell])
    said = "\n".join(tutorials.faults(notebook))
    assert "not that which gave" in said
    assert "once each in order" in said
    assert "path of a machine" in said
