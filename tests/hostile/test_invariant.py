"""The law that is held against every call sees what breaks it."""

import time

import pytest

from tests.calls import Done
from tests.hostile import invariant
from tests.hostile.invariant import call, faults
from tests.hostile.worlds import World


@pytest.mark.parametrize(
    ("done", "says"),
    [
        (Done(2, "", "no"), "exit code 2"),
        (Done(1, "x" * 1500, "y" * 600), "2100 characters"),
        (Done(1, "", ""), "without a word"),
        (Done(0, "Traceback (most recent call last)", ""), "a traceback"),
        (Done(1, "", "neuro-aws: unexpected KeyError in x.py:3: y"), "nobody foresaw"),
        (Done(1, "", "out of memory: fewer units"), "out of memory"),
        (Done(1, "", "p.yaml: \x1b[2J is unknown"), "control character '\\x1b'"),
        (Done(1, "", "p.yaml: \x9b31m is unknown"), "control character '\\x9b'"),
        (Done(0, "\ud800", ""), "half a character"),
    ],
)
def test_what_should_not_be_said_is_seen(done, says):
    assert any(says in fault for fault in faults(done))


def test_what_may_be_said_is_let_pass():
    assert list(faults(Done(0, "a table\n" * 1000, ""))) == []
    assert list(faults(Done(1, "", "p.yaml:3: seeds: found unexpected end of stream"))) == []


def test_what_a_call_alters_around_the_run_is_seen(tmp_path, monkeypatch):
    world = World(tmp_path / "world")
    world.run.mkdir()

    def writes(*_, cwd):
        (world.run / "evaluation.csv").write_text("")
        (world.made / "t.png").write_text("")
        (world.outside / "canary.txt").write_text("touched!!\n")  # of the same size
        return Done(0, "", "")

    monkeypatch.setattr(invariant, "command", writes)
    assert call(world, ("evaluate", "run")).faults == ("altered outside/canary.txt",)
    (world.run / "evaluation.csv").unlink()
    found = call(world, ("inspect", "run")).faults  # which writes nothing, in the run neither
    assert found == ("altered here/run/evaluation.csv, outside/canary.txt",)


def test_what_raises_or_never_ends_is_seen(tmp_path, monkeypatch):
    world = World(tmp_path / "world")
    monkeypatch.setattr(invariant, "command", lambda *_, cwd: 1 / 0)
    assert call(world, ("validate",)).faults == ("exit code -1", "a traceback")
    monkeypatch.setattr(invariant, "HANG_SECONDS", 0.1)
    monkeypatch.setattr(invariant, "command", lambda *_, cwd: time.sleep(60))
    assert call(world, ("validate",)).done.stderr == "still at it after 0 s"
