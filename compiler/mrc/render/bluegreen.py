"""The blue-green strategy: a preview beside the active side, one switch, and the old side whole until the bake is over.

The fields: https://argo-rollouts.readthedocs.io/en/stable/features/bluegreen/
"""

from mrc.link import Release
from mrc.render.analysis import BAKE, PREVIEW, template_name
from mrc.render.common import preview_service
from mrc.render.engine import fill


def strategy(release: Release, *, analysed: bool) -> str:
    """What stands below `strategy:`; `analysed` says whether there are AnalysisTemplates to name."""
    policy = release.policy
    assert policy.blue_green is not None
    preview = policy.blue_green.preview
    return fill(
        "argo/bluegreen.yaml",
        active_service=release.model,
        preview_service=preview_service(release),
        preview_replicas=preview.replicas,
        preview_seconds=preview.for_.seconds,
        group=policy.blue_green.approval,
        warm_seconds=policy.warm.seconds if policy.warm is not None else None,
        analysed=analysed,
        preview_analysis=template_name(release, PREVIEW),
        bake_analysis=template_name(release, BAKE) if policy.bake else None,
        version=str(release.version.number),
    )
