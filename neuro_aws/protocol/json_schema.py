"""The JSON Schema of protocols: for editors, and published in the package.

The string under a setting in the source is its description. It is read here, where it is needed:
letting pydantic look for it whenever a class is made would take seconds of every start.
"""

import ast
import inspect
import itertools
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from neuro_aws.protocol.schema import ProtocolSpec

PUBLISHED = Path(__file__).with_name("protocol.schema.json")


def text() -> str:
    """Return the schema as text; the published file holds the same."""
    schema = ProtocolSpec.model_json_schema(by_alias=True)
    models = {model.__name__: model for model in _models(ProtocolSpec, set())}
    for name, definition in schema["$defs"].items():
        if name in models:
            _describe(definition, models[name])
    _describe(schema, ProtocolSpec)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "neuro-aws protocol"
    return json.dumps(schema, indent=1, sort_keys=True) + "\n"


def _describe(definition: dict[str, Any], model: type[BaseModel]) -> None:
    """Put the descriptions of a model's settings into its definition."""
    for name, field in model.model_fields.items():
        place = definition.get("properties", {}).get(field.alias or name)
        said = next((d for c in model.__mro__ if (d := _documented(c).get(name))), None)
        if place is not None and said is not None:
            place["description"] = said


def _models(annotation: Any, seen: set[Any]) -> Iterator[type[BaseModel]]:
    """Yield every model that a type is made of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if annotation not in seen:
            seen.add(annotation)
            yield annotation
            for field in annotation.model_fields.values():
                yield from _models(field.annotation, seen)
        return
    for argument in get_args(annotation):
        yield from _models(argument, seen)


def _documented(model: type) -> dict[str, str]:
    """Return the string under each setting of a class, by name."""
    if not model.__module__.startswith(__package__):
        return {}
    return _classes(inspect.getfile(model)).get(model.__name__, {})


@cache
def _classes(file: str) -> dict[str, dict[str, str]]:
    """Return the strings under the settings of every class in a file."""
    found: dict[str, dict[str, str]] = {}
    for node in ast.parse(Path(file).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            found[node.name] = dict(_under(node.body))
    return found


def _under(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for setting, after in itertools.pairwise(body):
        if not isinstance(setting, ast.AnnAssign) or not isinstance(setting.target, ast.Name):
            continue
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            yield setting.target.id, inspect.cleandoc(str(after.value.value))
