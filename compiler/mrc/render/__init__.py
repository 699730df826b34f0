"""Releases to artifacts. Every target is a function of one release."""

from mrc.artifact import Artifact
from mrc.link import Release
from mrc.render import access, analysis, bundle, gateway, ingress, istio, kustomize, rollout, rules, ruletest, runbook
from mrc.rollouts import aborting


def render(release: Release) -> list[Artifact]:
    """Every file of `rendered/<environment>/<model>/`, sorted by path."""
    found = [
        *rollout.render(release, analysed=bool(aborting(release))),
        *access.services(release),
        *access.approval(release),
        *istio.render(release),
        *gateway.render(release),
        *ingress.render(release),
        *bundle.render(release),
        *analysis.render(release),
        *rules.render(release),
        *ruletest.render(release),
        *runbook.render(release),
    ]
    found.append(kustomize.of_model(release.folder, found))
    return sorted(found, key=lambda artifact: artifact.path)
