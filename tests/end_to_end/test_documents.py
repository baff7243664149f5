"""The Python in the README and in docs/session.md runs as it stands, on a shorter quickstart."""

import re

import pytest

from neuro_aws import Protocol
from tests.conftest import ROOT

SHORTER = (
    "seeds=1",
    "schedule.0.cycles=8",
    "schedule.1.cycles=2",
    "measure=[target_cells]",
    "expect=[]",
)
DOCUMENTS = ("README.md", "docs/session.md")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_python_in_documents_runs(name, tmp_path, monkeypatch, capsys):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(), re.S)
    assert blocks
    small = tmp_path / "small.yaml"
    small.write_text(Protocol.load(ROOT / "protocols" / "quickstart.yaml", SHORTER).resolved())
    monkeypatch.chdir(tmp_path)
    for block in blocks:
        assert "protocols/quickstart.yaml" in block
        exec(block.replace("protocols/quickstart.yaml", str(small)), {"__name__": "document"})
    assert capsys.readouterr().out
