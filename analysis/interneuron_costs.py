"""What learning by interneurons costs: against the width of a layer, and with slow alternation.

    python analysis/interneuron_costs.py width          # 5 animals; 32, 128, 512 hidden units
    python analysis/interneuron_costs.py alternation    # wake and REM in blocks of 1, 10, 100 steps
    python analysis/interneuron_costs.py width --seeds 1 --pairs 100

Each network (64 pixels, one hidden layer, 32 units) goes through the same number of pairs of wake
and REM, under `interneuron` with inference learning at 1.5e-4 and interneurons at 5e-3, three and
five times the default; and without learning of inference (`frozen`), which is what to compare with.
Prints mean and 95 % t interval over animals of:

    fresh      a fresh classifier's share of right answers on wake against dreams (0.5: alike)
    objective  what G descends, over its initial value
    probe      gain of the top layer's linear probe, noise on
"""

import argparse
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch

from neuro_aws.backends.rate.simulator import RateSimulator
from neuro_aws.metrics.statistics import estimate
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.agenda import Moment
from neuro_aws.recording.writer import Discard

PROTOCOL = """
schema_version: 3
name: interneuron_costs
stimulus: {source: digits}
network: {layers: [64, 128, 32]}
schedule:
  - {name: learning, cycles: 1000, phases: [{wake: 1}, {rem: 1}]}
measure: [{measure: fresh_classifier, repeats: 1}, objective, {measure: linear_probe, repeats: 1}]
"""
WIDTHS = (32, 128, 512)
BLOCKS = (1, 10, 100)
THEORIES = {
    "interneuron": (
        "algorithm={name: interneuron, feedforward: {rate: 1.5e-4}, interneurons: {rate: 5.0e-3}}"
    ),
    "frozen": "algorithm={name: frozen}",
}
TOP = 2


class Arm(NamedTuple):
    """One setting, and its words in the table."""

    words: str
    changes: tuple[str, ...]


def arms(what: str, pairs: int, widths: Sequence[int]) -> Iterator[Arm]:
    """Yield what is compared."""
    for theory, setting in THEORIES.items():
        for width in widths if what == "width" else ():
            layers = f"network.layers=[64, {width}, 32]"
            cycles = f"schedule.0.cycles={pairs}"
            yield Arm(f"{theory}, {width} units", (setting, layers, cycles))
        for block in BLOCKS if what == "alternation" else ():
            phases = f"schedule.0.phases=[{{wake: {block}}}, {{rem: {block}}}]"
            cycles = f"schedule.0.cycles={max(1, pairs // block)}"
            yield Arm(f"{theory}, blocks of {block}", (setting, phases, cycles))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("what", choices=("width", "alternation"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--widths", type=int, nargs="+", default=WIDTHS, help="of layer 1")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{options.seeds} animals, {options.pairs} pairs of wake and REM")
    for arm in arms(options.what, options.pairs, options.widths):
        found = [course(arm, seed) for seed in range(options.seeds)]
        columns = [f"{name} {estimate([f[name] for f in found])}" for name in found[0]]
        print(f"  {arm.words:<28}" + "   ".join(columns), flush=True)


def course(arm: Arm, seed: int) -> dict[str, float]:
    """Return what one animal has come to."""
    protocol = Protocol.from_text(PROTOCOL, "interneuron_costs", arm.changes)
    simulator = RateSimulator(protocol, next(iter(protocol.tree.trunks)), seed)
    steps = simulator.plan.schedule.steps
    initial = measured(simulator, 0)
    simulator.advance(0, steps, Discard(), bool)
    final = measured(simulator, steps)
    return {
        "fresh": final["fresh_classifier"],
        "objective": final["objective"] / initial["objective"],
        "probe": final["linear_probe_noisy"] - initial["linear_probe_noisy"],
    }


def measured(simulator: RateSimulator, step: int) -> dict[str, float]:
    """Return the values of every measure, those by layer of the top layer."""
    found = {}
    for what in simulator.spec.measure:
        for value in simulator.measure(what, Moment(step, "learning", 0)):
            if value.layer in (-1, None, TOP):
                found[value.name] = value.value
    return found


if __name__ == "__main__":
    main()
