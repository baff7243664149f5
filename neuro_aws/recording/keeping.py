"""States that stay: the last few, and the best by some measure."""

import re
import shutil
from pathlib import Path

from neuro_aws.metrics.subject import Value
from neuro_aws.protocol.schema import Keep
from neuro_aws.recording.parts import replace_file


def keep(state: Path, rule: Keep, step: int, values: list[Value]) -> None:
    """Copy the state just saved to NAME.STEP.pt, drop all but the last of them, and note the best.

    ``state`` is NAME.resume.pt; the best is NAME.best.pt, its value in NAME.best.txt.
    """
    name = state.name.removesuffix(".resume.pt")
    _copy(state, state.with_name(f"{name}.{step:08d}.pt"))
    mine = re.compile(re.escape(name) + r"\.\d{8}\.pt")
    kept = sorted(p for p in state.parent.iterdir() if mine.fullmatch(p.name))
    for old in kept[: -rule.last]:
        old.unlink()
    found = [v.value for v in values if v.name == rule.best]
    if not found:
        return
    score, noted = sum(found) / len(found), state.with_name(f"{name}.best.txt")
    if not noted.exists() or score < float(noted.read_text().split()[0]):
        _copy(state, state.with_name(f"{name}.best.pt"))
        noted.write_text(f"{score!r} {rule.best} at step {step}\n")


def _copy(source: Path, target: Path) -> None:
    """Copy in one step: a reader sees the old file or the new one."""
    temporary = target.with_suffix(".tmp")
    shutil.copyfile(source, temporary)
    replace_file(temporary, target)
