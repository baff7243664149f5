"""Execute the tutorials in place, so that what they show is what they do.

    python docs/notebooks.py [NAME ...]

A notebook is executed from its first cell to its last in a new kernel and an empty folder. The
outputs are stored in the file, with a fingerprint of the code that gave them.
"""

import base64
import hashlib
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent / "tutorials"
MOST_BYTES = 100_000
"""Size of one stored picture, at most."""

MACHINE = re.compile(r"(?<![\w.])/(?:home|root|Users|tmp|var|work|opt|usr|private)/|[A-Z]:\\\\")
"""A path of the machine that a notebook was executed on."""

RUN_AGAIN = "python docs/notebooks.py executes it"


def notebooks() -> dict[str, Path]:
    """Return the tutorials by name."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.ipynb"))}


def read(path: Path) -> Any:
    """Return a notebook."""
    return nbformat.read(path, as_version=4)


def code_cells(notebook: Any) -> list[Any]:
    """Return the cells of code of a notebook."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def fingerprint(notebook: Any) -> str:
    """Return what identifies the code of a notebook."""
    text = "\n# next cell\n".join(cell.source for cell in code_cells(notebook))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def executed(notebook: Any, seconds: int = 3600) -> Any:
    """Execute a notebook in an empty folder and return it; a cell that fails is an error."""
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=seconds,
            startup_timeout=seconds,
            kernel_name="python3",
            record_timing=False,
            coalesce_streams=True,
            resources={"metadata": {"path": folder}},
        )
        client.execute()
    notebook.metadata["language_info"] = {"name": "python"}
    notebook.metadata["executed"] = fingerprint(notebook)
    return notebook


def faults(notebook: Any) -> Iterator[str]:
    """Yield what is wrong with the outputs that a notebook stores."""
    if notebook.metadata.get("executed") != fingerprint(notebook):
        yield f"its code is not that which gave its outputs: {RUN_AGAIN}"
    counts = [cell.execution_count for cell in code_cells(notebook)]
    if counts != list(range(1, len(counts) + 1)):
        yield f"its cells were not executed once each in order: {RUN_AGAIN}"
    for number, cell in enumerate(code_cells(notebook), start=1):
        for output in cell.outputs:
            yield from (f"cell {number}: {said}" for said in _faults_of_output(cell, output))


def _faults_of_output(cell: Any, output: Any) -> Iterator[str]:
    if output.output_type == "error":
        yield f"failed: {output.ename}"
    if output.get("name") == "stderr":
        yield f"wrote to stderr: {output.text[:80]}"
    data = output.get("data", {})
    for text in (output.get("text", ""), data.get("text/plain", ""), data.get("text/html", "")):
        if found := MACHINE.search(text):
            yield f"shows a path of a machine: {text[max(0, found.start() - 20) :][:80]}"
    if "image/png" in data:
        size = len(base64.b64decode(data["image/png"]))
        if size > MOST_BYTES:
            yield f"its picture has {size} bytes, {MOST_BYTES} at most"
        if not cell.metadata.get("alt"):
            yield "its picture is not described (`alt` in the metadata of the cell)"


def main(names: list[str]) -> int:
    """Execute the tutorials named, or all of them; return the number with a fault."""
    known = notebooks()
    if unknown := [name for name in names if name not in known]:
        print(f"no tutorial {unknown[0]!r}; there are: {', '.join(known)}", file=sys.stderr)
        return 1
    faulty = 0
    for name in names or known:
        started = time.monotonic()
        notebook = executed(read(known[name]))
        nbformat.write(notebook, known[name])
        said = list(faults(notebook))
        faulty += bool(said)
        print(f"{name}: {time.monotonic() - started:.0f} s", *said, sep="\n  ")
    return faulty


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
