"""Commands and scripts, called in this process: a new one imports torch for some seconds first."""

import io
import os
import runpy
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

from neuro_aws.cli.main import main


class Done(NamedTuple):
    """How a call ended, in the words of ``subprocess``."""

    returncode: int
    stdout: str
    stderr: str


def command(*arguments: str, cwd: Path | None = None) -> Done:
    """Call ``neuro-aws ARGUMENTS``, as from a shell of 140 columns."""
    return _called(lambda: main(list(arguments)), ["neuro-aws", *arguments], cwd)


@contextmanager
def started(*arguments: str, cwd: Path) -> Iterator[subprocess.Popen[str]]:
    """Start ``neuro-aws ARGUMENTS`` as a process of its own, which is gone afterwards."""
    words = [sys.executable, "-m", "neuro_aws", *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, cwd=cwd, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def script(path: Path, *arguments: str, cwd: Path | None = None) -> Done:
    """Call ``python PATH ARGUMENTS``."""
    with patch.object(sys, "path", [str(path.parent), *sys.path]):
        return _called(
            lambda: runpy.run_path(str(path), run_name="__main__"), [str(path), *arguments], cwd
        )


def _called(action, argv: list[str], cwd: Path | None) -> Done:
    out, err, code = io.StringIO(), io.StringIO(), 0
    with (
        patch.object(sys, "argv", argv),
        patch.dict(os.environ, {"COLUMNS": "140"}),
        chdir(cwd or Path.cwd()),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            action()
        except SystemExit as ended:
            if isinstance(ended.code, str):
                print(ended.code, file=sys.stderr)
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return Done(code, out.getvalue(), err.getvalue())
