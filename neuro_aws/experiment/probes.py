"""What a session hands out: labelled arrays, probes, and weights that write through."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from neuro_aws.backends.base import Array, Observed, Simulator
from neuro_aws.errors import NeuroAWSError

if TYPE_CHECKING:
    from neuro_aws.experiment.session import Session


def labelled(name: str, found: Observed, step: Sequence[int] | None = None) -> xr.DataArray:
    """Return values as an xarray with dimensions and units."""
    coordinates = {} if step is None else {"step": list(step)}
    return xr.DataArray(
        found.values, coordinates, found.dims, name=name, attrs={"units": found.units}
    )


class Probe:
    """A signal collected while a session goes on."""

    def __init__(self, what: str, layer: int | None, every: int, samples: bool) -> None:
        if every < 1:
            raise NeuroAWSError(f"every {every} steps", where="probe", next_step="Give 1 or more")
        self.what, self.layer, self.every, self.samples = what, layer, every, samples
        self._steps: list[int] = []
        self._rows: list[Array] = []
        self._last: Observed | None = None

    def collect(self, simulator: Simulator, start: int, stop: int) -> None:
        """Take what is due of the steps ``start`` ... ``stop`` - 1."""
        due = [step for step in range(start, stop) if step % self.every == 0]
        if not due:
            return
        found = simulator.observed(self.what, self.layer, self.samples)
        self._last = found
        first = stop - len(found.values)
        for step in due:
            self._steps.append(step)
            self._rows.append(found.values[step - first])

    @property
    def data(self) -> xr.DataArray:
        """Return what has been collected: dimension step first."""
        if self._last is None:
            raise NeuroAWSError("has collected nothing yet", where=f"probe {self.what!r}")
        joined = Observed(np.stack(self._rows), self._last.dims, self._last.units)
        return labelled(self.what, joined, self._steps)


class Weights(Mapping[str, "Weight"]):
    """The recorded weights of a session by name."""

    def __init__(self, session: "Session") -> None:
        self._session = session

    def _all(self) -> Mapping[str, Array]:
        return self._session._simulator.weights(self._session.steps)

    def __getitem__(self, name: str) -> "Weight":
        known = self._all()
        if name not in known:
            raise NeuroAWSError(f"no weights {name!r}", next_step="Weights: " + ", ".join(known))
        return Weight(self._session, name)

    def __setitem__(self, name: str, values: Any) -> None:
        self[name][...] = values

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())


class Weight:
    """One array of weights: reading copies, assigning writes through."""

    def __init__(self, session: "Session", name: str) -> None:
        self._session, self.name = session, name

    @property
    def values(self) -> Array:
        """Return a copy."""
        return self._session._simulator.read(self.name)

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape: (post, pre), (post,) of a bias."""
        return tuple(self.values.shape)

    @property
    def data(self) -> xr.DataArray:
        """Return a copy with dimensions and units."""
        values = self.values
        dims = ("post", "pre", "row", "column")[: values.ndim]
        return labelled(self.name, Observed(values, dims, "weight"))

    def __getitem__(self, key: Any) -> Array:
        return np.array(self.values[key])

    def __setitem__(self, key: Any, values: Any) -> None:
        changed = self.values
        try:
            changed[key] = values
        except (IndexError, ValueError) as error:
            raise NeuroAWSError(
                str(error), where=f"weights[{self.name!r}]", next_step=f"Shape: {changed.shape}"
            ) from error
        if not np.isfinite(changed).all():
            raise NeuroAWSError("weights must be finite", where=f"weights[{self.name!r}]")
        self._session._simulator.assign(self.name, changed)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return self.values if dtype is None else self.values.astype(dtype)

    def __repr__(self) -> str:
        return f"Weight({self.name}, {self.shape})"
