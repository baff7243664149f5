"""The convolutional step with compiled kernels against the same step in torch alone."""

import pytest
import torch

from neuro_aws.backends.rate.build import build_animal
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.schema import Block
from tests.engines import engine_of

TEXT = """
schema_version: 3
name: images
preset: {preset}
stimulus: {{source: digits, side: 16, batch: 16}}
network: {{dcgan: {{filters: 4, latents: 4, side: 16}}, precision: {precision}}}
schedule: [{{name: training, cycles: 1, phases: [{{wake: 1}}, {{rem: 1}}]}}]
"""


def after(
    preset: str, precision: str, cycles: int, *more: str, compiled: bool = True
) -> dict[str, torch.Tensor]:
    text = TEXT.format(preset=preset, precision=precision)
    spec = Protocol.from_text(text, "", more).spec
    animal = build_animal(spec, 0, torch.device("cpu"))
    engine_of(animal, (Block(wake=1), Block(rem=1)), cycles, compiled=compiled).run(2 * cycles)
    return {name: t.clone() for name, t in animal.network.state_dict().items()}


@pytest.mark.parametrize(
    ("preset", "more"),
    [
        ("dcgan", ()),
        ("published", ()),
        ("published", ("algorithm.credit=layer",)),
        ("published_doubly", ()),
    ],
)
def test_the_compiled_step_is_the_written_out_one(preset, more):
    """float64, five cycles; and the same bits when it is taken again."""
    pytest.importorskip("numba")
    found, again = (after(preset, "float64", 5, *more) for _ in range(2))
    wanted = after(preset, "float64", 5, *more, compiled=False)
    assert all(torch.equal(tensor, again[name]) for name, tensor in found.items())
    assert any(not torch.equal(tensor, wanted[name]) for name, tensor in found.items())
    for name, tensor in wanted.items():
        assert torch.allclose(found[name], tensor, rtol=1e-8, atol=1e-10), name
