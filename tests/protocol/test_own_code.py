"""The user's own code: beside the protocol, with consent only, and what does not fit is said."""

import importlib.util
import py_compile
import random
import subprocess
import sys

import pytest

from neuro_aws.errors import NeuroAWSError
from neuro_aws.protocol import Protocol
from tests.conftest import TINY

CODE = """
import random
import beside

class Hebb:
    def __init__(self, gain=1.0):
        self.gain = gain * beside.ONE
    def propagate(self, network, stimulus, phase, noise, gains): ...
    def deltas(self, network, state, ach, phase): ...

class Lame:
    def deltas(self): ...

class Flicker:
    def __init__(self, share):
        self.share = share
    def stimulus(self, x, labels, draws):
        return x

def sparseness(subject, threshold):
    yield threshold

def gratings(rng, count=100):
    return rng.random((count, 8, 8)), rng.random((count, 8, 8))
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "my_code.py").write_text(CODE)
    (tmp_path / "beside.py").write_text("ONE = 1.0\n")
    (tmp_path / "random.py").write_text("raise RuntimeError('not the one of the library')\n")
    (tmp_path / "broken.py").write_text("def f(:\n")
    return tmp_path


def load(folder, old="", new="", allow_code=True, more=""):
    path = folder / "own.yaml"
    assert old in TINY
    path.write_text(TINY.replace(old, new, 1) + more)
    return Protocol.load(path, allow_code=allow_code)


ALGORITHM = "\nalgorithm: {name: 'my_code:Hebb', options: {gain: 2.0}}\n"
MEASURE = "  - {measure: 'my_code:sparseness', options: {threshold: 1.5}}\n"
SILENCE = "silence: {targets: cells}"
APPLY = "apply: {code: 'my_code:Flicker', options: {share: 0.5}}"
DIGITS = "source: digits"
OWN = "source: 'my_code:gratings', shape: [8, 8]"


def test_each_is_found_beside_the_protocol_and_leaves_no_path_behind(folder):
    before, names = list(sys.path), set(sys.modules)
    protocol = load(folder, SILENCE, APPLY, more=MEASURE + ALGORITHM)
    assert protocol.spec.algorithm.loaded()(gain=3.0).gain == 3.0
    assert protocol.spec.measure[-1].loaded()(None, 2)
    assert sys.path == before
    assert "random" in sys.modules
    assert sys.modules["random"] is random
    assert not {"my_code", "beside"} & (set(sys.modules) - names)
    assert not [f for f in sys.meta_path if type(f).__module__.startswith("neuro_aws")]
    arm = protocol.tree.arms["rem_silenced"]
    assert arm.spec.algorithm.loaded().__name__ == "Hebb"
    assert arm.perturb[0].rule.loaded()(0.2).share == 0.2
    assert load(folder, DIGITS, OWN).spec.stimulus.loaded().__name__ == "gratings"


def test_without_consent_nothing_is_imported_and_its_name_is_known(folder):
    (folder / "my_code.py").write_text("raise RuntimeError('imported')\n")
    protocol = load(folder, SILENCE, APPLY, allow_code=False, more=MEASURE + ALGORITHM)
    assert set(protocol.own_code) == {"my_code:Hebb", "my_code:Flicker", "my_code:sparseness"}
    with pytest.raises(NeuroAWSError, match="not loaded.*allow-code"):
        protocol.refuse_unloaded()
    with pytest.raises(NeuroAWSError, match="not loaded"):
        protocol.spec.algorithm.loaded()
    with pytest.raises(NeuroAWSError, match="my_code:Hebb cannot be imported .imported."):
        Protocol.load(folder / "own.yaml", allow_code=True)


def test_code_that_exits_does_not_take_the_program_with_it(folder):
    load(folder, SILENCE, APPLY, allow_code=False, more=ALGORITHM)
    (folder / "my_code.py").write_text("raise SystemExit(0)\n")
    with pytest.raises(NeuroAWSError, match="my_code:Hebb cannot be imported .it exits while"):
        Protocol.load(folder / "own.yaml", allow_code=True)


WRONG = [
    (ALGORITHM.replace("Hebb", "Heb"), "", "algorithm", "my_code has no Heb"),
    (ALGORITHM.replace("Hebb", "Lame"), "", "algorithm", "has no method propagate"),
    (ALGORITHM.replace("Hebb", "sparseness"), "", "algorithm", "is not a class"),
    (ALGORITHM.replace("gain", "grain"), "", "algorithm", "unexpected keyword argument 'grain'"),
    (ALGORITHM.replace("my_code", "broken"), "", "algorithm", "cannot be imported"),
    (ALGORITHM.replace("my_code", "nowhere_at_all"), "", "algorithm", "no nowhere_at_all.py in"),
    (MEASURE.replace("threshold", "limit"), "", "measure[2]", "sparseness(subject, limit=...)"),
    ("", APPLY.replace("Flicker", "sparseness"), "perturb[0].apply", "no class with one of the"),
    (
        "",
        APPLY.replace("Flicker", "Hebb").replace("share", "gain"),
        "apply",
        "no class with one of",
    ),
    ("", APPLY.replace("share", "part"), "perturb[0].apply", "does not take these options"),
]


@pytest.mark.parametrize(("more", "action", "key", "says"), WRONG)
def test_what_does_not_fit_is_said_in_a_line(folder, more, action, key, says):
    with pytest.raises(NeuroAWSError) as caught:
        load(folder, SILENCE, action or SILENCE, more=more)
    assert "\n" not in str(caught.value)
    assert key in str(caught.value)
    assert says in str(caught.value)
    assert "own.yaml:" in str(caught.value)


RESERVED = [
    ("", "apply: {code: 'os:system', options: {command: 'touch called'}}"),
    ("\nalgorithm: {name: 'subprocess:Popen', options: {args: [touch, called]}}\n", SILENCE),
    ("  - {measure: 'os:chdir'}\n", SILENCE),
    ("\nalgorithm: {name: 'neuro_aws.algorithms.wake_sleep:WakeSleep'}\n", SILENCE),
]


@pytest.mark.parametrize("allow_code", [False, True])
@pytest.mark.parametrize(("more", "action"), RESERVED)
def test_what_belongs_to_python_or_to_us_is_never_code_of_ones_own(
    folder, more, action, allow_code, monkeypatch
):
    monkeypatch.chdir(folder)
    with pytest.raises(
        NeuroAWSError, match=r"own.yaml:\d+: .* is no code of your own: .* belongs to"
    ):
        load(folder, SILENCE, action, more=more, allow_code=allow_code)
    assert not (folder / "called").exists()


@pytest.mark.parametrize(
    ("more", "action"),
    [
        ("\nalgorithm: {name: 'unfit:Unfit'}\n", SILENCE),
        ("", "apply: {code: 'unfit:Unfit'}"),
        ("", "apply: {code: 'unfit:unfit'}"),
        ("  - {measure: 'unfit:unfit'}\n", SILENCE),
    ],
)
def test_nothing_is_called_of_what_is_not_wanted(folder, more, action, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "unfit.py").write_text(
        "from pathlib import Path\n\n\ndef unfit():\n    Path('called').touch()\n\n\n"
        "class Unfit:\n    def __init__(self):\n        unfit()\n"
    )
    with pytest.raises(NeuroAWSError, match="own.yaml:"):
        load(folder, SILENCE, action, more=more)
    assert not (folder / "called").exists()


def test_a_file_that_changed_is_imported_anew(folder):
    import os

    assert load(folder, more=ALGORITHM).spec.algorithm.loaded()(1.0).gain == 1.0
    (folder / "my_code.py").write_text(CODE.replace("gain * beside", "10 * gain * beside"))
    os.utime(folder / "my_code.py", ns=(1, 1))
    assert load(folder, more=ALGORITHM).spec.algorithm.loaded()(1.0).gain == 10.0


def test_validate_names_the_code_and_run_refuses_it(folder):
    load(folder, more=ALGORITHM)

    def neuro_aws(*arguments):
        return subprocess.run(
            [sys.executable, "-P", "-m", "neuro_aws", *arguments],
            capture_output=True,
            text=True,
            cwd=folder.parent,
        )

    path = str(folder / "own.yaml")
    done = neuro_aws("validate", path)
    assert done.returncode == 1
    assert done.stdout == f"code of your own: my_code:Hebb: {folder}/my_code.py\n"
    assert "my_code:Hebb" in done.stderr
    assert "--allow-code" in done.stderr
    done = neuro_aws("run", path)
    assert done.returncode == 1
    assert len(done.stderr.strip().split("\n")) == 1
    assert "my_code:Hebb" in done.stderr
    assert not (folder.parent / "runs").exists()
    done = neuro_aws("validate", path, "--allow-code")
    assert (done.returncode, done.stderr) == (0, "")


def test_only_source_is_run_and_no_compiled_file_beside_it(folder):
    """Consent covers the text of .py files: what nobody can read is left alone."""
    harmful = folder / "elsewhere.py"
    harmful.write_text("raise SystemExit('compiled')\n")
    (folder / "package").mkdir()
    (folder / "package" / "__init__.py").write_text("from package import inner\n")
    (folder / "package" / "inner.py").write_text("ONE = 1.0\n")
    for path in (folder / "my_code.py", folder / "beside.py", folder / "package" / "inner.py"):
        compiled = importlib.util.cache_from_source(path)
        py_compile.compile(
            str(harmful), compiled, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
        )
    py_compile.compile(str(harmful), str(folder / "only.pyc"))
    with (folder / "my_code.py").open("a") as file:
        file.write("\nimport package.inner\n")
    assert load(folder, more=ALGORITHM).spec.algorithm.loaded()(1.0).gain == 1.0
    with pytest.raises(NeuroAWSError, match="no only.py in"):
        load(folder, more=ALGORITHM.replace("my_code", "only"))
