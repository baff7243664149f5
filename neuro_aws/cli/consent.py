"""Asking before code of the user's own, which a protocol or a run names, is imported."""

import os
import sys

import click

from neuro_aws.cli.say import say
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.consent import Request


def consented(protocol: Protocol, source: str, allow_code: bool) -> bool:
    """Say whether the code that a protocol names may run: by option, from before, or asked now.

    ``source`` is the protocol's file. A protocol without such code needs no consent.
    """
    if not protocol.own_code:
        return False
    request = Request.of(protocol, source)
    if not allow_code:
        if request.allowed:
            return True
        if not _answered(request):
            return False
    if not request.remember():
        say("consent to its code holds for this command; it was not noted", err=True)
    return True


def with_code(protocol: Protocol, allow_code: bool) -> Protocol:
    """Return a protocol with the code that it names, if it may run; else as it is."""
    if not consented(protocol, protocol.source, allow_code):
        return protocol
    return protocol.changed((), allow_code=True)


def _answered(request: Request) -> bool:
    """Ask at a terminal; without one, or where several processes share it, the answer is no."""
    if "RANK" in os.environ or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    say(f"{request.protocol.source} names code, which can do all that you can:", err=True)
    for line in request.lines():
        say(f"  {line}", err=True)
    return click.confirm("Run it, now and until it or a .py beside it changes?", err=True)
