"""What is said in several places is said alike: versions of this project, of Python, of the tools."""

import re
import tomllib

import yaml

from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_version_is_that_of_the_citation_and_of_the_changelog():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    said = f"## {cited['version']} ({cited['date-released']})"
    assert cited["version"] == PROJECT["version"]
    assert said in (ROOT / "CHANGELOG.md").read_text()


def test_every_python_that_is_said_to_work_is_checked():
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    checked = workflow["jobs"]["checks"]["strategy"]["matrix"]["python"]
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    assert set(named) <= set(checked)
    assert PROJECT["requires-python"] == f">={named[0]}"


def test_tools_at_a_commit_are_those_of_make():
    pinned = set((ROOT / "constraints.txt").read_text().split())
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    tools = {tool for hook in hooks for tool in hook.get("additional_dependencies", [])}
    ours = {tool for tool in tools if tool.startswith("ruff")}
    assert ours
    assert ours <= pinned
