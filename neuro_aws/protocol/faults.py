"""pydantic's errors, said in a user's words: key path, value, what is allowed, nearest name."""

import difflib
import types
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from neuro_aws.errors import clipped
from neuro_aws.protocol.base import KeyPath
from neuro_aws.protocol.document import Document, kind
from neuro_aws.protocol.hopfield import INSTEAD
from neuro_aws.protocol.measures import MEASURES
from neuro_aws.protocol.own_code import OWN_TAG
from neuro_aws.protocol.schema import ProtocolSpec
from neuro_aws.protocol.stimulus import STIMULI
from neuro_aws.protocol.theories import THEORIES

SPURIOUS = {"too_short"}
DISCRIMINATORS = ("source", "name", "measure")
"""Keys that tell kinds of settings apart."""


GONE = {("algorithm", "replay"): f"there is no replay any more; write {INSTEAD}"}
"""What is said of keys that there were once."""

ROOM = 90
"""Letters of names that a line of what is allowed has room for."""


def nearest(name: str, names: list[str]) -> str:
    """Return what ends a sentence about a wrong name: a hint at the nearest valid one, if any."""
    found = difflib.get_close_matches(clipped(name), names, n=1, cutoff=0.5)
    return f"; did you mean {found[0]!r}?" if found else "."


def faults(
    error: ValidationError, document: Document, root: type[BaseModel] = ProtocolSpec
) -> Iterator[str]:
    """Yield one line for each error; ``root`` is the model of the whole document."""
    details = error.errors(include_url=False)
    real = [d for d in details if not _spurious(d)]
    return (_fault(d, document, root) for d in real or details)


def _spurious(detail: ErrorDetails) -> bool:
    value = detail.get("input")
    return detail["type"] in SPURIOUS and isinstance(value, list) and len(value) > 0


def _fault(detail: ErrorDetails, document: Document, root: type[BaseModel]) -> str:
    path, models = _resolve(detail["loc"], document.data, root)
    if detail["type"] == "union_tag_invalid":
        path = (*path, *_discriminator(detail.get("input")))
    return document.fault(path, _message(detail, path, models))


def _message(detail: ErrorDetails, path: KeyPath, models: list[type[BaseModel]]) -> str:
    value, context = detail.get("input"), detail.get("ctx", {})
    shown = clipped(repr(value)) if isinstance(value, str | int | float) else kind(value)
    names = sorted({field.alias or key for m in models for key, field in m.model_fields.items()})
    match detail["type"]:
        case "extra_forbidden":
            if path in GONE:
                return GONE[path]
            key = str(path[-1])
            where = _elsewhere(key, models)
            hint = "." if "belongs to" in where else nearest(key, names)
            return f"unknown key{where}{hint} Allowed: {', '.join(names)}"
        case "missing":
            return "required key is missing"
        case "literal_error" | "enum":
            expected = str(context["expected"])
            options = [o.strip("' ") for o in expected.replace(" or ", ", ").split(",")]
            return f"{shown} is not allowed{nearest(str(value), options)} Allowed: {expected}"
        case "union_tag_invalid":
            options = [o.strip("' ") for o in str(context["expected_tags"]).split(",")]
            options = [_own(o, path) for o in options]
            hint = nearest(str(context["tag"]), options)
            shown = clipped(repr(context["tag"]))
            return f"{shown} is unknown{hint} Allowed: {_some(options)}"
        case "union_tag_not_found":
            key = str(context["discriminator"]).strip("_()'")
            names = list(STIMULI if key == "source" else MEASURES)
            return f"say the {key} ({key}: {', '.join(names[:4])}, ...)"
        case "value_error":
            text = detail["msg"].removeprefix("Value error, ")
            if text.startswith("one "):
                options = [
                    o.strip() for o in text.replace(" or more of", " of").split("of")[-1].split(",")
                ]
                return f"{shown} is not allowed{nearest(str(value), options)} Allowed: {text}"
            return text
        case _:
            wanted = detail["msg"].replace("Input should be", "must be").replace("Tuple", "list")
            wanted = wanted.replace("must be a valid array", "must be a list")
            wanted = wanted.replace("must be an object", "must be a mapping of keys")
            return f"{shown} is refused: {wanted[0].lower() + wanted[1:]}"


def _discriminator(value: object) -> list[str]:
    """Return the key whose value tells kinds of settings apart, if it is there."""
    return [key for key in DISCRIMINATORS if isinstance(value, dict) and key in value][:1]


def _some(options: list[str]) -> str:
    """Return the names that there are, or, where a line cannot hold them, where they are listed."""
    own = [name for name in options if ":" in name]
    names = [*own, *(name for name in options if name not in own)]
    count = len(names)
    while len(", ".join(names[:count])) > ROOM:
        count -= 1
    rest = f" and {len(names) - count} more (neuro-aws list)" if count < len(names) else ""
    return ", ".join(names[:count]) + rest


def _own(tag: str, path: KeyPath) -> str:
    """Return a tag as a user writes it."""
    if tag != OWN_TAG:
        return tag
    return "module:Class" if path[-1] == "name" else "module:function"


def _elsewhere(key: str, models: list[type[BaseModel]]) -> str:
    """Return where a key belongs that the theory named does not have."""
    theories = [t.name for t in THEORIES.values() if t.settings in models]
    having = [t.name for t in THEORIES.values() if key in t.settings.model_fields]
    if not theories:
        return ""
    return f" under {theories[0]}" + (f" (it belongs to {', '.join(having)})" if having else "")


def _resolve(
    location: tuple[int | str, ...], data: Any, root: type[BaseModel]
) -> tuple[KeyPath, list[type[BaseModel]]]:
    """Drop pydantic's union tags from a location; return the models whose key comes last."""
    path: list[int | str] = []
    annotations: list[Any] = [root]
    for position, part in enumerate(location):
        last = position == len(location) - 1
        owners = [m for a in annotations for m in _models(a)]
        inside = (isinstance(data, dict) and part in data) or (
            isinstance(data, list) and isinstance(part, int) and part < len(data)
        )
        tagged = [m for m in owners if part in _tags(m)]
        if not inside and (tagged or not last):
            annotations = list(tagged) or annotations
            continue
        path.append(part)
        if last:
            return tuple(path), owners
        data = data[part]
        annotations = [a for owner in annotations for a in _inside(owner, part)]
    return tuple(path), []


def _tags(model: type[BaseModel]) -> tuple[object, ...]:
    """Return what a location calls this one of several kinds of settings."""
    if hasattr(model, "TAG"):
        return (model.TAG,)
    for key in DISCRIMINATORS:
        annotation = model.model_fields[key].annotation if key in model.model_fields else None
        if get_origin(annotation) is Literal:
            return get_args(annotation)
    return ()


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (Union, types.UnionType):
        for option in get_args(annotation):
            yield from _models(option)
    elif hasattr(annotation, "__metadata__"):
        yield from _models(annotation.__origin__)


def _inside(annotation: Any, part: int | str) -> Iterator[Any]:
    for model in _models(annotation):
        for key, field in model.model_fields.items():
            if (field.alias or key) == part:
                yield field.annotation
    if hasattr(annotation, "__metadata__"):
        yield from _inside(annotation.__origin__, part)
    elif get_origin(annotation) in (Union, types.UnionType):
        for option in get_args(annotation):
            if not (isinstance(option, type) and issubclass(option, BaseModel)):
                yield from _inside(option, part)
    elif get_origin(annotation) is tuple and isinstance(part, int):
        yield get_args(annotation)[0]
    elif get_origin(annotation) is dict and isinstance(part, str):
        yield get_args(annotation)[1]
