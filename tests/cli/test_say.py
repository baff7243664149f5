"""What reaches a terminal: no escape sequence of a file, and no encoding that stops a command."""

import os
import subprocess
import sys

import pytest

from neuro_aws.errors import printable
from tests.calls import command
from tests.conftest import TINY

ESCAPE = "\x1b]0;owned\x07"


@pytest.mark.parametrize("text", ["plain", "Δ ö 日本", "a\tb\nc", ""])
def test_words_stay_as_they_are(text):
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("a\rb", "a\\rb"),
        ("\x9b31m", "\\x9b31m"),
        ("\udcff", "\\udcff"),
        ("\u202eevil", "\\u202eevil"),
        ("\x00\x7f", "\\x00\\x7f"),
    ],
)
def test_what_steers_a_terminal_is_written_out(text, shown):
    assert printable(text) == shown


def test_names_of_files_do_not_steer_a_terminal(tmp_path):
    (tmp_path / f"{ESCAPE}.yaml").write_text(TINY)
    (tmp_path / f"broken{ESCAPE}.yaml").write_text("a: [")
    listed = command("list", "protocols", "--folder", ".", cwd=tmp_path)
    valid = command("validate", f"{ESCAPE}.yaml", cwd=tmp_path)
    broken = command("validate", f"broken{ESCAPE}.yaml", cwd=tmp_path)
    missing = command("run", f"{ESCAPE}x.yaml", cwd=tmp_path)
    for done in (listed, valid, broken, missing):
        assert "\x1b" not in done.stdout + done.stderr
        assert "\\x1b]0;owned\\x07" in done.stdout + done.stderr
    assert valid.returncode == 0


def test_brackets_in_a_folder_are_no_markup(tmp_path):
    (tmp_path / "tiny.yaml").write_text(TINY)
    done = command("run", "tiny.yaml", "--jobs", "1", "--out", "[bold]a[/x]", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "run folder  [bold]a[/x]/tiny/" in done.stdout


def test_a_plain_ascii_locale_works(tmp_path):
    folder = tmp_path / "größe"
    folder.mkdir()
    (folder / "tiny.yaml").write_text(
        TINY.replace("seeds: 1", "seeds: 2\ndescription: Größe"), encoding="utf-8"
    )
    environment = os.environ | {
        "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "COLUMNS": "100"
    }  # fmt: skip

    def neuro_aws(*words):
        done = subprocess.run(
            [sys.executable, "-m", "neuro_aws", *words],
            cwd=folder, env=environment, capture_output=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stderr == b""
        return done.stdout

    assert b"Gr" in neuro_aws("validate", "tiny.yaml")
    assert b"over 2 animals" in neuro_aws("run", "tiny.yaml", "--jobs", "1", "--arms", "control")
