"""The user's own code: named in a protocol as ``module:attribute``, imported only with consent.

A module is looked for beside the protocol first, then among the installed packages. ``sys.path``
stays as it is: what lies beside a protocol cannot stand in for a module of anybody else.
"""

import importlib
import importlib.machinery
import importlib.util
import inspect
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from pydantic import BaseModel, PrivateAttr

from neuro_aws.errors import NeuroAWSError
from neuro_aws.protocol.base import KeyPath, Section

OWN_TAG = "module:name"
"""Stands for the user's own code where one kind of settings is chosen among others."""

CONSENT = "--allow-code loads it (Python: Protocol.load(..., allow_code=True))"

RESERVED = frozenset({*sys.stdlib_module_names, *sys.builtin_module_names, "neuro_aws"})
"""Top-level modules that are never code of the user's own."""

_modules: dict[tuple[str, int], ModuleType] = {}
"""What was imported from beside a protocol, by file and the moment it was written."""


class OwnCode(Section, ABC):
    """Settings that name code of the user's own."""

    _loaded: Any = PrivateAttr(None)

    @property
    @abstractmethod
    def reference(self) -> str:
        """Where the code is: module:attribute."""

    def loaded(self) -> Any:
        """Return the class or function, or say that it was not loaded."""
        if self._loaded is None:
            raise NeuroAWSError(
                f"{self.reference} is code of your own and was not loaded", next_step=CONSENT
            )
        return self._loaded

    def take(self, found: Any) -> None:
        """Keep the class or function that was imported, or say why it is not what is wanted."""
        faults = list(self.unfit(found))
        if faults:
            raise NeuroAWSError(f"{self.reference} {faults[0]}")
        self._loaded = found

    @abstractmethod
    def unfit(self, found: Any) -> Iterator[str]:
        """Yield why what was imported is not what is wanted."""


def named_in(section: object, path: KeyPath, seen: set[int]) -> Iterator[tuple[KeyPath, OwnCode]]:
    """Yield every section of the user's own code in a protocol, with its key path.

    ``seen`` gathers what was looked at: arms share most of their settings.
    """
    if not isinstance(section, BaseModel | dict | tuple) or id(section) in seen:
        return
    seen.add(id(section))
    if isinstance(section, OwnCode):
        yield path, section
    if isinstance(section, BaseModel):
        for name, field in type(section).model_fields.items():
            yield from named_in(getattr(section, name), (*path, field.alias or name), seen)
    elif isinstance(section, dict):
        for key, value in section.items():
            yield from named_in(value, (*path, key), seen)
    else:
        for i, value in enumerate(section):
            yield from named_in(value, (*path, i), seen)


def refuse_reserved(reference: str) -> None:
    """Refuse what is nobody's own: a module of Python's or of neuro-aws."""
    top = reference.split(":")[0].split(".")[0]
    if top in RESERVED:
        raise NeuroAWSError(
            f"{reference} is no code of your own: {top} belongs to "
            f"{'neuro-aws' if top == 'neuro_aws' else 'Python'}",
            next_step="Name a module beside the protocol, or one of an installed package",
        )


def fetch(reference: str, folder: Path) -> Any:
    """Import what ``module:attribute`` names, from beside a protocol or among the installed."""
    refuse_reserved(reference)
    name, _, attribute = reference.partition(":")
    try:
        module = _beside(name, folder) or importlib.import_module(name)
    except (Exception, SystemExit) as error:  # somebody's module may raise anything
        said = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, SystemExit):
            said = "it exits while it is imported"
        if isinstance(error, ModuleNotFoundError) and error.name == name.split(".")[0]:
            said = f"no {name}.py in {folder}, and no installed module of that name"
        raise NeuroAWSError(f"{reference} cannot be imported ({said})") from error
    try:
        return getattr(module, attribute)
    except AttributeError:
        known = [
            key
            for key, value in vars(module).items()
            if callable(value) and getattr(value, "__module__", None) == module.__name__
        ]
        raise NeuroAWSError(
            f"{reference} cannot be imported ({name} has no {attribute})",
            next_step="It has " + (", ".join(known[:8]) or "nothing that can be called"),
        ) from None


