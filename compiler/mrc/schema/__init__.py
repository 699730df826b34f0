"""The documents of a repository, by kind."""

from mrc.schema.base import API_VERSION, Envelope
from mrc.schema.environment import Environment
from mrc.schema.policy import RolloutPolicy
from mrc.schema.repository import Repository
from mrc.schema.verdict import Verdict
from mrc.schema.version import ModelVersion

KINDS: dict[str, type[Envelope]] = {
    "Repository": Repository,
    "Environment": Environment,
    "RolloutPolicy": RolloutPolicy,
    "ModelVersion": ModelVersion,
    "Verdict": Verdict,
}

FILES = {
    "Repository": "mrc.yaml",
    "Environment": "environments/<environment>.yaml",
    "RolloutPolicy": "policies/<model>/policy.yaml",
    "ModelVersion": "policies/<model>/versions/<n>.yaml",
    "Verdict": "policies/<model>/verdicts/<n>.yaml",
}
"""Where the documents of a kind stand."""

__all__ = [
    "API_VERSION",
    "FILES",
    "KINDS",
    "Envelope",
    "Environment",
    "ModelVersion",
    "Repository",
    "RolloutPolicy",
    "Verdict",
]
