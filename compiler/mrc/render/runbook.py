"""RUNBOOK.md: what is watched, what happens by itself, and the commands to go back by hand."""

from fractions import Fraction
from typing import Any

from mrc import routers
from mrc.artifact import Artifact
from mrc.guardrail import TIERS, Guardrail, limit_in_words, windows_in_words
from mrc.link import Release, Version
from mrc.power import decidability
from mrc.render.common import grpc_host, http_host, ingress_names, service_ports
from mrc.render.engine import Raw, fill
from mrc.rollouts import Stage, active, pinned, stages
from mrc.runtime import cache_prefix
from mrc.timing import Phase, restore, slowest

_ACTIONS = {
    "rollback": "Argo aborts during the rollout; after it, an alert asks for the rollback",
    "page": "an alert pages",
    "ticket": "an alert opens a ticket",
}


_NONE = Raw("-")  # of a cell

_PHASES: dict[Phase, str] = {
    "rollout": "during the rollout",
    "bake": "in the bake",
    "warm": "promoted, the fallback warm",
    "cold": "promoted, the fallback cold",
}


def render(release: Release) -> list[Artifact]:
    """RUNBOOK.md."""
    watching = active(release)
    watched = {guardrail.name for guardrail in watching}
    errs = {each.cell.guardrail.name: each.a_month for each in decidability(release) if each.cell.stage.promoted}
    text = fill(
        "runbook/RUNBOOK.md",
        model=release.model,
        team=release.team,
        environment=release.environment_name,
        cluster=release.environment.spec.cluster,
        namespace=release.environment.spec.namespace,
        version=release.version.number,
        fallback=release.fallback.number if release.fallback else None,
        held=_held(release),
        warm=str(release.policy.warm) if release.policy.warm is not None else None,
        blue_green=release.policy.blue_green is not None,
        routed=routers.can(release.environment.spec.router.kind, "weights"),
        reached=_reached(release),
        stages=_stages(release),
        times=_times(release),
        lifetime=str(release.policy.sessions.lifetime) if release.policy.sessions is not None else None,
        grpc=any(port["name"] == "grpc" for port in service_ports(release)),
        pinned=[version.number for version in pinned(release)],
        hooks=_hooks(release),
        cache_prefix=cache_prefix(release.model, release.version.number),
        guardrails=[_guardrail(guardrail, errs.get(guardrail.name)) for guardrail in watching],
        idle=[guardrail.name for guardrail in release.guardrails if guardrail.name not in watched],
        unwatched=[one.name for one in release.unwatched],
        versions=[_version(release, version) for version in reversed(release.retained)],
    )
    return [Artifact(f"{release.folder}/RUNBOOK.md", text)]


def _held(release: Release) -> str | None:
    """The model's own hold. It stands in the line of the version: a change that was rendered before it conflicts."""
    own = release.hold is not None and release.hold[1].metadata.model is not None
    return release.hold[0].file if own and release.hold is not None else None


def _reached(release: Release) -> list[dict[str, str | None]]:
    """Where clients reach the model, by protocol; nowhere with a router that does not carry it."""
    environment = release.environment.spec
    router = environment.router
    edge = router.istio or router.gateway_api or router.nginx or router.alb
    carried = set(ingress_names(release)) if router.nginx is not None or router.alb is not None else {"http", "grpc"}
    found: list[dict[str, str | None]] = []
    for port in service_ports(release):
        at: str | None = None
        if edge is None:
            at = f"{release.model}.{environment.namespace}.svc.cluster.local:{port['port']}"
        elif port["name"] in carried:
            one_host = port["name"] == "http" or router.istio is not None
            at = http_host(release, edge.domain) if one_host else grpc_host(release, edge.domain)
        found.append({"protocol": {"http": "HTTP", "grpc": "gRPC"}[port["name"]], "at": at})
    return found


def _hooks(release: Release) -> list[dict[str, str]]:
    """What is to be told of a version that was rejected."""
    hooks = release.policy.hooks
    said = {
        "Flush what it has put into caches": hooks.flush_cache,
        "Take the requests of that time again": hooks.reprocess,
    }
    return [{"says": text, "url": hook.url} for text, hook in said.items() if hook is not None]


def _stages(release: Release) -> list[dict[str, str]]:
    """What users and the new version get in each phase before the promotion."""
    traffic = release.policy.expected_traffic.per_second
    found = []
    for stage in stages(release):
        sees = _per_second(Fraction(stage.share) * traffic)
        match stage.kind:
            case "shadow":
                what, sees = f"shadow: copies of {stage.share} of the requests", f"{sees}, no user its answers"
            case "preview":
                what, sees = "preview: beside the active side", "what testers send"
            case "traffic":
                what = f"{stage.share} of the traffic"
            case "approval":
                what, sees = f"approval by {stage.group}", "as before"
            case "bake":
                what = "bake: all traffic, not promoted"
            case "warm":
                continue  # said above the table, with what it means for going back
        found.append({"what": what, "long": _long(stage), "sees": sees})
    return found


def _long(stage: Stage) -> str:
    return f"for {stage.length}" if stage.length is not None else "until a person promotes"


def _times(release: Release) -> list[dict[str, str]]:
    """Worst cases by phase: until hard failures and anomalies are seen, and until the fallback serves after that."""
    ways, found = restore(release), []
    for phase, when in _PHASES.items():
        hard, anomaly = slowest(ways, phase, "immediate"), slowest(ways, phase, "short")
        both = [way for way in (hard, anomaly) if way is not None]
        if both:
            row = {
                "when": when,
                "hard": str(hard.seen) if hard else _NONE,
                "anomaly": str(anomaly.seen) if anomaly else _NONE,
            }
            approvals = "".join(f" and an approval by {group}" for group in both[0].approvals)
            found.append({**row, "back": f"{max(way.back for way in both)}{approvals}"})
    return found


def _per_second(rate: Fraction) -> str:
    if rate >= 1 or rate == 0:
        return f"about {round(rate)} requests/s"
    return f"about {round(rate * 60)} requests/min" if rate * 60 >= 1 else f"about {round(rate * 3600)} requests/h"


def _guardrail(guardrail: Guardrail, a_month: float | None) -> dict[str, Any]:
    return {
        "name": guardrail.name,
        "title": guardrail.title,
        "limit": limit_in_words(guardrail),
        "window": windows_in_words(guardrail),
        "tier": f"{guardrail.tier} ({TIERS[guardrail.tier].purpose})",
        "action": _ACTIONS[guardrail.action],
        "min_samples": guardrail.min_samples,
        "errs": "unknown" if a_month is None else f"{a_month:.2g} a month" if a_month >= 0.01 else "hardly ever",
    }


def _version(release: Release, version: Version) -> dict[str, Any]:
    spec = version.object.spec
    verdict = release.verdicts.get(version.number)
    said = []
    if verdict is not None and verdict.spec.validated is not None:
        said.append(f"validated by {verdict.spec.validated.by}, {verdict.spec.validated.at}")
    for where, rejected in sorted(verdict.spec.rejected.items() if verdict is not None else []):
        said.append(f"rejected in {where}: {rejected.reason}")
    return {
        "number": version.number,
        "verdict": "; ".join(said) or "not validated",
        "commit": spec.lineage.code.commit,
        "code": spec.lineage.code.repository,
        "evaluation": spec.evaluation.uri,
        "profile": spec.profile.uri if spec.profile is not None else None,
    }
