"""Which spiking life a protocol means."""

from neuro_aws.backends.rate.simulator import Place
from neuro_aws.backends.spiking.life import SpikingLife
from neuro_aws.backends.spiking.simulator import CortexLife
from neuro_aws.backends.spiking.single_neuron import NeuronLife
from neuro_aws.protocol import Protocol


def life_of(protocol: Protocol, place: Place, save_seconds: float) -> SpikingLife:
    """Return a cortex, or the single neuron where the stimulus is a pattern of spikes."""
    if protocol.spec.stimulus.source == "spike_pattern":
        return NeuronLife(protocol, place, save_seconds)
    return CortexLife(protocol, place, save_seconds)
