"""What can be read from networks that have learnt nothing: probes of every layer at initialisation.

    python analysis/initial_probes.py PROTOCOL ... [--data FOLDER] [--seeds 3]
        [--measure svm_10fold] [--set KEY.PATH=VALUE ...]

One table a protocol: mean over animals [smallest, largest] by layer, the numbers of `neuro-aws run`
at step 0 of the first arm. Random weights keep much of the stimulus, so that a probe of a trained
network says little unless these stand beside it.
"""

import argparse
from collections.abc import Sequence

import numpy as np
import pandas as pd
from common import script

from neuro_aws import Session
from neuro_aws.errors import NeuroAWSError
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.check import measure_faults

PROBES = ("linear_probe", "svm_10fold")


def measured(protocol: Protocol, seeds: int, measure: str, data: str | None) -> pd.DataFrame:
    """Return one row a value: animal, name, layer, value."""
    parts = []
    for animal in range(seeds):
        found = Session(protocol, animal=animal, data=data).measure(measure)
        parts.append(found.assign(animal=animal))
    return pd.concat(parts, ignore_index=True)


def cell(values: Sequence[float]) -> str:
    """Return mean [smallest, largest], three decimals."""
    if len(values) == 1:
        return f"{values[0]:.3f}"
    return f"{np.mean(values):.3f} [{min(values):.3f}, {max(values):.3f}]"


def table(found: pd.DataFrame) -> str:
    """Return a row for each value, a column for each layer."""
    rows = []
    for name, part in found.groupby("name", sort=False):
        by_layer = part.groupby("layer")["value"]
        rows.append({"value": name} | {f"layer {i}": cell(list(of)) for i, of in by_layer})
    return pd.DataFrame(rows).to_string(index=False)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("protocols", nargs="+", metavar="PROTOCOL")
    parser.add_argument("--seeds", type=int, default=3, help="animals")
    parser.add_argument("--data", help="folder that holds mnist/ and other data")
    parser.add_argument("--measure", default="linear_probe", choices=PROBES)
    parser.add_argument("--set", dest="sets", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    for path in options.protocols:
        protocol = Protocol.load(path, options.sets)
        for fault in measure_faults(protocol.spec, options.measure):
            raise NeuroAWSError(fault, where=path)
        print(f"{protocol.spec.name}: {options.seeds} animals at initialisation", flush=True)
        found = measured(protocol, options.seeds, options.measure, options.data)
        print(table(found), flush=True)


if __name__ == "__main__":
    script(main)
