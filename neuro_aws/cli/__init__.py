"""The command line: parse, call, echo. Every command is one function in one file."""

from neuro_aws.cli.main import main

__all__ = ["main"]
