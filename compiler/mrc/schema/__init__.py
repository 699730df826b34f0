"""The documents of a repository, by kind."""

from mrc.schema.base import API_VERSION, Envelope
from mrc.schema.environment import Environment
from mrc.schema.hold import Hold
from mrc.schema.incident import Incident
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
    "Hold": Hold,
    "Incident": Incident,
}

FILES = {
    "Repository": "mrc.yaml",
    "Environment": "environments/<environment>.yaml",
    "RolloutPolicy": "policies/<model>/policy.yaml",
    "ModelVersion": "policies/<model>/versions/<n>.yaml",
    "Verdict": "policies/<model>/verdicts/<n>.yaml",
    "Hold": "holds/<environment>/<model>.yaml, or _all.yaml",
    "Incident": "incidents/<environment>/<model>/<id>.yaml",
}
"""Where the documents of a kind stand."""

__all__ = [
    "API_VERSION",
    "FILES",
    "KINDS",
    "Envelope",
    "Environment",
    "Hold",
    "Incident",
    "ModelVersion",
    "Repository",
    "RolloutPolicy",
    "Verdict",
]
