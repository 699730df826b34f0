"""What a release means in the phases of its rollout."""

from mrc.guardrail import Guardrail, WorseThanStable
from mrc.link import Release


def active(release: Release) -> list[Guardrail]:
    """The guardrails that can say something: a comparison with stable needs a fallback to compare with."""
    return [
        guardrail
        for guardrail in release.guardrails
        if release.fallback is not None or not isinstance(guardrail.comparison, WorseThanStable)
    ]


def aborting(release: Release) -> list[Guardrail]:
    """The guardrails on which Argo aborts during the rollout."""
    return [guardrail for guardrail in active(release) if guardrail.action == "rollback"]
