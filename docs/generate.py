"""Rewrite the tables of the documents that come from the registry and from stored files.

    python docs/generate.py

A table stands between two markers, `<!-- table: NAME -->` and `<!-- end -->`; what is between them
is never edited by hand.
"""

import re
from collections.abc import Callable, Iterable
from pathlib import Path

import yaml

from neuro_aws.protocol import registry
from neuro_aws.protocol.base import Section
from neuro_aws.protocol.entry import RATE

HERE = Path(__file__).parent
MARKED = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def settings(model: type[Section], beside: Iterable[str] = ()) -> str:
    """Return the names of the settings of a model, but for some and those that are deprecated."""
    names = [
        field.alias or key
        for key, field in model.model_fields.items()
        if key not in set(beside) and not dict(field.json_schema_extra or {}).get("deprecated")
    ]
    return ", ".join(f"`{name}`" for name in names) or "none"


def table(head: list[str], rows: Iterable[list[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(
        "| " + " | ".join(cell.replace("|", "\\|").replace("<", "&lt;") for cell in line) + " |\n"
        for line in lines
    )


def theories() -> str:
    """Return the theories and their settings."""
    return table(
        ["`name`", "what it is", "settings"],
        (
            [f"`{e.name}`", e.help, settings(e.settings, ["name"])]
            for e in registry.THEORIES.values()
        ),
    )


def objectives() -> str:
    """Return what each theory is, what it descends, and what of it is local."""
    return table(
        ["theory", "what it is", "objective", "local"],
        ([f"`{e.name}`", e.help, e.objective, e.local] for e in registry.THEORIES.values()),
    )


def credits() -> str:
    """Return how ACh may teach."""
    return table(
        ["`credit`", "teaching signal"], ([f"`{k}`", v] for k, v in registry.CREDITS.items())
    )


def stimuli() -> str:
    """Return the sources of stimuli and their settings."""
    beside = ["source", "batch"]
    return table(
        ["`source`", "what it is", "settings beside `batch`"],
        ([f"`{e.name}`", e.help, settings(e.settings, beside)] for e in registry.STIMULI.values()),
    )


def perturbations() -> str:
    """Return the perturbations, their settings, slots and phases."""
    return table(
        ["action", "what is done", "settings", "slot", "acts in"],
        (
            [
                f"`{e.name}`",
                e.help,
                settings(e.settings),
                e.slot,
                "all phases" if len(e.phases) == 3 else ", ".join(e.phases),
            ]
            for e in registry.PERTURBATIONS.values()
        ),
    )


def measures(rate: bool) -> str:
    """Return the measures of the rate network, or of spikes only, with their values."""
    rows = []
    for entry in registry.MEASURES.values():
        if (RATE in entry.code) != rate:
            continue
        for i, v in enumerate(entry.values):
            name = f"`{entry.name}`" if i == 0 else ""
            noise = [entry.noise if i == 0 else ""] if rate else []
            rows.append([name, f"`{v.name}`", v.help, v.unit, v.range, *noise])
    head = ["measure", "value", "what it is", "unit", "range", *(["noise"] if rate else [])]
    return table(head, rows)


def measured() -> str:
    """Return what was run for the numbers in results.md: measured.yaml, as it stands."""
    rows = []
    for entry in yaml.safe_load((HERE / "measured.yaml").read_text(encoding="utf-8")):
        commands = [entry["command"]] if "command" in entry else []
        if "analysis" in entry:
            of = " RUN" if commands else ""
            commands.append(f"python analysis/{entry['analysis']}{of}")
        if "animals" in entry:
            count = entry["animals"]
            seeds = f"{count} (0 to {count - 1})" if count > 1 else "1 (0)"
        else:
            seeds = f"{entry['seeds']} seeds"
        link = f"[{entry['result']}](results.md#{entry['section']})"
        note = f"; {entry['note']}" if "note" in entry else ""
        how = ", ".join(f"`{command}`" for command in commands) + note
        rows.append([link, how, seeds, str(entry["stated"]), entry.get("machine", "unknown")])
    return table(["result", "command", "animals", "stated", "machine"], rows)


TABLES: dict[str, Callable[[], str]] = {
    "theories": theories,
    "objectives": objectives,
    "credits": credits,
    "stimuli": stimuli,
    "perturbations": perturbations,
    "measures": lambda: measures(True),
    "spike_measures": lambda: measures(False),
    "measured": measured,
}


def rewritten(text: str) -> str:
    """Return a document with every table between markers made anew."""
    return MARKED.sub(lambda m: m[1] + TABLES[m[2]]() + m[3], text)


def main() -> None:
    """Rewrite every document in this folder."""
    for path in sorted(HERE.glob("*.md")):
        text = path.read_text(encoding="utf-8")
        if (new := rewritten(text)) != text:
            path.write_text(new, encoding="utf-8")
            print(path.name)


if __name__ == "__main__":
    main()
