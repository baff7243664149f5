"""Simulate some steps as one of several processes (torchrun), and save what came of it.

torchrun --nproc-per-node 2 -m tests.reference.team_run OUT STEPS CASES

CASES is JSON: by name, the overrides of a network of its own.
"""

import json
import sys
from pathlib import Path

import torch

from neuro_aws.backends.rate.build import build_animal
from neuro_aws.backends.rate.distributed import Team, join, leave
from neuro_aws.backends.rate.engine import Engine, Moment, Streams
from neuro_aws.backends.rate.samples import put_samples
from neuro_aws.perturbations import Slots
from neuro_aws.phase import WAKE
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.schedule import Schedule
from neuro_aws.protocol.schema import Block, Period
from neuro_aws.recording.writer import Discard
from tests.conftest import TINY, TINY_CONV


class Kept(Discard):
    """Keeps the last row of every dataset."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[str, torch.Tensor] = {}

    def put(self, path: str, value: object) -> None:
        self.rows[path] = torch.as_tensor(value, dtype=torch.float64)


def simulated(steps: int, overrides: list[str], team: Team) -> dict[str, torch.Tensor]:
    """Return the network's tensors after some steps of wake and REM, and the last samples."""
    text = TINY_CONV if any("dcgan" in o for o in overrides) else TINY
    spec = Protocol.from_text(text, "team", ["network.precision=float64", *overrides]).spec
    built = build_animal(spec, 0, torch.device("cpu"))
    period = Period(name="training", cycles=steps, phases=(Block(wake=1), Block(rem=1)))
    streams = Streams(0, torch.float64, torch.device("cpu"), team)
    kept = Kept()

    def observe(moment: Moment) -> None:
        if moment.spec.phase is WAKE:
            put_samples(kept, moment, built.network.depth, team)

    engine = Engine(
        built.network,
        built.algorithm,
        built.updates,
        built.dataset,
        Schedule((period,)),
        streams,
        16,
        lambda _: Slots(),
        (observe,),
        team,
    )
    engine.run(steps)
    team.compare(built.network) if team.size > 1 else None
    return built.network.state_dict() | kept.rows


def main() -> None:
    """Save this process's tensors as OUT/CASE.RANK.pt."""
    out, steps, cases = sys.argv[1:]
    team = join("cpu")
    for name, overrides in json.loads(cases).items():
        tensors = simulated(int(steps), overrides, team)
        path = Path(out) / f"{name}.{team.rank}.pt"
        torch.save({k: t.clone() for k, t in tensors.items()}, path)
    leave()


if __name__ == "__main__":
    main()
