"""The hooks of a policy, called by the real process when the real routes lead back."""

from __future__ import annotations

from collections.abc import Callable

from judges.endpoint import serve
from world import reconciler
from world.acts import fail_in_the_first_stage, reconciling, went_back
from world.repository import CANARY
from world.story import Story


def test_hooks_are_told_once_every_request_goes_to_the_version_before(tell: Callable[..., Story]) -> None:
    with serve() as endpoint:
        at = f"http://127.0.0.1:{endpoint.port}"
        hooks = f'hooks: {{flushCache: {{url: "{at}/flush"}}, reprocess: {{url: "{at}/replay"}}}}'
        story = tell(f"{CANARY}\n      {hooks}", reconcile=", plainHosts: [127.0.0.1]")
        ledger = reconciler.of(story.repository)
        endpoint.statuses = [503, 202]
        endpoint.watch = lambda: story.serves(1)
        with reconciling(story):
            fail_in_the_first_stage(story, 2)
            went_back(story, ledger, to=1)
    (incident,) = ledger.incidents()
    assert sorted(each["hook"] for each in incident["told"] if each["accepted"]) == ["flushCache", "reprocess"]
    assert len(endpoint.requests) == 3, "the first one was tried again, and nothing is told twice"
    assert len({request.headers["Idempotency-Key"] for request in endpoint.requests}) == 1
    for request in endpoint.requests:
        assert request.seen, "the version that failed still answered"
        assert request.data["version"] == 2
        assert (request.data["from"], request.data["until"]) == tuple(incident["affected"].values())
