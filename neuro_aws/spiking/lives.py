"""Which spiking life a protocol means."""

from neuro_aws.life import Place
from neuro_aws.protocol import Protocol
from neuro_aws.spiking.cortex_life import CortexLife
from neuro_aws.spiking.life import SpikingLife
from neuro_aws.spiking.neuron_life import NeuronLife


def life_of(protocol: Protocol, place: Place, save_seconds: float) -> SpikingLife:
    """Return a cortex, or the single neuron where the stimulus is a pattern of spikes."""
    if protocol.spec.stimulus.source == "spike_pattern":
        return NeuronLife(protocol, place, save_seconds)
    return CortexLife(protocol, place, save_seconds)
