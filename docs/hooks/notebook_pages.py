"""A hook of the site's build: every notebook of docs/ becomes a page, as it was last executed.

nbconvert turns it into Markdown, so that mkdocs lays it out and checks its links as it does those
of any other page. The notebook itself stands beside the page, to be downloaded.
"""

import re
from typing import Any

import nbformat
from mkdocs.structure.files import File, Files
from nbconvert import MarkdownExporter

SUFFIX = ".ipynb"
STYLES = re.compile(r"<style scoped>.*?</style>\n?", re.DOTALL)
TABLE = '<table border="1" class="dataframe">'
FIGURE = re.compile(r"!\[png\]\((?P<file>\S+?_(?P<cell>\d+)_\d+\.png)\)")
DOWNLOAD = (
    "\n\n*This page is a notebook, with the output of its last execution: "
    '[download it]({name}{suffix} "The notebook").*\n'
)
LINK = re.compile(r"(\]\([^)\s]+)\.ipynb\)")
"""A link to a notebook and without a title, which the download has."""


def page_of(notebook: Any, name: str) -> tuple[str, dict[str, bytes]]:
    """Return a notebook's page in Markdown, and its pictures by file name.

    A picture is described by the ``alt`` of its cell's metadata.
    """
    made, found = MarkdownExporter().from_notebook_node(
        notebook, {"unique_key": name, "output_files_dir": f"{name}_files"}
    )
    title, _, rest = STYLES.sub("", made).replace(TABLE, "<table>").strip().partition("\n")

    def described(match: re.Match[str]) -> str:
        alt = notebook.cells[int(match["cell"])].metadata.get("alt", "")
        return f"![{alt}]({match['file']})"

    text = title + DOWNLOAD.format(name=name, suffix=SUFFIX) + FIGURE.sub(described, rest)
    return text, found["outputs"]


def on_files(files: Files, config: Any, **_: Any) -> Files:
    """Add a page for every notebook; called by mkdocs."""
    for file in [f for f in files if f.src_uri.endswith(SUFFIX)]:
        stem = file.src_uri.removesuffix(SUFFIX)
        folder, _, name = stem.rpartition("/")
        notebook = nbformat.read(file.abs_src_path, as_version=4)
        text, pictures = page_of(notebook, name)
        files.append(File.generated(config, f"{stem}.md", content=text))
        for picture, data in pictures.items():
            files.append(File.generated(config, f"{folder}/{picture}", content=data))
    return files


def on_page_markdown(text: str, **_: Any) -> str:
    """Let links to notebooks, which are right in Jupyter, lead to their pages; called by mkdocs."""
    return LINK.sub(r"\1.md)", text)
