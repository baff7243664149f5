"""YAML -> a frozen, validated Protocol, or one line for each fault."""

import copy
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from neuro_aws.errors import NeuroAWSError, ProtocolError
from neuro_aws.protocol.branches import Tree, grow
from neuro_aws.protocol.check import check
from neuro_aws.protocol.document import Document, assign, override, parse
from neuro_aws.protocol.faults import faults
from neuro_aws.protocol.presets import completed
from neuro_aws.protocol.schema import ProtocolSpec
from neuro_aws.protocol.short import changes, shorten
from neuro_aws.protocol.targets import Targets, followed, resolve

MAX_BYTES = 1_000_000
AFTER_BRANCH = (
    "algorithm.",
    "network.derivative",
    "network.noise.",
    "network.perturb_activity",
    "spiking.learning.",
)
"""What `set` may change: settings that leave every weight its place."""


@dataclass(frozen=True)
class Protocol:
    """A protocol that may be run: the text as written, the settings, and the tree of arms."""

    spec: ProtocolSpec
    text: str
    source: str
    tree: Tree
    overrides: tuple[str, ...] = ()
    """What was changed of the text, as in ``--set``."""
    short: bool = False
    """The settings and expectations of its ``short`` section are in force."""
    changes: tuple[str, ...] = ()
    """The overridden keys for which its expectations are not judged."""

    @classmethod
    def load(
        cls, path: str | Path, overrides: Iterable[str] = (), *, short: bool = False
    ) -> "Protocol":
        """Read a protocol file; ``overrides`` are key.path=value, as in ``--set``.

        ``short`` reads its short form, as ``run --short`` does; overrides go over it.
        """
        path = Path(path)
        try:
            if path.stat().st_size > MAX_BYTES:
                raise NeuroAWSError("is too large for a protocol", where=str(path))
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise NeuroAWSError(
                "no such protocol",
                where=str(path),
                next_step="`neuro-aws list protocols` names those at hand",
            ) from error
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8 text"
            raise NeuroAWSError(f"cannot be read ({reason})", where=str(path)) from error
        return cls.from_text(text, str(path), overrides, short=short)

    @classmethod
    def from_text(
        cls,
        text: str,
        source: str = "protocol",
        overrides: Iterable[str] = (),
        *,
        short: bool = False,
    ) -> "Protocol":
        """Read a protocol from its text."""
        document = parse(text, source)
        if short:
            shorten(document)
        overrides = tuple(overrides)
        for assignment in overrides:
            override(document, assignment)
        spec = _validated(document, document.data)
        births, variants = {}, {}
        for name, arm in spec.arms.items():
            births[name] = _variant(document, name, "birth", arm.birth)
            variants[name] = _variant(document, name, "set", {**arm.birth, **arm.set})
        tree = grow(spec, births, variants)
        return cls(spec, text, source, tree, overrides, short, changes(document.overridden))

    def animals(self, seed: int = 0, count: int | None = None) -> list[int]:
        """Return the seeds of the animals."""
        return list(range(seed, seed + (self.spec.seeds if count is None else count)))

    def targets(self, animal: int) -> dict[str, Targets]:
        """Return every followed set of cells of one animal, resolved."""
        return {
            name: resolve(cells, self.spec, animal) for name, cells in followed(self.spec).items()
        }

    def resolved(self) -> str:
        """Return the protocol with every default written out, as YAML."""
        data = json.loads(self.spec.model_dump_json(by_alias=True, exclude_none=True))
        text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)
        return f"# the short form: `short.set` is in force\n{text}" if self.short else text


def _validated(document: Document, data: Any) -> ProtocolSpec:
    try:
        encoded = json.dumps(completed(data), allow_nan=False)
    except (TypeError, ValueError) as error:
        value = _unencodable(data)
        raise ProtocolError([document.fault(value[0], f"{value[1]!r} is not allowed")]) from error
    try:
        spec = ProtocolSpec.model_validate_json(encoded)
    except ValidationError as error:
        raise ProtocolError(faults(error, document)) from error
    found = [document.fault(path, message) for path, message in check(spec, document.overridden)]
    if found:
        raise ProtocolError(list(dict.fromkeys(found)))
    return spec


def _unencodable(data: Any, path: tuple[str | int, ...] = ()) -> tuple[tuple[str | int, ...], Any]:
    items = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in items:
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError):
            if isinstance(value, dict | list):
                return _unencodable(value, (*path, key))
            return (*path, key), value
    return path, data


def _variant(document: Document, arm: str, kind: str, settings: dict[str, Any]) -> ProtocolSpec:
    data = copy.deepcopy(document.data)
    where = document.fault(("arms", arm, kind), "")
    refused = [k for k in settings if kind == "set" and not _after_branch(k, document, arm)]
    if refused:
        allowed = ", ".join(
            f"{prefix}*" if prefix[-1] == "." else prefix for prefix in AFTER_BRANCH
        )
        raise ProtocolError(
            [f"{where}{refused[0]} cannot change after the branch; allowed: {allowed}"]
        )
    for key, value in settings.items():
        if not key.startswith(("network.", "algorithm.", "stimulus.", "schedule.", "spiking.")):
            raise ProtocolError([f"{where}{key}: an arm may change network.*, algorithm.*, ..."])
        assign(data, tuple(int(p) if p.isdigit() else p for p in key.split(".")), value, where)
    if settings == {}:
        return _validated(document, data)
    try:
        lines, overridden = document.lines, document.overridden
        return _validated(Document(document.source, data, lines, overridden), data)
    except ProtocolError as error:
        raise ProtocolError([f"{where}{fault}" for fault in error.faults]) from error


def _after_branch(key: str, document: Document, arm: str) -> bool:
    birth = (document.data.get("arms") or {}).get(arm) or {}
    return key.startswith(AFTER_BRANCH) or key in (birth.get("birth") or {})
