"""What it costs that nothing is lost: runs with checksums and checks, and without, side by side.

    python benchmarks/integrity.py [--pairs 3000] [--rounds 7] [--save-every 20]

Without: no SHA-256 of parts and states, no Fletcher-32 on the chunks, no question for room on the
disk, no look at the length of changes. The runs (reference network, default recording) take turns
in one process; times are of the CPU. Prints medians, and the ratio of each round.
"""

import argparse
import hashlib
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import h5py

from neuro_aws import Options, Protocol, run

PROTOCOL = """
schema_version: 3
name: integrity
stimulus: {{source: digits, batch: 64}}
network: {{layers: [64, 128, 32]}}
schedule:
  - name: learning
    cycles: {cycles}
    phases: [{{repeat: 25, phases: [{{wake: 1}}, {{rem: 1}}]}}, {{nrem: 2}}]
arms:
  control: {{}}
record:
  activity: [{{layer: 1, every: 50}}]
"""

DRAWING = "neuro_aws.plots.figures.draw_run"


class Unhashed:
    """Stands in for a hash."""

    def digest(self) -> bytes:
        """Return no hash."""
        return bytes(32)

    def hexdigest(self) -> str:
        """Return no hash."""
        return ""


@contextmanager
def unchecked() -> Iterator[None]:
    """Leave all checks out for a while."""
    create = h5py.Group.create_dataset

    def plain(group: h5py.Group, *words: Any, **more: Any) -> Any:
        return create(group, *words, **{**more, "fletcher32": False})

    with ExitStack() as stack:
        for target, instead in (
            ("neuro_aws.backends.rate.finite.FiniteCheck.__call__", lambda *_: None),
            ("neuro_aws.recording.parts.refuse_full", lambda *_: None),
            ("h5py.Group.create_dataset", plain),
            ("neuro_aws.recording.inventory._sha256", lambda path: ""),
        ):
            stack.enter_context(patch(target, instead))
        stack.enter_context(patch.object(hashlib, "sha256", lambda *_: Unhashed()))
        yield


def seconds(protocol: Protocol, save_every: float) -> float:
    """Return the CPU time of one run; its figures are left out."""
    with tempfile.TemporaryDirectory() as out, patch(DRAWING, lambda _: []):
        options = Options(out=str(Path(out)), jobs=1, save_seconds=save_every)
        began = time.process_time()
        run(protocol, options=options)
        return time.process_time() - began


def main() -> None:
    """Run both forms in turns and print what they take."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--save-every", type=float, default=20.0)
    chosen = parser.parse_args()
    protocol = Protocol.from_text(PROTOCOL.format(cycles=max(1, chosen.pairs // 25)), "integrity")
    seconds(protocol, chosen.save_every)  # imports
    checked, plain = [], []
    for k in range(chosen.rounds):
        for with_checks in (True, False) if k % 2 else (False, True):
            if with_checks:
                checked.append(seconds(protocol, chosen.save_every))
            else:
                with unchecked():
                    plain.append(seconds(protocol, chosen.save_every))
    ratios = [a / b for a, b in zip(checked, plain, strict=True)]
    print(f"{chosen.pairs} pairs, saved every {chosen.save_every:g} s, {chosen.rounds} rounds")
    print(f"with checks    {statistics.median(checked):.2f} s (median)")
    print(f"without        {statistics.median(plain):.2f} s")
    least, most = min(ratios), max(ratios)
    print(f"ratio          {statistics.median(ratios):.3f} [{least:.3f}, {most:.3f}]")


if __name__ == "__main__":
    main()
