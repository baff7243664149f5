"""A session in Python: one animal, step by step.

    s = neuro_aws.Session("protocols/critical_period.yaml", animal=0, arm="control")
    s.step(1000)
    s.weights["feedforward_into1"][cells] = 0
    s.ach, s.present(images, layer=1), s.dream(64)

It gives the numbers of ``neuro-aws run``, step by step. ``present``, ``dream``, measures and
reading consume no random numbers of the run.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neuro_aws.backends.base import Array, Observed, Simulator, make
from neuro_aws.backends.rate import forms
from neuro_aws.errors import NeuroAWSError
from neuro_aws.experiment.probes import Probe, Weights, labelled
from neuro_aws.experiment.states import refuse_step, state_file, take_up
from neuro_aws.phase import Phase
from neuro_aws.protocol import ArmPlan, Protocol, TrunkPlan
from neuro_aws.protocol.agenda import Agenda, Moment
from neuro_aws.protocol.data import using_data
from neuro_aws.protocol.interactive import measure, perturbation
from neuro_aws.protocol.perturb import Perturbation
from neuro_aws.recording import checkpoint
from neuro_aws.recording.checkpoint import Place
from neuro_aws.recording.reader import Run, open_run
from neuro_aws.recording.writer import Discard

Callback = Callable[["Session"], None]


class Session:
    """One animal in one arm of a protocol, from its first step on.

    ``protocol`` is a file or a ``Protocol``; ``overrides`` are key.path=value; ``dataset`` replaces
    the protocol's stimuli (``Dataset.from_arrays``), ``data`` is the folder of data sets;
    ``allow_code`` consents to importing code of your own that the protocol names; ``step`` is the
    form of the step, as ``neuro-aws run --step`` takes it. Steps are those
    of the schedule. A spiking simulator simulates them in blocks (``spiking.segment``): ``step``
    goes from one end of a block to another, callbacks are called there, and ``present`` and
    ``dream`` are not available.
    """

    def __init__(
        self,
        protocol: str | Path | Protocol,
        *,
        animal: int = 0,
        arm: str | None = None,
        overrides: tuple[str, ...] = (),
        device: str = "cpu",
        dataset: Any = None,
        data: str | None = None,
        allow_code: bool = False,
        step: str = "auto",
    ) -> None:
        if not isinstance(protocol, Protocol):
            protocol = Protocol.load(protocol, overrides, allow_code=allow_code)
        elif overrides:
            protocol = protocol.changed(overrides)
        protocol.refuse_unloaded()
        arms = protocol.tree.arms
        arm = next(iter(arms)) if arm is None else arm
        if arm not in arms:
            raise NeuroAWSError(f"no arm {arm!r}", next_step="Arms: " + ", ".join(arms))
        self.protocol, self.animal, self.arm = protocol, animal, arm
        self.device, self.dataset, self.data = device, dataset, data
        self.form = forms.loaded(forms.chosen(protocol, device=device, asked=step), step)
        """Which form of the step it takes, and why."""
        self.steps = 0
        """Steps simulated so far."""
        self.weights = Weights(self)
        """Recorded weights by name; what is read is a copy, assigning to them writes through."""
        self._done: tuple[Perturbation, ...] = ()
        self._probes: list[Probe] = []
        self._callbacks: list[Callback] = []
        plan = arms[arm]
        self._enter(plan.trunk if plan.branch > 0 else arm)

    @classmethod
    def from_run(
        cls,
        run: str | Path | Run,
        animal: int,
        arm: str,
        *,
        state: str = "final",
        allow_code: bool = False,
        step: str | None = None,
    ) -> "Session":
        """Return a session at a state that a run left: ``final``, ``branch``, or a kept step.

        ``step`` is the form of the step; default: that of the run.
        """
        opened = run if isinstance(run, Run) else open_run(run, allow_code=allow_code)
        made = opened.provenance
        device = made["device"]
        if step is None:
            said = made.get("step", forms.WRITTEN_OUT)
            form = forms.kept(said, opened.protocol, device, str(opened.folder))
            step = forms.COMPILED if form.compiled else forms.WRITTEN_OUT
        session = cls(
            opened.protocol,
            animal=animal,
            arm=arm,
            device=device,
            data=made.get("data"),
            step=step,
        )
        place = Place(opened.folder, animal, arm)
        if state == "branch":
            place = Place(opened.folder, animal, opened.protocol.tree.arms[arm].trunk)
        session._take_up(state_file(place, "final" if state == "branch" else state))
        return session

    @classmethod
    def load(cls, path: str | Path, protocol: str | Path | Protocol, **more: Any) -> "Session":
        """Return a session at a state that ``save`` wrote, under its protocol."""
        facts = checkpoint.load(Path(path))[1]
        animal, arm = facts.get("animal"), facts.get("arm")
        if type(animal) is not int or type(arm) is not str:
            raise NeuroAWSError("is no state that Session.save wrote", where=str(path))
        session = cls(protocol, animal=animal, arm=arm, **more)
        session._take_up(Path(path))
        return session

    def _take_up(self, path: Path) -> None:
        state, facts = checkpoint.load(path)
        self.steps = int(facts["step"])
        plan = self.protocol.tree.arms[self.arm]
        refuse_step(self.steps, 0, plan.stop, path)
        if self.steps >= plan.branch > 0:
            self._enter(self.arm)
        take_up(self._simulator, state, path, of_trunk=self.steps == plan.branch)

    def save(self, path: str | Path) -> None:
        """Write the state; ``Session.load`` goes on from it to the same bits."""
        facts = {"step": self.steps, "animal": self.animal, "arm": self.arm, "parts": []}
        checkpoint.save(Path(path), self._simulator.state_dict(), facts)

    def _enter(self, branch: str) -> None:
        with one_thread(), using_data(self.data):
            made = make(
                self.protocol,
                branch,
                self.animal,
                device=self.device,
                dataset=self.dataset,
                compiled=self.form.compiled,
            )
        self._simulator: Simulator = made
        self._plan = self.protocol.tree.plan(branch)
        self._replan()

    def step(self, steps: int = 1) -> int:
        """Simulate so many steps; return how many have been simulated in all."""
        stop = self.steps + steps
        end = self.protocol.tree.arms[self.arm].stop
        if steps < 1 or stop > end:
            raise NeuroAWSError(
                f"the schedule has {end} steps, {end - self.steps} of them are left, not {steps}",
                where=f"step({steps})",
                next_step="Give more cycles: overrides=('schedule.N.cycles=...',)",
            )
        self._refuse_inside_block(stop)
        with one_thread():
            while self.steps < stop:
                self._onward(min(stop, self._plan.stop))
                if self.steps == self._plan.stop < end:
                    state = self._simulator.state_dict()
                    self._enter(self.arm)
                    self._simulator.load_state_dict(state)
        return self.steps

    def _onward(self, stop: int) -> None:
        observed = bool(self._probes or self._callbacks)
        while self.steps < stop:
            until = self._simulator.step_ends(self.steps) if observed else stop
            start = self.steps
            self.steps = self._simulator.advance(start, until, Discard(), _never)
            for probe in self._probes:
                probe.collect(self._simulator, start, self.steps)
            for callback in list(self._callbacks):
                callback(self)

    def _refuse_inside_block(self, stop: int) -> None:
        """Refuse to end between two moments at which the state can be had."""
        before = step = self.steps
        while step < min(stop, self._plan.stop):
            before, step = step, self._simulator.step_ends(step)
        if step > stop:
            ends = [str(e) for e in (before, step) if e > self.steps]
            raise NeuroAWSError(
                f"a block of spikes ends at step {' or '.join(ends)}, not at {stop}",
                where=f"step({stop - self.steps})",
                next_step="Blocks last spiking.segment seconds; go to the end of one",
            )

    def on_step(self, callback: Callback) -> Callable[[], None]:
        """Call ``callback(session)`` after every step (every block of spikes).

        Returns a function that ends it.
        """
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    def probe(
        self, what: str, *, layer: int | None = None, every: int = 1, samples: bool = False
    ) -> Probe:
        """Collect a signal every so many steps from now on; ``.data`` is an xarray of it.

        ``what``: ach, release, gate; soma, dendrite of a ``layer`` (``activity``: soma).
        ``samples``: of every sample of the batch instead of batch means.
        """
        depth = len(self.protocol.spec.network.layers)
        if layer is not None and not 0 <= layer < depth:
            raise NeuroAWSError(
                f"no layer {layer}", where="probe", next_step=f"Layers: 0 to {depth - 1}"
            )
        probe = Probe({"activity": "soma"}.get(what, what), layer, every, samples)
        self._probes.append(probe)
        return probe

    @property
    def phase(self) -> Phase | None:
        """Phase of the step simulated last."""
        return None if not self.steps else self._plan.schedule(self.steps - 1).phase

    @property
    def ach(self) -> xr.DataArray:
        """ACh in the step simulated last: batch mean of D (of spikes: mean logit of the step)."""
        found = self._simulator.observed("ach", None, False)
        last = Observed(found.values[-1:], found.dims, found.units)
        return labelled("ach", last, step=[self.steps - 1])[0]

    def present(self, stimuli: Any = None, *, layer: int, noise: bool = False) -> xr.DataArray:
        """Return what a layer fires when shown stimuli; None: the held-out ones.

        Rows of pixels in [-1, 1], or images (n, height, width[, channels]). Plasticity is off, no
        perturbation is in force, and nothing of the run is consumed.
        """
        rows = None
        if stimuli is not None:
            rows = np.asarray(stimuli, dtype=np.float64)
            rows = rows.reshape(len(rows), -1) if rows.ndim > 1 else rows[None]
            pixels = self.protocol.spec.stimulus.pixels
            if rows.shape[1] != pixels or not np.isfinite(rows).all():
                raise NeuroAWSError(
                    f"stimuli of {rows.shape[1]} pixels, or not all of them numbers",
                    where="present",
                    next_step=f"Give rows of {pixels} pixels in [-1, 1]",
                )
        with one_thread():
            layers = self._simulator.present(rows, noise, True)
        return labelled("soma", _one(layers, layer))

    def dream(self, count: int, *, layer: int = 0, draw: int = 0) -> xr.DataArray:
        """Return what a layer fires in so many dreams; another ``draw`` gives others."""
        with one_thread():
            layers = self._simulator.dream(count, f"session/dream/{self.steps}/{draw}")
        return labelled("soma", _one(layers, layer))

    def measure(self, name: str, **settings: Any) -> pd.DataFrame:
        """Take a measure now: one row a value (name, value, layer, group).

        ``settings`` are those that it has in a protocol.
        """
        at = self._moment()
        what, rest = measure(self.protocol, name, settings)
        with one_thread():
            values = list(self._simulator.measure(what, at, rest))
        return pd.DataFrame(values, columns=["name", "value", "layer", "group"])

    def _moment(self) -> Moment:
        if self.steps == self._plan.first:
            return Agenda(self._plan, ()).onset().moment
        spec = self._plan.schedule(self.steps - 1)
        name = self._plan.schedule.stretches[spec.period].name
        return Moment(self.steps, name, spec.cycle + spec.last)

    def silence(
        self, *, layer: int, ids: list[int], during: str | Sequence[str] = ("wake", "nrem", "rem")
    ) -> Callable[[], None]:
        """Silence cells from the next step on; returns a function that ends it."""
        return self.perturb({"silence": {"layer": layer, "ids": list(ids)}, "during": during})

    def perturb(self, entry: Mapping[str, Any]) -> Callable[[], None]:
        """Perturb from the next step on, as an entry of ``perturb`` without `in` would.

        Returns a function that ends it.
        """
        made = perturbation(self.protocol, self.arm, entry)
        self._done = (*self._done, made)
        self._replan()

        def end() -> None:
            self._done = tuple(p for p in self._done if p is not made)
            self._replan()

        return end

    def _replan(self) -> None:
        if self._done or getattr(self, "_perturbed", False):
            self._perturbed = True
            plan: ArmPlan | TrunkPlan = self._plan
            self._simulator.replan(replace(plan, perturb=(*plan.perturb, *self._done)))

    def __repr__(self) -> str:
        end = self.protocol.tree.arms[self.arm].stop
        name = self.protocol.spec.name
        return f"Session({name}, animal {self.animal}, {self.arm}: step {self.steps} of {end})"


def _one(layers: list[Observed], layer: int) -> Observed:
    if not 0 <= layer < len(layers):
        raise NeuroAWSError(f"no layer {layer}", next_step=f"Layers: 0 to {len(layers) - 1}")
    return layers[layer]


def _never() -> bool:
    return False


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread, as a run does: the same sums in the same order."""
    import torch
    from threadpoolctl import threadpool_limits

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(threads)


__all__ = ["Array", "Session"]
