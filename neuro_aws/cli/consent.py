"""Asking before code of the user's own, which a protocol, a run or a matrix names, is imported."""

import os
import sys
from dataclasses import replace

import click

from neuro_aws.cli.say import say
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.consent import Request
from neuro_aws.protocol.matrix import Matrix


def consented(protocol: Protocol, source: str, allow_code: bool) -> bool:
    """Say whether the code that a protocol names may run: by option, from before, or asked now.

    ``source`` is the protocol's file. A protocol without such code needs no consent.
    """
    return bool(protocol.own_code) and _granted(Request.of(protocol, source), allow_code)


def _granted(request: Request, allow_code: bool) -> bool:
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


def matrix_with_code(matrix: Matrix, allow_code: bool) -> Matrix:
    """Return a matrix with consent to the code that it names, if it may run; else as it is."""
    from neuro_aws.experiment.matrix.expand import own_code

    names = own_code(matrix)
    if not names or not _granted(Request.of_matrix(matrix, names), allow_code):
        return matrix
    return replace(matrix, allow_code=True)


def _answered(request: Request) -> bool:
    """Ask at a terminal; without one, or where several processes share it, the answer is no."""
    if "RANK" in os.environ or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    say(f"{request.written.source} names code, which can do all that you can:", err=True)
    for line in request.lines():
        say(f"  {line}", err=True)
    until = f"it or a .py in {request.folder} changes"
    return click.confirm(f"Run it, now and until {until}?", err=True)
