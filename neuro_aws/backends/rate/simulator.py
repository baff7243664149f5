"""The rate simulator: a torch network of one animal, step by step (``backends/base.py``)."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from neuro_aws.algorithms import asked
from neuro_aws.algorithms.declaration import name_of
from neuro_aws.backends.base import Array, Observed, State
from neuro_aws.backends.rate.build import build_animal, device_of
from neuro_aws.backends.rate.distributed import Team
from neuro_aws.backends.rate.engine import Engine, Streams
from neuro_aws.backends.rate.finite import refuse_not_finite
from neuro_aws.backends.rate.moment import Moment
from neuro_aws.backends.rate.observed import signal_of, whole
from neuro_aws.backends.rate.recorder import Recorder
from neuro_aws.backends.rate.status import Status
from neuro_aws.backends.rate.subject import Subjects
from neuro_aws.errors import NeuroAWSError
from neuro_aws.metrics import function
from neuro_aws.metrics.samples import dream_grid, reconstruction_strip
from neuro_aws.metrics.subject import Memory, Subject, Value
from neuro_aws.perturbations import Slots, slots
from neuro_aws.perturbations.verify import TargetCheck
from neuro_aws.phase import Phase
from neuro_aws.protocol import ArmPlan, Protocol, StepSpec, TrunkPlan, agenda
from neuro_aws.protocol.columns import picture_shape, weight_shapes
from neuro_aws.protocol.describe import in_words
from neuro_aws.protocol.measure import Measure, TrainedMeasure
from neuro_aws.recording.writer import Writer
from neuro_aws.stimuli.dataset import Dataset

PARTS = ("network", "updates", "algorithm", "memory")
"""What the names in a state begin with: whose tensors they are; the last are the measures'."""


