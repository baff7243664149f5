"""YAML -> a frozen, validated Protocol; schedule(step) -> phase and what is perturbed. No torch."""

from neuro_aws.protocol.branches import ArmPlan, Tree, TrunkPlan
from neuro_aws.protocol.load import Protocol
from neuro_aws.protocol.schedule import Schedule, StepSpec
from neuro_aws.protocol.schema import ProtocolSpec
from neuro_aws.protocol.targets import Targets

__all__ = [
    "ArmPlan",
    "Protocol",
    "ProtocolSpec",
    "Schedule",
    "StepSpec",
    "Targets",
    "Tree",
    "TrunkPlan",
]
