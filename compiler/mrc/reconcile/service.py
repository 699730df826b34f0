"""The loop around a reconciler: what is watched wakes it, what fails is told and tried again."""

import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from mrc.reconcile.branch import RefusedError
from mrc.reconcile.cluster import Api, ClusterError, Rollouts
from mrc.reconcile.credentials import CredentialsError, Token
from mrc.reconcile.failure import Failure
from mrc.reconcile.forges import Forge, ForgeError, forge
from mrc.reconcile.git import GitError
from mrc.reconcile.githubapp import AppToken
from mrc.reconcile.hooks import Caller
from mrc.reconcile.ledger import Ledger
from mrc.reconcile.monitoring import Monitoring, MonitoringError
from mrc.reconcile.proposals import Proposals
from mrc.reconcile.reconciler import Reconciler, Seen
from mrc.reconcile.rights import needs, refused
from mrc.reconcile.signals import Object, aborted, alerts, own, running
from mrc.reconcile.sync import Syncer
from mrc.reconcile.telemetry import Telemetry
from mrc.schema import Environment
from mrc.schema.reconcile import Forge as Settings
from mrc.schema.reconcile import Reconcile

PATIENCE_SECONDS = 120.0
"""How long the loop may take for one round before /healthz says that it is stuck."""

UNREAD_SECONDS = 30.0
"""How long AnalysisRuns and events of an aborted Rollout are asked for before git follows without them."""


