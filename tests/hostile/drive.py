"""Plays thousands of cases; stopped at any moment, it goes on with those that are missing.

python -m tests.hostile.drive FOLDER                       the full attack
python -m tests.hostile.drive FOLDER --kills 20 --jobs 1   some of one kind
python -m tests.hostile.drive FOLDER --only damaged:17     one again, its folder kept
"""

import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from tests.hostile.crew import played
from tests.hostile.journal import Entry, Journal
from tests.hostile.kinds import KINDS
from tests.hostile.shown import Shown

STOPPED = 130
Player = Callable[[Iterator[tuple[str, int]]], Iterator[Entry]]
"""Plays cases and yields how they ended."""


def attack(journal: Journal, wanted: dict[str, int], player: Player, shown: Shown) -> bool:
    """Play what is missing; say whether all was played (not when stopped by Ctrl-C)."""
    missing = {kind: journal.missing(kind, count) for kind, count in wanted.items()}
    ended = player((kind, number) for kind, numbers in missing.items() for number in numbers)
    try:
        with shown:
            for entry in ended:
                journal.note(entry)
                shown.update(journal)
    except KeyboardInterrupt:
        return False
    finally:
        ended.close()  # type: ignore[attr-defined]
    return True


def report(journal: Journal, wanted: dict[str, int], console: Console, folder: Path) -> int:
    """Print counts by kind and outcome, and every case that failed; return how many did."""
    entries = [e for e in journal.entries.values() if e.number < wanted.get(e.kind, 0)]
    table = Table("kind", "played", "of", "failed", "the others")
    for kind, count in wanted.items():
        found = Counter(e.outcome for e in entries if e.kind == kind)
        failed = sum(e.failed for e in entries if e.kind == kind)
        rest = ", ".join(f"{n} {name}" for name, n in sorted(found.items()) if name != "FAILED")
        table.add_row(kind, str(found.total()), str(count), str(failed), rest)
    console.print(table)
    told = [entry for entry in entries if entry.failed]
    for entry in told:
        console.print(f"\n{entry.kind}:{entry.number} {entry.what}", markup=False)
        for fault in entry.faults:
            console.print(f"    {fault}", markup=False, soft_wrap=True)
        again = f"python -m tests.hostile.drive {folder} --only {entry.seed}"
        console.print(f"    {again}", markup=False, soft_wrap=True)
    return len(told)


def only(folder: Path, seed: str) -> int:
    """Play one case in this process and keep its folder; return the exit code."""
    os.environ["NEURO_AWS_CACHE"] = str(folder / "cache")
    os.environ["NEURO_AWS_CONFIG"] = str(folder / "config")
    from tests.hostile.bases import Bases
    from tests.hostile.cases import Case
    from tests.hostile.plays import PLAYS

    kind, _, number = seed.partition(":")
    if kind not in PLAYS or not number.isdecimal():
        raise click.BadParameter(f"{seed}: KIND:NUMBER, with a kind of {', '.join(PLAYS)}")
    place = (folder / "only" / f"{kind}_{number}").resolve()
    shutil.rmtree(place, ignore_errors=True)
    ended = PLAYS[kind](Case(kind, int(number)), place, Bases(folder.resolve() / "bases"))
    print(f"{seed} {ended.outcome} {ended.what}\nin {place}")
    print(*ended.faults, sep="\n")
    return 1 if ended.faults else 0


def options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command one option for each kind."""
    for kind in reversed(KINDS.values()):
        command = click.option(
            f"--{kind.option}", type=click.IntRange(0), help=f"A full attack: {kind.full}."
        )(command)
    return command


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@options
@click.option("--jobs", default=2, show_default=True, type=click.IntRange(1))
@click.option("--only", "seed", metavar="KIND:NUMBER", help="Play one case and keep its folder.")
@click.option("--again", is_flag=True, help="Play those that failed once more.")
def main(folder: Path, jobs: int, seed: str | None, again: bool, **counts: int | None) -> None:
    """Attack neuro-aws from FOLDER, which keeps the journal; without counts: all of it."""
    if seed is not None:
        sys.exit(only(folder, seed))
    given = {k: counts[kind.option.replace("-", "_")] for k, kind in KINDS.items()}
    named = {k: count for k, count in given.items() if count}
    wanted = named or {k: kind.full for k, kind in KINDS.items()}
    shutil.rmtree(folder / "playing", ignore_errors=True)
    journal = Journal(folder / "journal.jsonl")
    if again:
        journal.forget_failed()
    console = Console()
    shown = Shown(console, journal, wanted, jobs)
    whole = attack(journal, wanted, lambda cases: played(folder.resolve(), cases, jobs), shown)
    failed = report(journal, wanted, console, folder)
    if not whole:
        console.print("stopped; call it again to go on")
    sys.exit(STOPPED if not whole else 1 if failed else 0)


if __name__ == "__main__":
    main()
