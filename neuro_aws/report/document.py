"""What a page is made of, in the order of reading.

A report is a ``Document``. Whoever makes one (run/, matrix/, sweep/) fills sections with blocks and
knows no HTML; page.py turns any document into a page.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

Rows = Sequence[Sequence[str]]


class Shade(NamedTuple):
    """The colour of a cell, and that of its words."""

    face: str
    ink: str


@dataclass(frozen=True)
class Table:
    """Rows of texts under a heading each; the first cell of a row names it.

    ``shades``, where there are any, are the colours of every cell, row by row.
    """

    caption: str
    head: Sequence[str]
    rows: Rows
    shades: Sequence[Sequence[Shade | None]] = ()
    kind: ClassVar[str] = "table"


@dataclass(frozen=True)
class Words:
    """Paragraphs."""

    paragraphs: Sequence[str]
    kind: ClassVar[str] = "words"


@dataclass(frozen=True)
class Sentences:
    """A list of sentences, each with a mark before it ("met") or none ("")."""

    items: Sequence[tuple[str, str]]
    kind: ClassVar[str] = "sentences"


@dataclass(frozen=True)
class Verbatim:
    """A text as it is: a protocol, a command.

    ``folded``: behind its label; ``paper``: in print it is unfolded.
    """

    label: str
    text: str
    folded: bool = False
    paper: bool = False
    kind: ClassVar[str] = "verbatim"


@dataclass(frozen=True)
class Chart:
    """A figure one can zoom and point at: a model of interactive/, and its numbers behind it.

    ``key`` is its name in the page; ``legend`` holds what each colour is. ``zoom``: its x axis is
    time, which buttons zoom. ``wide``: it scrolls on a narrow screen, and on paper its numbers
    stand in its place.
    """

    key: str
    title: str
    caption: str
    model: Any
    numbers: Table
    legend: Sequence[tuple[str, str]] = ()
    zoom: bool = False
    wide: bool = False
    kind: ClassVar[str] = "chart"


@dataclass(frozen=True)
class Picture:
    """A picture (PNG) with what it shows in words; ``pixels``: enlarged without smoothing."""

    title: str
    alt: str
    caption: str
    png: bytes
    numbers: Table | None = None
    pixels: bool = False
    kind: ClassVar[str] = "picture"


Block = Table | Words | Sentences | Verbatim | Chart | Picture


@dataclass(frozen=True)
class Part:
    """Some blocks under a heading of their own within a section."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Section:
    """A section of the page; ``key`` is its address in it."""

    key: str
    title: str
    blocks: Sequence[Block] = ()
    parts: Sequence[Part] = ()

    @property
    def everything(self) -> list[Block]:
        """Return all blocks, those of the parts last."""
        return [*self.blocks, *(block for part in self.parts for block in part.blocks)]


@dataclass(frozen=True)
class Document:
    """A whole report: its title, the lines below it, and its sections."""

    title: str
    lead: Sequence[str]
    sections: Sequence[Section] = field(default_factory=list)

    @property
    def charts(self) -> list[Chart]:
        """Return all charts, in order."""
        blocks = [block for section in self.sections for block in section.everything]
        return [block for block in blocks if isinstance(block, Chart)]