def called(found: Any, options: dict[str, Any], *before: object) -> Any:
    """Call the user's class or function, or say in one line why it cannot be called so."""
    try:
        return found(*before, **options)
    except (Exception, SystemExit) as error:  # somebody's code may raise anything
        name = getattr(found, "__name__", type(found).__name__)
        said = " ".join(str(error).split()) or type(error).__name__
        raise NeuroAWSError(f"{name} does not take these options ({said})") from error


def lacks(found: Any, methods: Sequence[str]) -> str | None:
    """Return why something is no class with these methods, or None; nothing of it is called."""
    if not inspect.isclass(found):
        return "is not a class"
    missing = [name for name in methods if not callable(getattr(found, name, None))]
    return f"has no method {missing[0]}()" if missing else None


def takes(found: Any, options: dict[str, Any], *before: str) -> str | None:
    """Return why a function cannot be called with these arguments and options, or None."""
    if not callable(found):
        return "is not a function"
    try:
        inspect.signature(found).bind(*before, **options)
    except TypeError as error:
        wanted = ", ".join([*before, *(f"{key}=..." for key in options)])
        return f"cannot be called as {getattr(found, '__name__', found)}({wanted}) ({error})"
    except ValueError:  # it has no signature to look at
        pass
    return None


def beside(name: str, folder: Path) -> importlib.machinery.ModuleSpec | None:
    """Return where a module lies in a folder, without importing it; None where there is none."""
    return _Finder(folder).find_spec(name.split(".")[0], None)


def _beside(name: str, folder: Path) -> ModuleType | None:
    """Import a module that lies in a folder; None where there is none."""
    top, finder = name.split(".")[0], _Finder(folder)
    spec = finder.find_spec(top, None)
    if spec is None or spec.origin is None:
        return None
    if getattr(sys.modules.get(top), "__file__", None) == spec.origin:
        return None  # it is imported as everybody imports it
    key = (f"{spec.origin}:{name}", Path(spec.origin).stat().st_mtime_ns)
    if key not in _modules:
        aside = {k: sys.modules.pop(k) for k in list(sys.modules) if _under(k, {top})}
        inside = _Inside(finder)
        sys.meta_path.insert(0, inside)
        sys.meta_path.append(finder)
        try:
            _modules[key] = _imported(name, spec)
        finally:
            sys.meta_path.remove(finder)
            sys.meta_path.remove(inside)
            for k in [k for k in sys.modules if _under(k, finder.found)]:
                del sys.modules[k]
            sys.modules.update(aside)
    return _modules[key]


def _imported(name: str, spec: importlib.machinery.ModuleSpec) -> ModuleType:
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    assert spec.loader is not None
    spec.loader.exec_module(module)
    return importlib.import_module(name) if "." in name else module


def _under(name: str, tops: set[str]) -> bool:
    return name.split(".")[0] in tops


class _FromSource(SourceFileLoader):
    """Runs what stands in the .py file; compiled files, which nobody reads, are left alone."""

    def get_code(self, fullname: str) -> CodeType:
        """Return the code of the file, compiled now."""
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def _found_in(folder: str, name: str) -> importlib.machinery.ModuleSpec | None:
    return importlib.machinery.FileFinder(folder, (_FromSource, [".py"])).find_spec(name)


class _Finder(MetaPathFinder):
    """Finds modules in one folder; the last that is asked, so that nobody else's name is taken."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.found: set[str] = set()

    def find_spec(
        self, fullname: str, path: Any, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return where a module lies in the folder, or None."""
        if "." in fullname:
            return None
        spec = _found_in(str(self.folder), fullname)
        if spec is not None:
            self.found.add(fullname)
        return spec


class _Inside(MetaPathFinder):
    """Finds what packages of the folder hold; the first that is asked, and of nothing else."""

    def __init__(self, finder: _Finder) -> None:
        self.finder = finder

    def find_spec(
        self, fullname: str, path: Any, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return where a module lies in a package of the folder, or None."""
        if "." not in fullname or not _under(fullname, self.finder.found):
            return None
        for place in path or ():
            spec = _found_in(place, fullname)
            if spec is not None:
                return spec
        raise ModuleNotFoundError(f"no {fullname.rpartition('.')[2]}.py in it", name=fullname)
