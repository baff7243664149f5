"""The `spiking` section: what the spiking backend has of its own."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from neuro_aws.protocol.base import Section

TIME_STEPS = (0.1, 0.2, 0.25, 0.5, 1.0)


def _time_step(dt: float) -> float:
    if dt not in TIME_STEPS:
        raise ValueError("one of " + ", ".join(f"{step:g}" for step in TIME_STEPS) + " ms")
    return dt


class SpikingLearning(Section):
    """Rates of the spiking rules; a negative feedforward rate is a control."""

    feedforward: float = Field(3e-5, ge=-1, le=1)
    """eta_F of dF = - eta_F (ACh - baseline) eligibility, wake."""
    feedback: float = Field(3e-4, ge=0, le=1)
    """eta_G of dG = eta_G (S - phi(V*)) h(V*) PSP, wake."""
    dendrite_bias: float = Field(3e-4, ge=0, le=1)
    """The same for the bias of the dendrite."""
    ach: float = Field(0.05, ge=0, le=1)
    """Of the readout that separates wake from REM."""
    homeostasis: float = Field(1e-3, ge=0, le=1)
    """Change of a soma's bias per spike too few, wake."""


class TraceRecord(Section):
    """Potentials of some cells."""

    layer: int = Field(ge=0)
    ids: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)]


class SpikingSection(Section):
    """Two-compartment spiking neurons (Urbanczik & Senn 2014); potentials in units of 15 mV."""

    target: Literal["numpy", "cython", "cpp_standalone"] = "cython"
    """How Brian2 makes code: numpy needs no compiler, cpp_standalone simulates whole periods."""
    dt: Annotated[float, AfterValidator(_time_step)] = 1.0
    """Time step, ms."""
    step: float = Field(100.0, ge=10, le=10_000)
    """Duration of one step of the schedule, ms: one stimulus, or one draw of the prior."""
    tick: float = Field(5.0, ge=1, le=50)
    """Update interval of plasticity and ACh, ms."""
    segment: float = Field(10.0, ge=0.1, le=600)
    """Random numbers begin anew every so many s of biological time; a stop falls in between."""
    window: float = Field(20.0, gt=0, le=3600)
    """Measures look back on so many seconds of each phase."""
    coupling_awake: float = Field(0.0, ge=0, le=1)
    """Share of the dendrite's conductance onto the soma that is left in wake."""
    low: float = Field(0.0, ge=-5, le=5)
    """Potential that a pixel of -1 drives its cell to."""
    high: float = Field(0.9, ge=-5, le=5)
    """And a pixel of 1."""
    prior: Literal["replay", "normal"] = "replay"
    """What drives the top layer in sleep: its own rates of recent waking, or normal potentials.

    Waking is recalled at the start of a segment (``window``); before the first, normal ones are."""
    prior_mean: float = Field(0.35, ge=-5, le=5)
    prior_spread: float = Field(0.35, ge=0, le=5)
    feedforward_at_birth: float = Field(1.0, ge=0, le=10)
    """F is drawn from N(0, (this / root of the inputs)^2)."""
    target_rate: float = Field(30.0, gt=0, le=90)
    """Waking rate that homeostasis holds every cell above the stimulus to, Hz.

    With a refractory period of 3 ms no cell fires above 104 Hz."""
    refractory_error: Literal["masked", "nest"] = "masked"
    """A dendrite's prediction error while its cell is refractory: none, or -p* as in NEST."""
    eligibility: float = Field(20.0, gt=0, le=1000)
    """Time constant of the eligibility, ms."""
    ach_units: int = Field(128, ge=1, le=4096)
    """Features of ACh's readout for each pair of layers."""
    ach_trace: float = Field(20.0, gt=0, le=1000)
    """Time constant of the spike traces ACh reads, ms."""
    ach_baseline: float = Field(50.0, gt=0, le=10_000)
    """Time constant of the fast baseline of ACh, ms."""
    ach_centre: float = Field(5.0, gt=0, le=1000)
    """Time constant at which ACh's features are centred and normalised, s."""
    learning: SpikingLearning = SpikingLearning()
    spikes: bool = True
    """Record every spike (the counts of every step are recorded anyway)."""
    traces: tuple[TraceRecord, ...] = ()
    """Record U and V* of these cells at every update."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for name, part, whole in (
            ("tick", self.dt, self.tick),
            ("step", self.tick, self.step),
            ("segment", self.step, self.segment * 1000),
        ):
            if abs(whole / part - round(whole / part)) > 1e-9:
                below = {"tick": "dt", "step": "tick", "segment": "step"}[name]
                raise ValueError(f"{name} is no whole number of {below}s")
        if self.low >= self.high:
            raise ValueError("low lies below high")
        return self

    @property
    def segment_steps(self) -> int:
        """Steps of the schedule in a segment."""
        return round(self.segment * 1000 / self.step)

    @property
    def window_steps(self) -> int:
        """Steps of one phase that a measure looks back on."""
        return max(2, round(self.window * 1000 / self.step))