class Service:
    """One environment's reconciler, with everything that it asks."""

    def __init__(
        self,
        ledger: Ledger,
        environment: str,
        api: Api,
        telemetry: Telemetry,
        clock: Callable[[], datetime],
        every: float,
        argocd_token: Path | None = None,
        hook_secrets: Path | None = None,
        token: Token | None = None,
    ) -> None:
        self._argocd_token, self._hook_secrets = argocd_token, hook_secrets
        self._token = token
        self._ledger, self._name, self._api = ledger, environment, api
        self._telemetry, self._clock, self._every = telemetry, clock, every
        self._beat: float | None = None
        self._unread: dict[str, float] = {}
        self._others: set[str] = set()

    def problem(self, now: float) -> str | None:
        """What is wrong with the process itself; a remote that does not answer is not."""
        if self._beat is None:
            return None  # it waits for the Lease, or has just begun
        silent = now - self._beat
        return f"the loop has not come round for {silent:.0f} s" if silent > PATIENCE_SECONDS else None

    def _alive(self) -> None:
        """It goes on. What is done a thousand times in one round says so each time."""
        self._beat = time.monotonic()

    def run(self, stop: threading.Event) -> None:
        """Until `stop`. Raises GitError, ForgeError, CredentialsError and RefusedError when it cannot even begin."""
        reconciler, environment = self._begin()
        spec = environment.spec
        monitoring = Monitoring(spec.prometheus.address, spec.reconcile.alertmanager)
        reconciler.monitoring = monitoring
        reconciler.hook = Caller(self._clock, spec.reconcile.plain_hosts, self._hook_secrets)
        if spec.reconcile.sync is not None:
            syncer = Syncer(self._api, spec.reconcile.sync, self._argocd_token, self._telemetry)
            reconciler.pushed = lambda commit: syncer(commit, self._clock())
        rollouts = Rollouts(self._api, spec.namespace, self._name, self._telemetry.log)
        threading.Thread(target=rollouts.follow, args=(stop,), daemon=True).start()
        self._telemetry.log("watching", environment=self._name, namespace=spec.namespace, mode=spec.reconcile.mode)
        failures = 0
        try:
            while not stop.is_set():
                self._alive()
                rollouts.changed.wait(self._every)
                rollouts.changed.clear()
                if stop.is_set() or rollouts.listed is None:
                    continue
                try:
                    seen, complete = self._look(rollouts, monitoring)
                    reconciler.step(seen)
                    if complete:
                        self._telemetry.set("mrc_reconciler_last_success_timestamp_seconds", self._clock().timestamp())
                    failures = 0
                except RefusedError as fault:
                    failures += 1
                    self._telemetry.count("mrc_reconciler_errors_total", what="tree")
                    self._telemetry.log("the tree is refused: nothing is decided on", level="error", error=str(fault))
                    stop.wait(min(30, 2**failures / 4))
                except (GitError, ForgeError, CredentialsError) as fault:
                    failures += 1
                    if isinstance(self._token, AppToken):
                        self._token.forget()
                    what = "forge" if isinstance(fault, ForgeError) else "git"
                    self._telemetry.count("mrc_reconciler_errors_total", what=what)
                    said = "the forge" if what == "forge" else "git"
                    self._telemetry.log(f"{said} could not be asked or written to", level="error", error=str(fault))
                    stop.wait(min(30, 2**failures / 4))
        finally:
            monitoring.close()

    def _begin(self) -> tuple[Reconciler, Environment]:
        """The rights that will be needed are proved before anything fails."""
        unknown = Monitoring("http://127.0.0.1:9", None)
        reconciler = Reconciler(
            self._ledger, self._name, unknown, self._telemetry, self._clock, proposing=self._proposals
        )
        environment = reconciler.start()
        self._may_read(environment)
        settings = environment.spec.reconcile
        if settings.mode != "observe":
            asked = self._ledger.may_push()
            if asked.state != "done":
                raise RefusedError(f"the remote would not let mrc push: {asked.text}")
            self._can_sign(settings)
        if settings.mode == "commit":
            self._would_take()
        if settings.mode == "commit" and settings.forge is not None and self._token is not None:
            self._taken(self._forge(settings.forge, self._token))
        return reconciler, environment

    def _may_read(self, environment: Environment) -> None:
        """Raises RefusedError when the API server would not let it see what it decides on."""
        namespace = environment.spec.namespace
        try:
            missing = refused(self._api, needs(namespace, environment.spec.reconcile.sync))
        except ClusterError as fault:
            self._telemetry.log("the API server cannot be asked for its rights", level="warning", error=str(fault))
            return
        if missing:
            raise RefusedError(f"the API server would not let mrc {'; '.join(missing)}")

    def _can_sign(self, settings: Reconcile) -> None:
        """Raises RefusedError when it is to sign its commits, and cannot."""
        try:
            self._ledger.probe(self._clock())
        except GitError as fault:
            raise RefusedError(f"mrc cannot make a commit, or not sign it: {fault}") from None
        if settings.mode == "pullRequest" and self._ledger.identity.signing_key is None:
            said = f"commits are not signed: who may push to mrc/{self._name}/** can have mrc ask for a rollback"
            self._telemetry.log(f"{said} that it did not decide on; --signing-key ends that", level="warning")

    def _would_take(self) -> None:
        """Raises RefusedError when a hook or a rule of the remote would not take what mrc pushes to the branch."""
        asked = self._ledger.would_take(self._clock())
        if asked.state == "refused":
            said = f"the remote would not let mrc push to {self._ledger.branch}: {asked.text}"
            raise RefusedError(f"{said}. Let it, or write mode: pullRequest")
        if asked.state != "done":
            said = f"the remote does not say whether it takes pushes to {self._ledger.branch}"
            self._telemetry.log(said, level="warning", said=asked.text)

    def _taken(self, asked: Forge) -> None:
        """Raises RefusedError when the branch's rules would not take a push; a forge that does not say is no proof."""
        try:
            takes = asked.takes()
        except ForgeError as fault:
            self._telemetry.log("the forge does not say who may push", level="warning", error=str(fault))
            return
        if not takes:
            said = f"the rules of {self._ledger.branch} would not let mrc push: let it go round them, or"
            raise RefusedError(f"{said} write mode: pullRequest")

    def _forge(self, settings: Settings, token: Token) -> Forge:
        """Raises RefusedError where the token is none for that forge."""
        if isinstance(token, AppToken):
            there = settings.github.api if settings.github is not None else "no GitHub"
            if there.rstrip("/") != token.app.api.rstrip("/"):
                raise RefusedError(f"the App's tokens are for {token.app.api}, and the forge is {there}")
        return forge(settings, self._ledger.branch, token)

    def _proposals(self, settings: Reconcile) -> Proposals:
        """Pull requests, once the forge says that they may be made. Raises RefusedError, ForgeError."""
        assert settings.forge is not None
        if self._token is None:
            raise RefusedError("the mode pullRequest needs a token for the forge: --token-file, or a GitHub App")
        asked = self._forge(settings.forge, self._token)
        asked.prove()
        return Proposals(self._ledger, asked, self._name, self._telemetry, self._alive)

    def _look(self, rollouts: Rollouts, monitoring: Monitoring) -> tuple[Seen, bool]:
        """What is the case, and whether all who were asked have answered."""
        seen, complete = Seen(), not rollouts.silent()
        table = rollouts.all()
        self._telemetry.set("mrc_reconciler_rollouts", len(table))
        mine, others = own(table, self._name)
        for name in set(others) - self._others:
            said = "another Rollout has the labels of a model: nothing is done about it"
            self._telemetry.log(said, level="warning", rollout=name)
        self._others = set(others)
        for rollout in mine:
            found = running(rollout, self._name)
            assert found is not None
            seen.running[found.model] = found
            if found.phase == "aborted" and (failure := self._aborted(rollouts, rollout)) is not None:
                seen.failures.append(failure)
        try:
            seen.failures += alerts(monitoring.alerts(self._name), self._name)
        except MonitoringError as fault:
            self._telemetry.count("mrc_reconciler_errors_total", what="alertmanager")
            self._telemetry.log("Alertmanager cannot be asked", level="warning", error=str(fault))
            complete = False
        return seen, complete

    def _aborted(self, rollouts: Rollouts, rollout: Object) -> Failure | None:
        uid = str(rollout["metadata"].get("uid"))
        self._alive()
        try:
            found = aborted(rollout, rollouts.runs(rollout), self._name)
            if found is not None and found.kind == "abort":
                found = aborted(rollout, (), self._name, rollouts.events(rollout))
        except ClusterError as fault:
            self._telemetry.count("mrc_reconciler_errors_total", what="kubernetes")
            said = "what aborted a Rollout cannot be read"
            self._telemetry.log(said, level="warning", rollout=rollout["metadata"].get("name"), error=str(fault))
            since = self._unread.setdefault(uid, time.monotonic())
            # Git must follow all the same. Without it nobody can blame the version, so they have some time.
            return aborted(rollout, (), self._name) if time.monotonic() - since > UNREAD_SECONDS else None
        self._unread.pop(uid, None)
        return found
