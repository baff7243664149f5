"""Words for a terminal: what comes from files cannot steer it, and no encoding stops them."""

import sys

import click
from rich.console import Console
from rich.text import Text

from neuro_aws.errors import printable


def say(text: object, *, err: bool = False) -> None:
    """Print a line or some."""
    click.echo(printable(str(text)), err=err)


def show(console: Console, text: object, style: str = "") -> None:
    """Print a line beside tables and bars: as it is, neither wrapped nor coloured by its words."""
    console.print(Text(printable(str(text)), style=style), soft_wrap=True)


def take_any_character() -> None:
    """Let what the terminal's encoding lacks appear as an escape instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
