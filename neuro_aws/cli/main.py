"""The group of all commands, and the one place where an error becomes a line and an exit code."""

import importlib
import sys
import traceback
from pathlib import Path
from typing import Any

import click

from neuro_aws.cli.limits import refuse_little_memory
from neuro_aws.cli.say import say, take_any_character
from neuro_aws.errors import NeuroAWSError, clipped

MOST_SAID, LONGEST_LINE = 300, 900
"""Characters of an unexpected error that are printed, and of any line of an error."""

OUT_OF_MEMORY = (
    "out of memory: fewer units, a smaller batch, or --jobs 1 (a run goes on with --resume)"
)

COMMANDS = {
    "run": "run a protocol, or resume a run",
    "sweep": "run a protocol at every point of a grid, here or on a cluster",
    "merge": "join runs of one protocol",
    "matrix": "run theories by manipulations; say which experiment separates two",
    "validate": "check a protocol; show schedule, targets, time and size",
    "plot": "draw the figures of a run",
    "evaluate": "measure the final states of a run",
    "compare": "compare two runs",
    "report": "write one page about a run, to read in a browser",
    "inspect": "show what a run holds",
    "export": "write a run as NWB files or tidy tables",
    "new": "write a commented protocol to start from",
    "upgrade": "rewrite a protocol of an older version",
    "check-algorithm": "hold an algorithm of your own to the laws of all",
    "list": "list protocols, algorithms, stimuli, perturbations, measures",
}


class Lazy(click.Group):
    """Imports a command's file only when it is called: `validate` does not load torch."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return one command."""
        if cmd_name not in COMMANDS:
            return None
        refuse_little_memory(cmd_name)
        module = importlib.import_module(f"neuro_aws.cli.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the nearest command for an unknown one."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            raise NeuroAWSError(
                f"no command {args[0]!r}", next_step="Commands: " + ", ".join(COMMANDS)
            ) from error


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="neuro-aws", message="neuro-aws %(version)s")
@click.option(
    "--debug",
    is_flag=True,
    expose_value=False,  # `main` asks for it: an error comes up to there
    help="Show the traceback of an unexpected error.",
)
def group() -> None:
    """neuro-aws: Adversarial Wake-Sleep learning in cortex.

    \b
    neuro-aws run quickstart
    neuro-aws validate critical_period
    neuro-aws new my_experiment.yaml --from critical_period
    """


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line; errors become one line on stderr and exit code 1."""
    take_any_character()
    try:
        group.main(args=arguments, prog_name="neuro-aws", standalone_mode=False)
    except NeuroAWSError as error:
        _fail(str(error))
    except click.exceptions.Abort:
        _fail("stopped")
    except KeyboardInterrupt:
        _fail("stopped")
    except click.UsageError as error:
        where = f"{error.ctx.command_path}: " if error.ctx else ""
        _fail(f"{where}{error.format_message()} (see --help)")
    except click.ClickException as error:
        _fail(error.format_message())
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except MemoryError:
        _fail(OUT_OF_MEMORY)
    except ImportError as error:
        said = " ".join(str(error).split())[:MOST_SAID]
        _fail(f"a library cannot be loaded ({said}). Is it installed, and is there memory for it?")
    except OSError as error:
        _fail(f"{error.filename or 'system'}: {error.strerror or error}")
    except Exception as error:
        if isinstance(error, RuntimeError) and "memory" in str(error):  # torch has no class for it
            _fail(OUT_OF_MEMORY)
        if (arguments or sys.argv[1:])[:1] == ["--debug"]:
            raise
        _fail(_unexpected(error))


def _unexpected(error: Exception) -> str:
    """Return one line about an error that nobody foresaw, with the last of our lines in it."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "neuro_aws" in f.filename]
    where = f" in {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    said = " ".join(str(error).split())[:MOST_SAID]
    return (
        f"unexpected {type(error).__name__}{where}: {said}. `neuro-aws --debug ...` shows the "
        "traceback (of a run it is in run.log); please report it"
    )


def _fail(message: str) -> None:
    lines = [clipped(line, LONGEST_LINE) for line in message.split("\n")]
    say(f"neuro-aws: {lines[0]}" if len(lines) == 1 else "\n".join(lines), err=True)
    sys.exit(1)
