"""The story: two promotions that go wrong, and what people find afterwards.

Nothing of what mrc says is written here: the commands, the decisions, the commits and the records are its own.
"""

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mrc.demo.cluster import Cluster
from mrc.demo.team import ENVIRONMENT, MODEL, Team
from mrc.demo.voice import Voice
from mrc.reconcile import signals
from mrc.reconcile.git import Git
from mrc.reconcile.ledger import Identity, Ledger
from mrc.reconcile.reconciler import Reconciler, Seen
from mrc.reconcile.telemetry import Telemetry

LENGTH = timedelta(hours=8)
"""How long the story lasts on its own clock."""
POLICY = f"policies/{MODEL}/policy.yaml"
SERVE = "serve: {{version: {}, fallback: {}}} # a promotion"


class Story:
    """One run of it, in a folder of its own."""

    def __init__(self, folder: Path, voice: Voice) -> None:
        # It ends now, so that what people type at the end comes after what happened.
        self.now = datetime.now(UTC).replace(microsecond=0) - LENGTH
        self.voice = voice
        self.team = Team(folder, self._clock)
        self.cluster = Cluster(ENVIRONMENT)
        self._log = io.StringIO()
        identity = Identity("mrc", "mrc@example.com")
        self._ledger = Ledger(Git(folder / "reconciler.git"), str(self.team.remote), "main", identity)
        self._reconciler = Reconciler(self._ledger, ENVIRONMENT, self.cluster, Telemetry(self._log), self._clock)

    def _clock(self) -> datetime:
        return self.now

    # What moves the world.

    def _pass(self, **length: float) -> None:
        self.now += timedelta(**length)
        self.cluster.advance(self.now)

    def _sync(self) -> None:
        """What Argo CD or Flux would do: apply what main says."""
        self.cluster.sync(self._ledger.tree(self._ledger.fetch()), self.now)
        self.cluster.advance(self.now)

    def _reconcile(self) -> list[dict[str, Any]]:
        """One pass of the reconciler over what the cluster says. What it logs."""
        seen = Seen()
        for rollout in self.cluster.objects():
            running = signals.running(rollout, ENVIRONMENT)
            assert running is not None
            seen.running[running.model] = running
            failure = signals.aborted(rollout, self.cluster.runs(), ENVIRONMENT)
            seen.failures += [failure] if failure is not None else []
        seen.failures += signals.alerts(self.cluster.alerts(), ENVIRONMENT)
        begin = self._log.tell()
        self._reconciler.step(seen)
        self.team.git("pull", "-q", "--ff-only", "origin", "main")
        return [json.loads(line) for line in self._log.getvalue()[begin:].splitlines()]

    # The story.

    def tell(self) -> None:
        """All of it."""
        self._begin()
        self._bad_in_the_rollout(3)
        self._bad_after_the_promotion(4)
        self._refused(4)
        self._end()

    def _begin(self) -> None:
        self.voice.say("One model, two bad versions, no cluster.", "bold")
        self.voice.say(
            "Real: the repository and its remote, every command, what the reconciler decides and pushes. Played: the "
            f"cluster, its Prometheus, and the clock, which begins at {self.now:%H:%M} UTC and ends now."
        )
        self.voice.chapter("Version 2 serves")
        self._mrc("render")
        self._publish(f"Serve {MODEL} 2")
        self._sync()
        self._reconciler.start()
        self._mrc("status", "-e", ENVIRONMENT)

    def _bad_in_the_rollout(self, version: int) -> None:
        self._pass(minutes=15)
        self.voice.chapter(f"Version {version} is promoted: one changed line")
        self._mrc("promote", MODEL, str(version), "-e", ENVIRONMENT)
        self.voice.command("git diff policies", _lines(self.team.git("diff", "-U0", "--", POLICY)))
        self._mrc("check")
        self._mrc("render")
        self._publish(f"Promote {MODEL} {version} in {ENVIRONMENT}")
        self.voice.chapter("It meets users in stages, watched by its guardrails")
        self._sync()
        self._traffic()
        self._stage()
        self._pass(minutes=6)
        self.cluster.bad[MODEL, version, "errors"] = ("7%", "1%")
        self.voice.at(self.now, f"7 % of what version {version} answers are errors; its guardrail allows 1 %", "bad")
        self._pass(seconds=45)
        rollout = self.cluster.rollouts[MODEL]
        assert rollout.run is not None
        self.voice.at(self.now, f"the analysis says {rollout.run['status']['message']}")
        self.voice.traffic(self.now, 2, 100, "Argo has aborted: all traffic is back, at once")
        self.voice.at(self.now, f"but git still names version {version}, and the next edit would start it again")
        self.voice.chapter("The reconciler follows in git")
        self._revert()
        self.voice.command("git log -1", self.team.git("log", "-1", "--format=%B"))
        self._changed()
        self._recover()

    def _bad_after_the_promotion(self, version: int) -> None:
        self._pass(minutes=70)
        self.voice.chapter(f"Version {version} does better, at first")
        self._mrc("promote", MODEL, str(version), "-e", ENVIRONMENT)
        self._mrc("render")
        self._publish(f"Promote {MODEL} {version} in {ENVIRONMENT}")
        self._sync()
        self._traffic()
        while not self.cluster.rollouts[MODEL].promoted:
            self._stage()
        self._pass(minutes=50)
        self.cluster.bad[MODEL, version, "latency"] = ("410ms", "250ms")
        self._pass(seconds=45)
        (alert,) = self.cluster.alerts()
        self.voice.at(self.now, f"Alertmanager: {alert['annotations']['summary']}", "bad")
        self.voice.chapter("Now going back moves traffic, so every gate must allow it; twice in a day is a hold")
        self._revert()
        message, _, _ = self.team.git("log", "-1", "--format=%B").partition("\n\nMrc-")
        self.voice.command("git log -1", f"{message}\n...")
        self._changed()
        self._recover()

    def _refused(self, version: int) -> None:
        self._pass(minutes=20)
        self.voice.chapter(f"Somebody wants version {version} back")
        self._mrc("promote", MODEL, str(version), "-e", ENVIRONMENT)
        self.team.edit(POLICY, SERVE.format(2, 1), SERVE.format(version, 2))
        self.voice.say("and then edits the line by hand, in a pull request:")
        self._mrc("check")
        self.team.git("checkout", "-q", "--", POLICY)

    def _end(self) -> None:
        self.now = datetime.now(UTC).replace(microsecond=0)
        self.voice.chapter("A person has understood it, and ends the hold")
        self._mrc("clear", MODEL, "-e", ENVIRONMENT, "--reason", "version 5 has the tokenizer fixed")
        self._mrc("render")
        self._publish(f"End the hold on {MODEL} in {ENVIRONMENT}")
        self._sync()
        self.voice.chapter("What everybody can read afterwards")
        self._mrc("history", MODEL, "-e", ENVIRONMENT)
        self.voice.command("git log --oneline", self.team.git("log", "--format=%h %an: %s"))
        self._mrc("status", "-e", ENVIRONMENT)

    # Its parts.

    def _mrc(self, *arguments: str) -> None:
        typed = " ".join(f"'{part}'" if " " in part else part for part in arguments)
        self.voice.command(f"mrc {typed}", self.team.mrc(*arguments))

    def _publish(self, message: str) -> None:
        self.team.publish(message)
        self.voice.command(f"git commit -a -m '{message}' && git push")

    def _traffic(self, text: str = "") -> None:
        rollout = self.cluster.rollouts[MODEL]
        if rollout.promoted:
            text = text or "promoted; the version before it stays warm"
        elif rollout.weight == 100:
            text = text or "the bake: Argo can still abort"
        self.voice.traffic(self.now, rollout.version, 100 if rollout.promoted else rollout.weight, text)

    def _stage(self) -> None:
        """Let the pause of a stage run out, or a person end it."""
        left = self.cluster.left(MODEL, self.now)
        if left is None:
            self._pass(minutes=20)
            self.cluster.approve(MODEL, self.now)
            self.cluster.advance(self.now)
            self._traffic("approved")
        else:
            self._pass(seconds=left.total_seconds())
            self._traffic("waits for an approval" if self.cluster.rollouts[MODEL].waiting else "")

    def _revert(self) -> None:
        self._pass(seconds=1)
        for line in self._reconcile():
            if line["message"] == "pushed":
                self.voice.at(self.now, f"decided; committed and pushed in {line['seconds']:.2f} s", "good")

    def _changed(self) -> None:
        """The files of the newest commit, and the line of the policy."""
        files = self.team.git("diff", "--name-only", "HEAD^").splitlines()
        rendered = [name for name in files if name.startswith("rendered/")]
        shown = [name for name in files if name not in rendered]
        text = "\n".join([*shown, f"rendered/{ENVIRONMENT}/{MODEL}/... ({len(rendered)} files)"])
        self.voice.command("git diff HEAD^ --name-only", text)
        self.voice.command("git diff HEAD^ policies", _lines(self.team.git("diff", "-U0", "HEAD^", "--", POLICY)))

    def _recover(self) -> None:
        self._pass(seconds=20)
        self._sync()
        self._traffic("synced: its pods still run, so no stages")
        for line in self._reconcile():
            if line["message"] == "incident closed":
                self.voice.at(self.now, f"the incident is closed: {line['saw']}", "good")


def _lines(diff: str) -> str:
    """The changed lines of a diff without context."""
    return "\n".join(f"{line[0]} {line[1:].strip()}" for line in diff.split("@@\n", 1)[-1].splitlines()
                     if line[:1] in ("+", "-") and line[:3] not in ("+++", "---"))  # fmt: skip


def tell(folder: Path, voice: Voice) -> None:
    """Play the story in a folder."""
    Story(folder, voice).tell()
