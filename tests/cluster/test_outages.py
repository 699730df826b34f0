"""What the reconciler asks goes away, comes back, or tells it old and half truths."""

from __future__ import annotations

from collections.abc import Callable

from judges import servers
from world import halves, proxy, reconciler
from world.acts import fail_in_the_first_stage, reconciling, went_back
from world.background import Restartable
from world.control_plane import another_api_server
from world.story import Story

Tell = Callable[..., Story]


def test_a_watch_that_is_cut_and_an_api_server_that_is_restarted(tell: Tell) -> None:
    story = tell()
    ledger = reconciler.of(story.repository)
    (port,) = servers.free_ports(1)
    log = story.folder / "another-api.log"
    with (
        Restartable(lambda: another_api_server(story.plane, port, log)) as api,
        proxy.serve(port) as line,
    ):
        config = story.folder / "kubeconfig"
        text = story.plane.kubeconfig().read_text()
        config.write_text(text.replace(story.plane.url, f"https://127.0.0.1:{line.port}"))
        with reconciling(story, config=config) as running:
            seen = "the Rollouts cannot be watched"
            line.turn("cut")
            story.until("the watch is cut", lambda: running.said().count(seen) > 0)
            api.stop()
            line.turn("pass")
            fail_in_the_first_stage(story, 2)  # the alert alone may move git meanwhile
            times = running.said().count(seen)
            story.until("the API server does not answer", lambda: running.said().count(seen) > times)
            api.start()
            story.steps.append(("the API server is back", 0))
            went_back(story, ledger, to=1)
            assert running.process.poll() is None
    assert len(ledger.rollbacks()) == 1
    assert ledger.rejected() == {2}


def test_an_event_that_is_lost_and_a_list_that_is_old(tell: Tell) -> None:
    """With Alertmanager down, too: nothing but the list of Rollouts tells of the failure."""
    story = tell(reconcile=', healthy: {nodes: "min(nodes_ready)"}')
    ledger = reconciler.of(story.repository)
    often = {f"mrc.reconcile.cluster:{name}_SECONDS": seconds for name, seconds in (("RELIST", 5), ("SERVER", 2))}
    with halves.serve(story.plane, story.folder) as teller:
        with reconciling(story, config=teller.config, settings=often):
            story.monitoring.servers["alertmanager"].stop()
            teller.losing = True
            story.mesh.nodes = 0  # nobody blames the version: it is tried again
            fail_in_the_first_stage(story, 2)
            story.until("its events are lost", lambda: teller.lost > 0)
            went_back(story, ledger, to=1)
            teller.losing = False
        assert ledger.rejected() == set()
        aborted = next(each for each in teller.lists if b'"abort":true' in each)  # later ones speak of another spec

        # The same version again, and it is fine. A new reconciler is told of the Rollout as it was then.
        story.mesh.nodes, story.mesh.behaviour(2).errors = 1, 0
        story.repository.promote(2)
        commits = ledger.commits()
        story.until("users meet version 2", lambda: 2 in story.mesh.shares)
        teller.old = aborted
        with reconciling(story, config=teller.config, settings=often) as running:
            story.until("it has decided on the old list", lambda: "which git has" in running.said())
            teller.old = None
            story.until("version 2 has all traffic", lambda: story.serves(2))
        assert ledger.commits() == commits, running.said()
        assert ledger.serving() == 2


def test_prometheus_and_alertmanager_go_down(tell: Tell) -> None:
    story = tell("canary: [{traffic: 50%, for: 10s}]", bake="10s", reconcile=", cooldown: 1s")
    ledger, monitoring = reconciler.of(story.repository), story.monitoring.servers
    with reconciling(story) as running:
        story.repository.promote(2)
        story.until("users meet version 2", lambda: 2 in story.mesh.shares)
        monitoring["prometheus"].stop()
        story.until("Argo aborted", lambda: story.aborted() or ledger.rollbacks())
        story.until("mrc pushed the way back", lambda: ledger.serving() == 1)
        assert ledger.rejected() == set(), "nobody could judge it"
        story.until("the Rollout is healthy on version 1", lambda: story.healthy(1) and story.serves(1))
        assert ledger.outcomes() == ["open"], "nobody can tell whether it is healthy"
        monitoring["prometheus"].start()
        story.until("the incident is closed", lambda: ledger.outcomes() == ["recovered"])

        story.repository.promote(2)
        story.until("version 2 is promoted", lambda: story.healthy(2) and story.serves(2))
        monitoring["alertmanager"].stop()
        story.mesh.behaviour(2).errors = 0.5
        story.until("nobody tells of the alert", lambda: "Alertmanager cannot be asked" in running.said())
        monitoring["alertmanager"].start()
        went_back(story, ledger, to=1)
    assert ledger.rejected() == {2}
