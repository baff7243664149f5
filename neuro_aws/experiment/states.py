"""Taking up a saved state: it must be one of this branch, and be there in full afterwards."""

from pathlib import Path

import numpy as np

from neuro_aws.backends.base import Simulator, State
from neuro_aws.errors import NeuroAWSError, clipped, in_a_line
from neuro_aws.recording.checkpoint import Place

NEXT = "It is damaged, or of another protocol: restore it from a copy, or start a new run"


def take_up(simulator: Simulator, state: State, where: Path, *, of_trunk: bool = False) -> None:
    """Load a state into a simulator; refuse one that does not fit.

    ``of_trunk``: of the run an arm grows from, whose theory, and so what it keeps, may be another.
    """
    own = simulator.state_dict()
    for name in own.keys() & state.keys():
        kept, given = np.asarray(own[name]), state[name]
        if not of_trunk and (kept.ndim, kept.dtype.kind) != (given.ndim, given.dtype.kind):
            raise NeuroAWSError(f"does not fit ({clipped(name)})", where=str(where), next_step=NEXT)
    try:
        simulator.load_state_dict(state)
        taken = simulator.state_dict()
    except NeuroAWSError as error:
        raise NeuroAWSError(error.what, where=str(where), next_step=NEXT) from error
    except (LookupError, ValueError, TypeError, RuntimeError, AttributeError) as error:
        said = in_a_line(error)
        raise NeuroAWSError(f"does not fit ({said})", where=str(where), next_step=NEXT) from error
    for name, values in state.items():
        if of_trunk and name not in taken:
            continue
        if name not in taken or not _same(np.asarray(taken[name]), values):
            raise NeuroAWSError(f"does not fit ({clipped(name)})", where=str(where), next_step=NEXT)


def _same(kept: np.ndarray, given: np.ndarray) -> bool:
    alike = kept.shape == given.shape and kept.dtype == given.dtype
    return alike and kept.tobytes() == given.tobytes()


def refuse_step(step: int, first: int, stop: int, where: Path) -> None:
    """Refuse a state that says it is of a step that its branch does not have."""
    if not first <= step <= stop:
        raise NeuroAWSError(
            f"is of step {step}, but its branch goes from {first} to {stop}",
            where=str(where),
            next_step=NEXT,
        )


def state_file(place: Place, wanted: str) -> Path:
    """Return the file of the final state, or of one that was kept; refuse what is not there."""
    if wanted == "final":
        if not place.final.exists():
            raise NeuroAWSError(
                f"animal {place.animal} has not finished {place.branch}",
                where=str(place.run),
                next_step=f"neuro-aws run --resume {place.run}",
            )
        return place.final
    kept = place.kept()
    digits = wanted.isascii() and wanted.isdigit() and len(wanted) < 10
    name = f"{int(wanted):08d}" if digits else wanted
    if name not in kept:
        raise NeuroAWSError(
            f"no state {clipped(wanted)!r} of {place.branch} was kept",
            where="--state",
            next_step="Kept: " + (", ".join(kept) or "only the final one (see `keep:`)"),
        )
    return kept[name]
