"""Imports run one way; every heavy dependency has one owner; importing does nothing."""

import ast
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT, TINY

PACKAGE = ROOT / "neuro_aws"

LADDER = [
    {"errors", "phase", "rng"},
    {"protocol"},
    {"functional"},
    {"stimuli"},
    {"model"},
    {"algorithms"},
    {"perturbations"},
    {"metrics"},
    {"recording"},
    {"plots"},
    {"backends"},
    {"experiment"},
    {"report"},
    {"cli"},
]
"""From the ground up: a package imports what stands below it."""

RANK = {name: level for level, names in enumerate(LADDER) for name in names}

OWNERS = {
    "yaml": {"protocol", "experiment"},
    "h5py": {"recording", "experiment"},
    "matplotlib": {"plots"},
    "click": {"cli"},
    "rich": {"cli"},
    "sklearn": {"metrics", "stimuli"},
    "scipy": {"metrics"},
    "pandas": {"metrics", "recording", "plots", "experiment", "report", "cli"},
    "bokeh": {"report"},
    "jinja2": {"report"},
    "xarray": {"recording", "experiment"},
    "PIL": {"stimuli"},
    "pydantic": {"protocol"},
    "brian2": {"backends"},
    "numba": {"functional", "backends"},
    "llvmlite": {"backends"},
    "pynwb": {"recording"},
    "hdmf": {"recording"},
    "nwbinspector": {"recording"},
    "pyarrow": {"recording"},
    "dask": {"experiment"},
    "distributed": {"experiment"},
}

EXTRAS = {
    PACKAGE / "recording" / "export" / "nwb.py": {"pynwb", "hdmf"},
    PACKAGE / "recording" / "export" / "inspection.py": {"nwbinspector"},
}
"""The modules that import an extra as they are imported: whoever needs them does so late."""

COMPILED = (PACKAGE / "functional" / "compiled", PACKAGE / "backends" / "rate" / "compiled")
"""The places that import numba, an extra."""


def modules() -> list[Path]:
    return [
        p
        for p in sorted(PACKAGE.rglob("*.py"))
        if p.parent != PACKAGE or not p.stem.startswith("__")
    ]


def home(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            if node.module == "neuro_aws":
                yield from (f"neuro_aws.{alias.name}" for alias in node.names)


def test_every_package_stands_on_the_ladder():
    assert {home(p) for p in modules()} == set(RANK)


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_run_one_way_and_dependencies_have_owners(path):
    own = home(path)
    for name in imported(path):
        parts = name.split(".")
        if parts[0] == "neuro_aws" and len(parts) > 1:
            other = parts[1]
            assert other == own or RANK[other] < RANK[own], f"{own} imports {other}"
        elif parts[0] in OWNERS:
            assert own in OWNERS[parts[0]], f"{own} imports {name}"


def test_numba_is_imported_by_kernels_only():
    for path in modules():
        own = path.parent in COMPILED
        assert own or not any(
            name.split(".")[0] in ("numba", "llvmlite") for name in imported(path)
        ), path


def test_formats_of_others_are_imported_by_one_module_each():
    extras = set.union(*EXTRAS.values())
    for path in modules():
        found = {name.split(".")[0] for name in imported(path)} & extras
        assert found <= EXTRAS.get(path, set()), path


@pytest.mark.parametrize(("library", "owner"), [("bokeh", "interactive"), ("jinja2", "page.py")])
def test_what_reports_are_made_with_has_one_owner(library, owner):
    report = PACKAGE / "report"
    knowing = [
        path.relative_to(report).parts[0]
        for path in report.rglob("*.py")
        if any(name.split(".")[0] == library for name in imported(path))
    ]
    assert set(knowing) == {owner}


def test_dask_has_one_owner():
    owner = PACKAGE / "experiment" / "cluster.py"
    for path in modules():
        spread = {"dask", "distributed"} & {name.split(".")[0] for name in imported(path)}
        assert path == owner or not spread, path
    assert any(name == "distributed" for name in imported(owner))


def test_protocol_does_not_know_torch():
    for path in (PACKAGE / "protocol").glob("*.py"):
        assert not any(name.split(".")[0] == "torch" for name in imported(path)), path


def test_importing_everything_writes_nothing_and_seeds_nothing(tmp_path):
    names = [
        "neuro_aws."
        + ".".join(p.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
        for p in modules()
        if all(importlib.util.find_spec(name) for name in EXTRAS.get(p, ()))
        and (p.parent not in COMPILED or importlib.util.find_spec("numba") is not None)
    ]
    code = (
        "import importlib, random, torch, numpy, matplotlib, pandas, xarray, sklearn.datasets\n"
        "import sklearn.neural_network, sklearn.model_selection, sklearn.linear_model\n"
        "before = (torch.initial_seed(), random.getstate(), numpy.random.get_state()[1].tolist(),\n"
        "          torch.get_num_threads(), dict(matplotlib.rcParams))\n"
        f"[importlib.import_module(n) for n in {names!r}]\n"
        "after = (torch.initial_seed(), random.getstate(), numpy.random.get_state()[1].tolist(),\n"
        "         torch.get_num_threads(), dict(matplotlib.rcParams))\n"
        "assert before == after\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_simulates_imports_neither_tables_nor_statistics():
    """Several seconds, and a hundred megabytes, of each process of a run; Brian2 is for spikes."""
    code = (
        "import sys\nimport neuro_aws.experiment.workers\nfrom neuro_aws.backends.base import make\n"
        "from neuro_aws.protocol import Protocol\n"
        "make(Protocol.from_text(sys.argv[1], 'tiny'), 'control', 0, compiled=False)\n"
        "heavy = {'sklearn', 'scipy', 'pandas', 'xarray', 'matplotlib'}\n"
        "print(*sorted(heavy & sys.modules.keys()))\n"
        "import neuro_aws.experiment.run, neuro_aws.cli\n"
        "Protocol.load('protocols/spiking_critical_period.yaml')\n"
        "print('brian2' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, TINY], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["", "False"]
