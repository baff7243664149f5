"""YAML -> a frozen, validated Protocol, or one line for each fault."""

import copy
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from neuro_aws.errors import MOST_FAULTS, NeuroAWSError, ProtocolError, clipped
from neuro_aws.protocol.branches import OLDER_TRUNK, TRUNK, Tree, grow
from neuro_aws.protocol.check import check
from neuro_aws.protocol.document import Document, assign, key_path, override, parse
from neuro_aws.protocol.faults import faults
from neuro_aws.protocol.hopfield import CHANGING
from neuro_aws.protocol.own_code import CONSENT, OwnCode, fetch, named_in, refuse_reserved
from neuro_aws.protocol.presets import completed
from neuro_aws.protocol.schema import ProtocolSpec
from neuro_aws.protocol.shipped import file_of, proposed
from neuro_aws.protocol.short import changes, shorten
from neuro_aws.protocol.targets import Targets, followed, resolve
from neuro_aws.protocol.theories import THEORIES
from neuro_aws.protocol.upgrade import is_older, refusal, upgrade, version_of

MAX_BYTES = 1_000_000
OF_A_MATRIX = "matrix_version"
"""What tells the file of a prediction matrix from that of a protocol."""

SETTABLE = ("network.", "algorithm.", "stimulus.", "schedule.", "spiking.")
"""What an arm may change, and the whole of `algorithm`."""

SHARED = ("arms", "targets", "measure", "record", "watch", "keep", "expect", "short")
"""What is the same in all arms."""

AFTER_BRANCH = (
    "algorithm.",
    "network.derivative",
    "network.homeostasis.steps",
    *(f"network.memory.{key}" for key in CHANGING),
    "network.noise.",
    "network.perturb_activity",
    "spiking.learning.",
)
"""What `set` may change: settings that leave every weight its place."""


@dataclass(frozen=True, repr=False)
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
    allow_code: bool = False
    """Whether the user's own code that it names was imported."""
    notes: tuple[str, ...] = ()
    """What was changed to read a protocol of an older version."""

    def __repr__(self) -> str:
        arms = ", ".join(self.spec.arms)
        arms = arms if len(arms) < 60 else f"{len(self.spec.arms)} arms"
        return f"Protocol({self.source!r}: {self.spec.name}, {self.spec.seeds} animals, {arms})"

    @classmethod
    def load(
        cls,
        path: str | Path,
        overrides: Iterable[str] = (),
        *,
        short: bool = False,
        allow_code: bool = False,
    ) -> "Protocol":
        """Read a protocol file, or the shipped protocol of this name.

        ``overrides`` are key.path=value, as in ``--set``.
        ``short`` reads its short form, as ``run --short`` does; overrides go over it.
        ``allow_code`` consents to importing the user's own code that the protocol names.
        """
        path = file_of(path)
        return cls.from_text(read(path), str(path), overrides, short=short, allow_code=allow_code)

    @classmethod
    def from_text(
        cls,
        text: str,
        source: str = "protocol",
        overrides: Iterable[str] = (),
        *,
        short: bool = False,
        allow_code: bool = False,
        older: bool = False,
    ) -> "Protocol":
        """Read a protocol from its text; ``older``: that of a run, maybe of an older version.

        What an older version had and this one has not is dropped then, and said in ``notes``.
        """
        document = parse(text, source)
        if OF_A_MATRIX in document.data:
            said = "is a prediction matrix; `neuro-aws matrix` runs it"
            raise ProtocolError([document.fault((OF_A_MATRIX,), said)])
        if short:
            shorten(document)
        overrides = tuple(overrides)
        for assignment in overrides:
            override(document, assignment)
        notes: list[str] = []
        trunk = TRUNK
        if is_older(document):
            version = version_of(document)
            if not older:
                raise ProtocolError([document.fault(("schema_version",), refusal(version, source))])
            notes, trunk = upgrade(document), OLDER_TRUNK if version == 1 else TRUNK
        document.was_run = older
        spec = _validated(document)
        initials, variants = {}, {}
        for name, arm in spec.arms.items():
            initial = initials[name] = _variant(document, name, "initial", arm.initial, spec)
            after = {**arm.initial, **arm.set}
            variants[name] = _variant(document, name, "set", after, spec) if arm.set else initial
        specs = [spec, *initials.values(), *variants.values()]
        _for_each_code(specs, document, _take if allow_code else _leave)
        tree = grow(spec, initials, variants, trunk)
        judged = changes(document.overridden)
        return cls(spec, text, source, tree, overrides, short, judged, allow_code, tuple(notes))

    def changed(self, overrides: Iterable[str], *, allow_code: bool = False) -> "Protocol":
        """Return the same protocol with more overrides; the later one of a key counts."""
        by_key = {o.partition("=")[0].strip(): o for o in (*self.overrides, *overrides)}
        return Protocol.from_text(
            self.text,
            self.source,
            by_key.values(),
            short=self.short,
            allow_code=self.allow_code or allow_code,
        )

    @property
    def own_code(self) -> list[str]:
        """The user's own code that this protocol names, as module:attribute."""
        specs, seen = [self.spec], set[int]()
        for arm in self.tree.arms.values():
            specs += [arm.initial, arm.spec]
        found = (own.reference for spec in specs for _, own in named_in(spec, (), seen))
        return list(dict.fromkeys(found))

    def refuse_unloaded(self) -> None:
        """Refuse a protocol that names code of the user's own which was not loaded."""
        if self.own_code and not self.allow_code:
            raise NeuroAWSError(
                f"names code of your own that was not loaded: {', '.join(self.own_code)}",
                where=self.source,
                next_step=CONSENT,
            )

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


