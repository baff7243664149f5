"""What would not start on this machine although the protocol is valid: the memory it takes."""

from collections.abc import Iterable

from neuro_aws.errors import NeuroAWSError
from neuro_aws.protocol.image_folders import image_groups
from neuro_aws.protocol.memory import available, installed, size
from neuro_aws.protocol.rate_cost import network_bytes
from neuro_aws.protocol.schema import ProtocolSpec
from neuro_aws.protocol.sequences import Sequences
from neuro_aws.protocol.stimuli_built_in import Patches, Toy
from neuro_aws.protocol.stimuli_from_files import ArrayStimuli, Cifar10, FashionMnist, Images, Mnist
from neuro_aws.protocol.stimulus import Stimulus

IDX_IMAGES, CIFAR_BATCH, TEST_IMAGES = 60_000, 10_000, 10_000
"""Images of MNIST's training file, of a batch of CIFAR-10, and of a test file of either."""

BESIDE = {"array": 4, "sequences": 12, "images": 8, "patches": 16}
"""Bytes that a pixel takes while stimuli are made: of others twice that of a float32."""


def refuse_memory(specs: Iterable[ProtocolSpec], jobs: int, where: str) -> None:
    """Refuse networks and stimuli that take more memory than there is, in so many processes.

    What is counted is the least that a process takes; a limit of its address space holds for each
    process, the machine's memory for all of them.
    """
    for spec in _different(specs):
        network, stimuli = _network_bytes(spec), stimuli_bytes(spec.stimulus)
        needed, there = network + stimuli, available()
        if needed > there:
            raise NeuroAWSError(
                f"{_named(spec, network, stimuli)} takes {size(needed)} of memory, and there are "
                f"{size(there)}",
                where=where,
                next_step="Make layers smaller"
                if network > stimuli
                else "Take fewer or smaller stimuli",
            )
        if needed * jobs > installed():
            raise NeuroAWSError(
                f"{_named(spec, network, stimuli)} takes {size(needed)} of memory in each of "
                f"{jobs} processes, and there are {size(installed())}",
                where=where,
                next_step=f"Give --jobs {installed() // needed} at most",
            )


def fitting_processes(specs: Iterable[ProtocolSpec], most: int) -> int:
    """Return in how many processes, ``most`` at most, these networks and stimuli fit together."""
    least = (_network_bytes(spec) + stimuli_bytes(spec.stimulus) for spec in _different(specs))
    return max(1, min(most, installed() // max(1, *least)))


def _different(specs: Iterable[ProtocolSpec]) -> list[ProtocolSpec]:
    """Return settings that arms share once: to count their stimuli may be to list a folder."""
    return list({id(spec): spec for spec in specs}.values())


def _network_bytes(spec: ProtocolSpec) -> int:
    return network_bytes(spec) if spec.backend == "rate" else 0


def stimuli_bytes(section: Stimulus) -> int:
    """Return the least memory that a section's stimuli take while they are made; 0: not known."""
    return _count(section) * (section.pixels or 0) * BESIDE.get(section.source, 8)


def _count(section: Stimulus) -> int:
    if isinstance(section, Patches):
        return section.count
    if isinstance(section, Toy):
        return section.count + section.held_out
    if isinstance(section, Mnist | FashionMnist):
        return IDX_IMAGES + TEST_IMAGES
    if isinstance(section, Cifar10):
        return CIFAR_BATCH * len(section.batches or range(5)) * (section.batches is None)
    if isinstance(section, ArrayStimuli):
        return section.facts.images if section.facts else 0
    if isinstance(section, Sequences):
        return section.number or 0
    if isinstance(section, Images):
        return sum(len(group) for group in image_groups(section))
    return 0


def _named(spec: ProtocolSpec, network: int, stimuli: int) -> str:
    if network > stimuli:
        made = [k for k in ("dcgan", "recurrent") if getattr(spec.network, k) is not None]
        kind = f"network.{made[0] if made else 'layers'}"
        return f"{kind}: {list(spec.network.layers)}"
    return f"stimulus: {spec.stimulus.source} of {spec.stimulus.pixels} pixels"
