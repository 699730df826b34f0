"""Sessions that are pinned to a version, while the real Argo controller moves everything else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from world import repository
from world.story import Story

STRATEGY = f"{repository.CANARY}\n      sessions: {{lifetime: 14m}}"
COOKIE = "mrc-greeter=2; Max-Age=840; Path=/; HttpOnly; SameSite=Lax"

REJECTED = """
apiVersion: mrc.dev/v1alpha1
kind: Verdict
metadata: {name: greeter, version: 2}
spec: {rejected: {test: {by: ana@example.com, at: 2026-10-04T09:12:00Z, reason: answers with errors}}}
"""


def routes(story: Story) -> dict[str, Any]:
    """The routes of the VirtualService as they are now, by name."""
    path = f"/apis/networking.istio.io/v1/namespaces/{story.namespace}/virtualservices/greeter"
    return {route["name"]: route for route in (story.plane.get(path) or {"spec": {"http": []}})["spec"]["http"]}


def weights(story: Story) -> dict[str, int]:
    """The weights of the route that new sessions take."""
    return {each["destination"]["host"]: each.get("weight", 0) for each in routes(story)["http"]["route"]}


def behind(story: Story, version: int) -> set[int]:
    """The versions of the pods that the Service of a version selects."""
    core = f"/api/v1/namespaces/{story.namespace}"
    service = story.plane.get(f"{core}/services/greeter-v{version}")
    assert service is not None
    wanted = service["spec"]["selector"].items()
    labels = [pod["metadata"]["labels"] for pod in story.plane.items(f"{core}/pods")]
    return {int(each["mrc.dev/version"]) for each in labels if wanted <= each.items()}


def test_pins_survive_what_argo_moves_and_end_with_the_verdict(tell: Callable[..., Story]) -> None:
    story = tell(STRATEGY)
    story.repository.promote(2)
    story.until("Argo took the first step", lambda: weights(story) == {"greeter-stable": 80, "greeter-canary": 20})
    canary = routes(story)["http"]["route"][1]
    assert canary["headers"]["response"]["add"] == {"Set-Cookie": COOKIE}, "Argo took the cookie away"
    pinned = {name: route for name, route in routes(story).items() if name.startswith("pinned")}
    assert list(pinned) == ["pinned-v1", "pinned-v2"]

    story.mesh.behaviour(2).errors = 0.5
    story.until("Argo aborted", story.aborted)
    story.until("new sessions meet version 1 alone", lambda: weights(story)["greeter-canary"] == 0)
    assert {name: routes(story)[name] for name in pinned} == pinned, "an abort is not what ends a session"
    assert behind(story, 2) == {2}, "the pods of a session are gone before it"

    story.repository.pull()
    file = story.repository.tree / "policies/greeter/verdicts/2.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(REJECTED)
    story.repository.edit("policies/greeter/policy.yaml", "serve: {version: 2, fallback: 1}", "serve: {version: 1}")
    story.repository.publish("Reject version 2")
    story.until("the pins of the rejected version are gone", lambda: "pinned-v2" not in routes(story))
    story.until("the Rollout is healthy on version 1", lambda: story.healthy(1))
