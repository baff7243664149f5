"""Which prediction error is better while a cell is refractory: none (`masked`), or NEST's (`nest`)?

    neuro-aws run protocols/spiking_urbanczik_senn.yaml [--set spiking.refractory_error=nest]
    neuro-aws run protocols/spiking_critical_period.yaml --arms control \\
        --set "spiking.traces=[{layer: 0, ids: [0, 1, 2, 3]}]" [--set spiking.refractory_error=nest]
    python benchmarks/refractory_error.py RUN [RUN ...]

Prints for each run, over the last ``spiking.window`` of wake of its control arm: correlation of V*
and U, root mean square and mean of V* - U (in 15 mV), over all traced cells of a layer together.

For a cortex besides, the mean squared error of the traced cells' counts in a step, over the
variance of each cell's count: counts predicted by p* in the free time steps, as `spike_prediction`
does, or by p* in all of them, which `nest` makes right in the mean (from V* at every update). Then
the layer's rates in wake and in REM. Mean [smallest, largest] over animals.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from neuro_aws.backends.spiking.kernels import Neuron, phi
from neuro_aws.errors import NeuroAWSError
from neuro_aws.phase import REM, WAKE
from neuro_aws.protocol.columns import PHASE_CODES
from neuro_aws.protocol.stimuli_built_in import SpikePattern
from neuro_aws.recording.reader import Run, open_run

Array = NDArray[Any]
Found = Iterator[tuple[str, float]]
ARM = "control"


def potentials(soma: Array, dendrite: Array) -> Found:
    """Yield how well V* predicts U."""
    off = dendrite - soma
    yield "corr(V*, U)", float(np.corrcoef(soma.ravel(), dendrite.ravel())[0, 1])
    yield "rms of V* - U", float(np.sqrt(np.square(off).mean()))
    yield "mean of V* - U", float(off.mean())


def of_neuron(run: Run, animal: int) -> Iterator[tuple[int, str, float]]:
    """Yield what a single neuron shows."""
    section = run.protocol.spec.spiking
    taught = run.read(animal, ARM, "potentials/taught") > 0
    last = np.flatnonzero(taught)[-round(section.window_steps * section.step / section.dt) :]
    soma, dendrite = (run.read(animal, ARM, f"potentials/{k}")[last] for k in ("soma", "dendrite"))
    for name, value in potentials(soma, dendrite):
        yield 0, name, value


def of_cortex(run: Run, animal: int) -> Iterator[tuple[int, str, float]]:
    """Yield what each layer with traced cells shows."""
    section, n = run.protocol.spec.spiking, Neuron()
    phase = run.read(animal, ARM, "neuromodulators/phase")
    wake, rem = (
        np.flatnonzero(phase == PHASE_CODES[p])[-section.window_steps :] for p in (WAKE, REM)
    )
    each = round(section.step / section.tick)
    rows = (wake[:, None] * each + np.arange(each)).ravel()
    soma, dendrite = (run.read(animal, ARM, f"potentials/{k}")[rows] for k in ("soma", "dendrite"))
    at = 0
    for record in section.traces:
        cells = slice(at, at := at + len(record.ids))
        for name, value in potentials(soma[:, cells], dendrite[:, cells]):
            yield record.layer, name, value
        ids = list(record.ids)
        here = f"counts/layer{record.layer}"
        counts = run.read(animal, ARM, here)
        mine, free = counts[wake][:, ids].astype(float), run.read(animal, ARM, here + "_expected")
        in_all = -np.expm1(-phi(n, dendrite[:, cells].astype(float)) * section.dt)
        in_all = in_all.reshape(len(wake), each, -1).sum(1) * section.tick / section.dt
        variance = mine.var(0).mean()
        for name, expected in (("free", free[wake][:, ids]), ("all", in_all)):
            error = np.square(mine - expected).mean() / variance
            yield record.layer, f"count error, p* in {name} steps", float(error)
        for name, steps in (("wake", wake), ("REM", rem)):
            yield (
                record.layer,
                f"rate in {name}, Hz",
                float(counts[steps].mean() / section.step * 1e3),
            )


def shown(run: Run) -> Iterator[str]:
    """Yield the lines of a run's table."""
    spec = run.protocol.spec
    single = isinstance(spec.stimulus, SpikePattern)
    if not single and not spec.spiking.traces:
        raise NeuroAWSError(
            "no potentials of spiking cells",
            where=str(run.folder),
            next_step="Give a run with spiking.traces, or of a single neuron",
        )
    of, animals = of_neuron if single else of_cortex, run.animals
    found: dict[tuple[int, str], list[float]] = {}
    for animal in animals:
        for layer, name, value in of(run, animal):
            found.setdefault((layer, name), []).append(value)
    yield f"{spec.name}, refractory_error: {spec.spiking.refractory_error}, {len(animals)} animals"
    for (layer, name), each in found.items():
        yield f"layer {layer} | {name} | {np.mean(each):.4g} [{min(each):.4g}, {max(each):.4g}]"


def main() -> None:
    """Print a table for each run."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("run", nargs="+", help="run folder")
    try:
        for path in parser.parse_args().run:
            print("\n".join(shown(open_run(path))))
    except NeuroAWSError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
