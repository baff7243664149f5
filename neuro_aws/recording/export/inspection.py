"""What nwbinspector finds in a file. The only module that imports it, an extra."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nwbinspector import Importance, inspect_nwbfile


@dataclass(frozen=True)
class Finding:
    """One thing that nwbinspector says of a file."""

    file: Path
    importance: str
    check: str
    where: str
    message: str
    grave: bool
    """Whether the file is not valid or may be misread: more than a matter of best practice."""


GRAVE = (Importance.ERROR, Importance.PYNWB_VALIDATION, Importance.CRITICAL)


def inspected(path: Path) -> Iterator[Finding]:
    """Yield all that nwbinspector says of a file; it validates it against NWB's schema, too."""
    for found in inspect_nwbfile(nwbfile_path=path):
        if found is not None:
            yield Finding(
                path,
                found.importance.name.lower().replace("_", " "),
                found.check_function_name,
                f"{found.object_name or ''} {found.location or ''}".strip(),
                " ".join(found.message.split()),
                found.importance in GRAVE,
            )
