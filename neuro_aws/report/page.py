"""Any document as one page: HTML that loads nothing, and runs no script but its own two.

A protocol and a recording may be anybody's: whatever comes from them is escaped by the template,
and the page's own policy (CSP) lets the browser run BokehJS and page.js, by their hashes, and fetch
nothing from anywhere.
"""

import base64
import hashlib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from neuro_aws.errors import NeuroAWSError
from neuro_aws.recording.parts import replace_file
from neuro_aws.report.document import Document
from neuro_aws.report.interactive import library

if TYPE_CHECKING:
    from jinja2 import Environment

HERE = Path(__file__).parent
MARK = '<meta name="generator" content="neuro-aws report">'
"""By which a page of ours is known."""

HEAD = 600
"""Characters of a page in which the mark stands."""


@lru_cache(maxsize=1)
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # BokehJS reads keys in the order in which they were written, so they are not sorted.
    made.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    return made


def html(document: Document) -> str:
    """Return the whole page."""
    library.refuse_missing()
    scripts = [library.text(), (HERE / "page.js").read_text(encoding="utf-8")]
    if any("</script" in text.lower() for text in scripts):
        raise ValueError("a script that ends its own element")
    items = {chart.key: library.item(chart.model) for chart in document.charts}
    allowed = " ".join(f"'sha256-{_sha256(text)}'" for text in scripts)
    return (
        _environment()
        .get_template("page.html")
        .render(
            document=document,
            mark=MARK,
            policy=(
                f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
                "img-src data:; base-uri 'none'; form-action 'none'"
            ),
            style=(HERE / "page.css").read_text(encoding="utf-8"),
            scripts=scripts,
            items=items,
            uri=uri,
        )
    )


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def uri(png: bytes) -> str:
    """Return a picture as an address that holds it."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def refuse_foreign(path: Path, *, chosen: bool) -> None:
    """Refuse to write where something is that is not ours, unless the path was chosen."""
    if path.is_dir():
        raise NeuroAWSError("is a folder", where=str(path), next_step="Name a file with --output")
    if path.exists() and not chosen and not is_ours(path):
        raise NeuroAWSError(
            "is there and was not written by neuro-aws",
            where=str(path),
            next_step="Name another file with --output, or move it away",
        )


def write(page: str, path: Path) -> Path:
    """Write a page in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(page, encoding="utf-8")
    replace_file(temporary, path)
    return path


def is_ours(path: Path) -> bool:
    """Say whether a file is a report that was written here."""
    try:
        with path.open(encoding="utf-8", errors="replace") as handle:
            return MARK in handle.read(HEAD)
    except OSError:
        return False