def read(path: Path) -> str:
    """Return the text of a protocol file, or say why it cannot be read."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise NeuroAWSError("is too large for a protocol", where=str(path))
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise NeuroAWSError(
            "no such protocol",
            where=str(path),
            next_step=proposed(path),
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise NeuroAWSError(f"cannot be read ({reason})", where=str(path)) from error


def is_matrix(text: str, source: str) -> bool:
    """Say whether a text is that of a prediction matrix, not of a protocol."""
    return OF_A_MATRIX in parse(text, source).data


def _validated(document: Document) -> ProtocolSpec:
    spec = _read(document, document.data)
    _refuse_faults(document, spec)
    return spec


def _refuse_faults(document: Document, spec: ProtocolSpec, of_arm: str | None = None) -> None:
    """Refuse settings that do not fit together."""
    found = check(spec, document.overridden, of_arm, was_run=document.was_run)
    _refuse(document.fault(path, message) for path, message in found)


def _refuse(faults: Iterable[str]) -> None:
    found = list(islice(faults, 2 * MOST_FAULTS))
    if found:
        raise ProtocolError(found)


def _read(document: Document, data: Any) -> ProtocolSpec:
    """Return the settings that data of a document give, each valid by itself."""
    try:
        encoded = json.dumps(completed(data), allow_nan=False)
    except (TypeError, ValueError) as error:
        value = _unencodable(data)
        raise ProtocolError([document.fault(value[0], f"{value[1]!r} is not allowed")]) from error
    try:
        return ProtocolSpec.model_validate_json(encoded)
    except ValidationError as error:
        raise ProtocolError(faults(error, document)) from error


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


def _take(own: OwnCode, folder: Path) -> None:
    own.take(fetch(own.reference, folder))


def _leave(own: OwnCode, _: Path) -> None:
    refuse_reserved(own.reference)


def _for_each_code(
    specs: list[ProtocolSpec], document: Document, act: Callable[[OwnCode, Path], None]
) -> None:
    """Do something with all of the user's own code; gather what is wrong with it, with lines."""
    folder = Path(document.source).resolve().parent
    found, seen = [], set[int]()
    for path, own in [item for spec in specs for item in named_in(spec, (), seen)]:
        try:
            act(own, folder)
        except NeuroAWSError as error:
            found.append(document.fault(path, str(error)))
    _refuse(found)


def _variant(
    document: Document, arm: str, kind: str, settings: dict[str, Any], spec: ProtocolSpec
) -> ProtocolSpec:
    """Return the settings of an arm; those that no arm may change are the whole protocol's."""
    if settings == {}:
        return spec
    changed = {key_path(setting)[0] for setting in settings}
    data = {key: value for key, value in document.data.items() if key not in SHARED}
    for key in changed & data.keys():
        data[key] = copy.deepcopy(data[key])
    where = document.fault(("arms", arm, kind), "")
    refused = [k for k in settings if kind == "set" and not _after_branch(k, document, arm)]
    if refused:
        allowed = ", ".join(
            f"{prefix}*" if prefix[-1] == "." else prefix for prefix in AFTER_BRANCH
        )
        raise ProtocolError(
            [f"{where}{clipped(refused[0])} cannot change after the branch; allowed: {allowed}"]
        )
    for key, value in settings.items():
        if not key.startswith(SETTABLE) and key != "algorithm":
            allowed = ", ".join(["algorithm", *(f"{prefix}*" for prefix in SETTABLE)])
            raise ProtocolError([f"{where}{clipped(key)}: an arm may change {allowed}"])
        assign(data, key_path(key), copy.deepcopy(value), where)
    _another_theory(data, settings, where, kind)
    here = replace(document, data=data)
    shared = [*SHARED, *(["schedule"] if "schedule" not in changed else [])]
    try:
        variant = _read(here, data).model_copy(update={key: getattr(spec, key) for key in shared})
        _refuse_faults(here, variant, arm)
        return variant
    except ProtocolError as error:
        raise ProtocolError([f"{where}{fault}" for fault in error.faults]) from error


def _another_theory(data: Any, settings: dict[str, Any], where: str, kind: str) -> None:
    """Refuse an arm that names another theory over settings that this one does not have."""
    name, written = settings.get("algorithm.name"), data.get("algorithm")
    if name not in THEORIES or not isinstance(written, dict) or "algorithm" in settings:
        return
    known = THEORIES[name].settings.model_fields
    strange = [key for key in written if key not in known]
    if strange:
        raise ProtocolError(
            [
                f"{where}{name} has no `{strange[0]}`, which the protocol's algorithm sets; give "
                f"the arm an algorithm of its own: {kind}: {{algorithm: {{name: {name}}}}}"
            ]
        )


def _after_branch(key: str, document: Document, arm: str) -> bool:
    written = (document.data.get("arms") or {}).get(arm) or {}
    initial = written.get("initial") or {}
    return key == "algorithm" or key.startswith(AFTER_BRANCH) or key in initial
