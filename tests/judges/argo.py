"""Would Argo Rollouts run these objects, and run them as meant?

Three judges: its own `lint` (Rollouts with their Services and VirtualServices), its own rules for analyses
(which `lint` skips; see `tests/schemas/argo-analysis`), and here what it accepts although it cannot work.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from judges import tools
from judges.kubernetes import Object, name


def lint(objects: Sequence[Object]) -> list[str]:
    """All problems of the Rollouts and AnalysisTemplates among these objects, which must be complete.

    Objects of other kinds may be there. Services and routes are looked up in the Rollout's namespace.
    """
    return [*_lint(objects), *_analyses(objects), *_silent(objects)]


def _lint(objects: Sequence[Object]) -> list[str]:
    linted = [each for each in objects if each.get("kind") in ("Rollout", "Service", "VirtualService", "Ingress")]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "objects.yaml"
        file.write_text(_stream(linted), encoding="utf-8")
        plugin = tools.installed("argo-rollouts") / "kubectl-argo-rollouts"
        done = tools.run([plugin, "lint", "-f", file])
    if done.returncode == 0:
        return []
    # One problem a line; what stopped it before it looked is on standard error only.
    return [f"lint: {line}" for line in (done.stdout.strip() or done.stderr.strip()).splitlines()]


def _analyses(objects: Sequence[Object]) -> list[str]:
    judged = [each for each in objects if each.get("kind") in ("Rollout", "AnalysisTemplate")]
    done = tools.run([tools.installed("argo-rollouts") / "argo-analysis"], stdin=_stream(judged))
    if done.returncode not in (0, 1):
        return [done.stderr.strip()]
    return done.stdout.splitlines()


def _stream(objects: Sequence[Object]) -> str:
    # JSON is YAML, and leaves nothing to how a scalar is read; surrogate pairs would not be.
    return "".join(f"---\n{json.dumps(each, ensure_ascii=False)}\n" for each in objects)


def _silent(objects: Sequence[Object]) -> Iterator[str]:
    for each in objects:
        if each.get("kind") == "AnalysisTemplate":
            for metric in each["spec"]["metrics"]:
                if not metric.get("successCondition") and not metric.get("failureCondition"):
                    yield f"{name(each)}: metric {metric['name']} has no condition: any answer is a success"
        elif each.get("kind") == "Rollout":
            for problem in [*_window(each["spec"]), *_strategy(each, objects)]:
                yield f"{name(each)}: {problem}"


def _window(spec: Object) -> Iterator[str]:
    # The window counts ReplicaSets, and only those that were kept are there to go back to.
    window = spec.get("rollbackWindow", {}).get("revisions", 0)
    kept = spec.get("revisionHistoryLimit", 10)
    if kept < window:
        yield f"revisionHistoryLimit {kept} is less than rollbackWindow.revisions {window}"


def _strategy(rollout: Object, objects: Sequence[Object]) -> Iterator[str]:
    canary = rollout["spec"]["strategy"].get("canary")
    if canary is None:
        blue_green = rollout["spec"]["strategy"].get("blueGreen", {})
        yield from _services(rollout, blue_green, ("activeService", "previewService"), objects)
        return
    routing = canary.get("trafficRouting")
    if canary.get("dynamicStableScale") and "scaleDownDelaySeconds" in canary:
        yield "dynamicStableScale scales down what scaleDownDelaySeconds should keep"
    if routing or "canaryService" in canary or "stableService" in canary:
        yield from _services(rollout, canary, ("canaryService", "stableService"), objects)
    istio = (routing or {}).get("istio")
    if istio is None:
        if any("setMirrorRoute" in step for step in canary.get("steps", ())):
            yield "setMirrorRoute does nothing without Istio"
        yield from _ingresses(rollout, routing or {}, objects)
        yield from _plugin(rollout, (routing or {}).get("plugins", {}).get("argoproj-labs/gatewayAPI"), objects)
        return
    for reference in istio.get("virtualServices") or [istio.get("virtualService", {})]:
        yield from _routes(rollout, reference, objects)


def _ingresses(rollout: Object, routing: Object, objects: Sequence[Object]) -> Iterator[str]:
    # lint looks only at the Ingresses that name the Service, and says nothing when there is none.
    nginx, alb = routing.get("nginx"), routing.get("alb")
    for called in [*(nginx or {}).get("stableIngresses", ()), *([alb["ingress"]] if alb else ())]:
        ingress = _find(objects, "Ingress", called, rollout)
        if ingress is None:
            yield f"no Ingress is called {called!r}"
            continue
        stable = rollout["spec"]["strategy"]["canary"]["stableService"]
        paths = [path for rule in ingress["spec"].get("rules", ()) for path in rule["http"]["paths"]]
        for service in (path["backend"]["service"] for path in paths):
            if service["name"] != stable:
                yield f"Ingress {called} goes to {service['name']}, not to the stable Service"
            if alb and service["port"] != {"name": "use-annotation"}:
                yield f"Ingress {called} does not use the annotation that Argo writes"


def _plugin(rollout: Object, plugin: Object | None, objects: Sequence[Object]) -> Iterator[str]:
    if plugin is None:
        return
    canary = rollout["spec"]["strategy"]["canary"]
    services = {canary.get("canaryService"), canary.get("stableService")}
    if plugin.get("namespace") != rollout["metadata"].get("namespace"):
        yield "the plugin looks for routes in another namespace"
    for kind, key in (("HTTPRoute", "httpRoutes"), ("GRPCRoute", "grpcRoutes")):
        for named in plugin.get(key, ()):
            route = _find(objects, kind, named["name"], rollout)
            rules = route["spec"].get("rules", []) if route is not None else []
            if not any(services <= {ref["name"] for ref in rule.get("backendRefs", ())} for rule in rules):
                yield f"no rule of a {kind} called {named['name']!r} goes to the two Services"


def _services(rollout: Object, strategy: Object, fields: tuple[str, str], objects: Sequence[Object]) -> Iterator[str]:
    first, second = (strategy.get(field) for field in fields)
    if first == second:
        yield f"{fields[0]} and {fields[1]} are both {first!r}"
    for field in fields:
        if _find(objects, "Service", strategy.get(field), rollout) is None:
            yield f"{field}: no Service is called {strategy.get(field)!r}"


def _routes(rollout: Object, reference: Object, objects: Sequence[Object]) -> Iterator[str]:
    called = reference.get("name")
    virtual_service = _find(objects, "VirtualService", called, rollout)
    if virtual_service is None:
        yield f"no VirtualService is called {called!r}"
        return
    http = virtual_service["spec"].get("http", [])
    canary = rollout["spec"]["strategy"]["canary"]
    services = {canary.get("canaryService"), canary.get("stableService")}
    names = reference.get("routes") or [route.get("name") for route in http]
    for wanted in names:
        found = [route for route in http if route.get("name") == wanted]
        if len(found) != 1:
            yield f"VirtualService {called} has {len(found)} routes called {wanted!r}"
            continue
        hosts = [destination["destination"]["host"] for destination in found[0].get("route", ())]
        namespace = rollout["metadata"].get("namespace")
        if len(hosts) != 2 or {_service(host, namespace) for host in hosts} != services:
            yield f"route {wanted} of VirtualService {called} goes to {hosts}, not to the two Services"
            continue
        weights = [destination.get("weight", 0) for destination in found[0]["route"]]
        if sum(weights) != 100:
            yield f"route {wanted} of VirtualService {called}: the weights {weights} do not add up to 100"


def _service(host: str, namespace: str | None) -> str:
    """The Service of this namespace that a host names: `m`, `m.ns`, `m.ns.svc`, `m.ns.svc.cluster.local`."""
    short, _, rest = host.partition(".")
    if not rest:
        return short
    return short if rest in (f"{namespace}{end}" for end in ("", ".svc", ".svc.cluster.local")) else host


def _find(objects: Sequence[Object], kind: str, called: Any, rollout: Object) -> Object | None:
    identity = (kind, called, rollout["metadata"].get("namespace"))
    for each in objects:
        metadata = each.get("metadata", {})
        if (each.get("kind"), metadata.get("name"), metadata.get("namespace")) == identity:
            return each
    return None
