"""A hook of the site's build: equations become MathML, which browsers draw without a script.

TeX between dollars is marked by pymdownx.arithmatex; latex2mathml turns it into MathML here, so
that a page needs neither JavaScript nor anything from elsewhere.
"""

import html
import re
from typing import Any

from latex2mathml.converter import convert
from mkdocs.exceptions import PluginError

MARKED = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">\\[(\[](?P<tex>.*?)\\[)\]]</(?P=tag)>', re.DOTALL
)

UNKNOWN = re.compile(r"\\|<mi>&(amp;)?</mi>")
"""What is left where a command or an environment is not known: it would be shown as it is."""


def drawn(found: re.Match[str]) -> str:
    """Return the MathML of a marked equation, in its line or, in a block of its own, displayed."""
    tex = html.unescape(found["tex"]).strip()
    made = convert(tex, display="inline" if found["tag"] == "span" else "block")
    if UNKNOWN.search(made):
        raise PluginError(f"latex2mathml does not know some of this equation: {tex}")
    return f'<{found["tag"]} class="equation">{made}</{found["tag"]}>'


def on_page_content(text: str, **_: Any) -> str:
    """Return the page with every equation drawn; called by mkdocs."""
    return MARKED.sub(drawn, text)
