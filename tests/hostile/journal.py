"""What was tried so far: one JSON line a case, so that a driver can be stopped at any moment."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Entry:
    """How one case ended."""

    kind: str
    number: int
    seed: str
    outcome: str
    seconds: float
    what: str = ""
    faults: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        return bool(self.faults)


class Journal:
    """The lines of a file; a line that a kill cut in two counts as not there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: dict[tuple[str, int], Entry] = {}
        whole = b""
        for line in path.read_bytes().splitlines(keepends=True) if path.exists() else ():
            try:
                data = json.loads(line)
                entry = Entry(**{**data, "faults": tuple(data["faults"])})
            except (ValueError, TypeError, KeyError):
                continue
            if line.endswith(b"\n"):
                self.entries[entry.kind, entry.number] = entry
                whole += line
        if path.exists() and path.read_bytes() != whole:
            path.write_bytes(whole)

    def note(self, entry: Entry) -> None:
        """Write down a case that has ended."""
        self.entries[entry.kind, entry.number] = entry
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(asdict(entry)) + "\n")

    def forget_failed(self) -> None:
        """Let those that failed be tried again; their lines stay, later ones count."""
        self.entries = {key: entry for key, entry in self.entries.items() if not entry.failed}

    def missing(self, kind: str, count: int) -> list[int]:
        """Return the numbers of a kind that have not been tried."""
        return [number for number in range(count) if (kind, number) not in self.entries]