class RateSimulator:
    """One animal's network in one branch; a step is one batch in one phase.

    ``compiled``: by compiled kernels (``backends/rate/forms.py``).
    """

    def __init__(
        self,
        protocol: Protocol,
        branch: str,
        animal: int,
        *,
        device: str = "cpu",
        dataset: Dataset | None = None,
        team: Team | None = None,
        compiled: bool = False,
    ) -> None:
        self.plan = protocol.tree.plan(branch)
        self.spec = self.plan.spec
        self.number = animal
        self.team = team or Team()
        self.device = device_of(device)
        self.animal = build_animal(self.spec, animal, self.device, dataset)
        self.memory: Memory = {}
        self.subjects = Subjects(self.spec, animal, self.animal)
        self.engine = Engine(
            self.animal.network,
            self.animal.algorithm,
            self.animal.updates,
            self.animal.dataset,
            self.plan.schedule,
            Streams(animal, self.animal.dataset.train.dtype, self.device, self.team),
            self.spec.stimulus.batch,
            self._slots,
            (self._observe,),
            self.team,
            compiled,
        )
        self.last: Moment | None = None
        """All that happened in the step simulated last."""
        self._verify = TargetCheck(self.plan, animal)
        self._slots_of = lru_cache(maxsize=64)(self._make_slots)
        self._words = lru_cache(maxsize=64)(self._perturbations)
        self._status = Status()
        self._recorder = Recorder(
            self.spec, self.animal.network, self.team, lambda *cycle: self._words(*cycle)
        )
        self._subject: Subject | None = None

    def advance(self, start: int, stop: int, out: Writer, should_stop: Callable[[], bool]) -> int:
        """Simulate the steps ``start`` ... ``stop`` - 1, or none if ``should_stop`` says so."""
        if should_stop():
            return start
        self._subject = None
        self._recorder.into(out)
        try:
            for step in range(start, stop):
                self.engine.step(step)
        except Exception:
            self._recorder.write()  # and name the weights that were no numbers before, if any
            raise
        self._recorder.write()
        refuse_not_finite(self.animal.network, stop)
        return stop

    def _observe(self, moment: Moment) -> None:
        if self._verify.waiting:
            self._verify(moment.spec, moment.state)
        self._status.note(moment)
        self._recorder.step(moment)
        self.last = moment

    def _perturbations(self, period: int, cycle: int) -> tuple[str, ...]:
        return tuple(in_words(p) for p in self.plan.covering(period, cycle))

    def state_dict(self) -> State:
        """Return network, optimisers and sums of the cycle, and what measures keep."""
        state = {
            f"network/{name}": _array(t) for name, t in self.animal.network.state_dict().items()
        }
        for projection, kept in self.animal.updates.state_dict().items():
            for key, value in kept.items():
                if value is not None:
                    state[f"updates/{projection}/{key}"] = _array(value)
        theory = name_of(self.animal.algorithm)
        for name, kept_by_it in asked.memory_of(self.animal.algorithm).items():
            state[f"algorithm/{theory}/{name}"] = _array(kept_by_it)
        return state | {f"memory/{name}": _array(kept) for name, kept in self.memory.items()}

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Take up what ``state_dict`` returned."""
        self._subject = None
        parts: dict[str, dict[str, Array]] = {p: {} for p in PARTS}
        for name, values in state.items():
            part, key = name.split("/", 1)
            parts[part][key] = values
        network = {name: self._tensor(v) for name, v in parts["network"].items()}
        self.animal.network.load_state_dict(network)
        updates = self.animal.updates.state_dict()
        saved = {name.split("/")[0] for name in parts["updates"]}
        for kind in saved & updates.keys():  # an arm's own theory may change other projections
            updates[kind] = dict.fromkeys(updates[kind])
        for name, values in parts["updates"].items():
            kind, key = name.split("/")
            if kind in updates:
                if values.ndim and values.shape != tuple(self.animal.network.flat(kind).shape):
                    raise NeuroAWSError(f"does not fit (updates/{name})")
                updates[kind][key] = values.item() if values.ndim == 0 else self._tensor(values)
        self.animal.updates.load_state_dict(updates)
        self._remember(parts["algorithm"])
        self.memory.clear()
        self.memory |= {name: torch.from_numpy(np.array(v)) for name, v in parts["memory"].items()}

    def _remember(self, saved: Mapping[str, Array]) -> None:
        """Give the algorithm its memory; another theory (an arm's) starts with none."""
        own = f"{name_of(self.animal.algorithm)}/"
        kept = asked.memory_of(self.animal.algorithm)
        kept.clear()
        for name, values in saved.items():
            if name.startswith(own):
                kept[name.removeprefix(own)] = self._tensor(values)

    def _tensor(self, values: Array) -> torch.Tensor:
        return torch.from_numpy(np.array(values)).to(self.device)

    def weights(self, step: int) -> dict[str, Array]:
        """Return every recorded weight by its name."""
        return {name: _array(tensor).astype("f4") for name, tensor in self._named().items()}

    def _named(self) -> dict[str, torch.Tensor]:
        network = self.animal.network
        tensors = {n: t for kind in network.kinds for n, t in network.parameters(kind).items()}
        return {name: tensors[name] for name in weight_shapes(self.spec)}

    def images(self, step: int) -> dict[str, Array]:
        """Return dreams and predictions as bytes, where stimuli are single pictures."""
        if picture_shape(self.spec) is None:
            return {}
        subject = self.subject(step)
        with torch.no_grad():
            predicted, dreams = reconstruction_strip(subject), dream_grid(subject)
        return {"dreams": dreams.numpy(), "predicted": predicted.numpy()}

    def measure(
        self, what: Measure | str, at: agenda.Moment, settings: Mapping[str, Any] | None = None
    ) -> Iterator[Value]:
        """Yield the values of one measure at the present moment."""
        own: dict[str, Any] = {} if isinstance(what, str) else {"settings": what}
        if isinstance(what, TrainedMeasure):
            own["repeats"] = what.repeats
        subject = replace(self.subject(at.step), **{**own, **(settings or {})})
        with torch.no_grad():
            yield from list(function(what)(subject))

    def subject(self, step: int) -> Subject:
        """Return the animal as measures see it; activity is computed once for all of them."""
        if self._subject is None or self._subject.step != step:
            self._subject = self.subjects.at(step, self.memory)
        return self._subject

    def status(self) -> str:
        """Return the ACh gap and the prediction error of the last steps."""
        return "" if self.last is None else self._status.of(self.last.state)

    def step_ends(self, start: int) -> int:
        """Return the next step: the state can be had after every one."""
        return start + 1

    def observed(self, what: str, layer: int | None, samples: bool) -> Observed:
        """Return a signal of the last step: ``ach``, ``release``, ``gate``, or of a layer.

        ``soma`` and ``dendrite`` are batch means by unit (of a map: by channel), or, with
        ``samples``, of every sample of the batch.
        """
        if self.last is None:
            raise NeuroAWSError("nothing has been simulated yet", next_step="Call step() first")
        return signal_of(self.last, self.animal.network, what, layer, samples)

    def read(self, name: str) -> Array:
        """Return a copy of one of the recorded weights."""
        return _array(self._named()[name])

    def assign(self, name: str, values: Array) -> None:
        """Write one of the recorded weights."""
        self._subject = None
        tensor = self._named()[name]
        tensor.copy_(torch.from_numpy(np.ascontiguousarray(values)).to(tensor))

    def replan(self, plan: ArmPlan | TrunkPlan) -> None:
        """Go on under other perturbations."""
        self.plan = plan
        self._verify = TargetCheck(plan, self.number)
        self._slots_of.cache_clear()
        self._words.cache_clear()

    def present(self, stimuli: Array | None, noise: bool, running: bool = True) -> list[Observed]:
        """Return the somata of h_0 ... h_N for stimuli (rows of pixels); None: held-out ones."""
        network, dataset, algorithm = (
            self.animal.network,
            self.animal.dataset,
            self.animal.algorithm,
        )
        x = dataset.held_out if stimuli is None else self._tensor(stimuli).to(dataset.train.dtype)
        draws = self.subject(0).draws("session/present") if noise else None
        with torch.no_grad():
            state = asked.recognise(algorithm, network, x, draws, running=running)
            return [whole(h) for h in state.somas]

    def dream(self, count: int, stream: str) -> list[Observed]:
        """Return the somata of h_0 ... h_N in dreams; their noise belongs to them and stays on."""
        with torch.no_grad():
            subject = self.subject(0)
            return [whole(h) for h in subject.dream(count, subject.draws(stream)).somas]

    def _slots(self, spec: StepSpec) -> Slots:
        active = self.plan.active(spec.period, spec.cycle, spec.phase)
        chosen = tuple(map(self.plan.perturb.index, active))
        return self._slots_of(spec.period, spec.phase, chosen)

    def _make_slots(self, period: int, phase: Phase, active: tuple[int, ...]) -> Slots:
        usual = self.plan.schedule.stretches[period].scales
        chosen = [self.plan.perturb[i] for i in active]
        return slots(chosen, phase, usual, self.spec, self.animal.dataset, self.number)


def _array(value: Any) -> Array:
    """Return a copy on the CPU, as numpy."""
    if isinstance(value, torch.Tensor):
        return np.array(value.detach().cpu().numpy())
    return np.asarray(value)
