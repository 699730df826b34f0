"""From a failure to a pushed revert, on real git: what people find in the repository afterwards."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import mrc
from judges import servers
from mrc.fetch import Manifest, parse_manifest
from mrc.reconcile import signals, verify
from mrc.reconcile.git import GitError
from mrc.reconcile.ledger import Pushed
from reconciling import MODEL, Team, alert, begin, git, rollout, run, seen, team
from test_hostile import calm, forked

POLICY = f"policies/{MODEL}/policy.yaml"


def test_an_aborted_rollout_is_followed_by_one_commit(tmp_path: Path) -> None:
    world = begin(tmp_path / "state", team(tmp_path))
    before = world.team.show(POLICY)
    world.reconciler.step(seen([rollout()], [run()]))

    assert world.team.log()[:2] == ["Roll sentiment back to 12 in production", "Promote sentiment 13"]
    after = world.team.show(POLICY)
    changed = [pair for pair in zip(before.splitlines(), after.splitlines(), strict=True) if pair[0] != pair[1]]
    assert changed == [
        (
            "      serve: {version: 13, fallback: 12} # a promotion or a rollback is this line",
            "      serve: {version: 12, fallback: 11} # a promotion or a rollback is this line",
        )
    ]
    files = git("diff", "--name-only", "main^", "main", cwd=world.team.remote).splitlines()
    assert [path for path in files if not path.startswith("rendered/")] == [
        "incidents/production/sentiment/20261120-090000-" + files[0][-13:-5] + ".yaml",
        POLICY,
        "policies/sentiment/verdicts/13.yaml",
    ]
    # What a reader of the repository finds is whole: it checks, and it is what mrc renders.
    world.team.pull()
    done = mrc("render", "--check", cwd=world.team.tree)
    assert "MRC402" not in done.stderr, done.stderr

    # Seen again, by this process or another one, it is the same incident.
    world.reconciler.step(seen([rollout()], [run()]))
    again = begin(tmp_path / "other", world.team)
    again.reconciler.step(seen([rollout()], [run()]))
    assert len(world.team.log()) == 2


def test_the_incident_is_closed_when_the_target_serves(tmp_path: Path) -> None:
    world = begin(tmp_path / "state", team(tmp_path))
    world.reconciler.step(seen([rollout()], [run()]))
    world.clock.pass_(seconds=5)
    world.reconciler.step(seen([rollout(version=12, phase="progressing")]))
    assert len(world.team.log()) == 2
    world.clock.pass_(seconds=5)
    world.reconciler.step(seen([rollout(version=12, phase="stable")]))
    assert world.team.log()[0] == "Close the incident of sentiment in production: recovered"
    (path,) = world.team.files("incidents")
    record = world.team.show(path)
    for line in ('synced: "2026-11-20T09:00:05Z"', 'routed: "2026-11-20T09:00:10Z"', "state: recovered"):
        assert line in record, record


def test_an_alert_after_the_promotion_brings_the_fallback_back(tmp_path: Path) -> None:
    world = begin(tmp_path / "state", team(tmp_path))
    failures = signals.alerts([alert()], "production")
    world.reconciler.step(seen([rollout(phase="stable")], more=failures))
    assert world.team.log()[0] == "Roll sentiment back to 12 in production"


def test_somebody_elses_push_is_kept_and_decided_on_again(tmp_path: Path) -> None:
    world = begin(tmp_path / "state", team(tmp_path))
    push = world.reconciler.ledger.push

    def late(commit: str) -> object:
        world.reconciler.ledger.push = push  # type: ignore[method-assign]
        (world.team.tree / "README.md").write_text("hello\n")
        world.team.publish("Say hello")
        return push(commit)

    world.reconciler.ledger.push = late  # type: ignore[method-assign,assignment]
    world.reconciler.step(seen([rollout()], [run()]))
    assert world.team.log()[:2] == ["Roll sentiment back to 12 in production", "Say hello"]


def test_a_hold_is_cleared_and_a_version_rolled_back_by_hand(tmp_path: Path) -> None:
    tree = team(tmp_path).tree
    held = mrc("hold", MODEL, "-e", "production", "--reason", "the big day", cwd=tree)
    assert held.returncode == 0, held.stderr
    refused = mrc("promote", MODEL, "11", "-e", "production", cwd=tree)
    assert refused.returncode == 2
    assert "the big day" in refused.stderr
    assert "since" in mrc("status", "-e", "production", cwd=tree).stdout
    for command, said in {
        ("hold", "--all"): "production is held",
        ("clear", "--all"): f"still held, each by its own: {MODEL}",
        ("clear", MODEL): f"{MODEL} is not held any more",
    }.items():
        done = mrc(*command, "-e", "production", "--reason", "over", cwd=tree)
        assert done.returncode == 0, done.stderr
        assert said in done.stdout
    back = mrc("rollback", MODEL, "-e", "production", "--reason", "wrong answers", cwd=tree)
    assert back.returncode == 0, back.stderr
    assert "Mrc-To: 12" in back.stdout
    assert "MRC402" not in mrc("render", "--check", cwd=tree).stderr
    assert "production  rollback 13 -> 12, rejected" in mrc("history", MODEL, cwd=tree).stdout
    told = mrc("history", MODEL, "-e", "production", cwd=tree).stdout
    assert "  rollback 13 -> 12, rejected" in told
    assert re.search(r"times  onset 20\S+Z, detected after 0s, decided after 0s\n", told)


def test_at_three_in_the_morning_a_slip_of_the_pen_is_said(tmp_path: Path) -> None:
    """An empty table would say that nothing is wrong."""
    tree = team(tmp_path).tree
    assert f"{MODEL} " in forked("status", "-e", "production", cwd=tree).stdout
    for command, said in {
        ("status", "-e", "prod"): "there is no environment prod; did you mean production?",
        ("history", MODEL, "-e", "prod"): "there is no environment prod; did you mean production?",
        ("history", "sentimant"): "there is no model sentimant; did you mean sentiment?",
        ("rollback", "sentimant", "-e", "production", "--reason", "x"): "did you mean sentiment?",
        ("rollback", MODEL, "-e", "prod", "--reason", "x"): "did you mean production?",
        ("rollback", MODEL, "-e", "production", "--to", "99", "--reason", "x"): "stays: version 99 does not exist",
        ("promote", "sentimant", "13", "-e", "production"): "did you mean sentiment?",
        ("hold", "sentimant", "-e", "production", "--reason", "x"): "did you mean sentiment?",
        ("hold", "--all", "-e", "prod", "--reason", "x"): "there is no environment prod",
        ("clear", "sentimant", "-e", "production", "--reason", "x"): "did you mean sentiment?",
    }.items():
        assert said in calm(forked(*command, cwd=tree), 2)
    (tree / f"policies/{MODEL}/policy.yaml").write_text("spec: [\n")
    assert f"policies/{MODEL}/policy.yaml cannot be read: see mrc check" in calm(forked("status", cwd=tree), 1)
    for path in ("environments/staging.yaml", "holds/production/_all.yaml", f"incidents/production/{MODEL}/x.yaml"):
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text("spec: [\n")
    said = calm(forked("status", cwd=tree), 1)
    assert "environments/staging.yaml cannot be read" in said
    assert "holds/production/_all.yaml cannot be read" in said
    assert "staging.yaml" not in calm(forked("status", "-e", "production", cwd=tree), 1)
    assert f"{MODEL}/x.yaml cannot be read" in calm(forked("history", MODEL, "-e", "production", cwd=tree), 1)


@pytest.mark.parametrize("answer", ['{"items": 3}', "[]", '{"items": [{}], "metadata": {}}', "no JSON", "[" * 9999])
def test_a_cluster_that_is_none_is_said(tmp_path: Path, answer: str) -> None:
    class Answers(servers.Quiet):
        def do_GET(self) -> None:  # noqa: N802
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer.encode())

    with servers.answering(Answers) as port:
        cluster = {"name": "it", "cluster": {"server": f"http://127.0.0.1:{port}"}}
        context = {"name": "it", "context": {"cluster": "it", "user": ""}}
        known = {"current-context": "it", "clusters": [cluster], "contexts": [context], "users": []}
        (tmp_path / "kubeconfig").write_text(json.dumps(known))
        asked = forked("status", "-e", "production", "--kubeconfig", "../kubeconfig", cwd=team(tmp_path).tree)
    assert "the cluster does not say in which stage the rollouts are" in calm(asked, 2)


def test_a_page_stands_until_somebody_had_the_time_to_see_it(tmp_path: Path) -> None:
    world = begin(tmp_path / "state", team(tmp_path))
    world.monitored.unhealthy, world.monitored.deaf = ("nodes is 0",), True
    world.reconciler.step(seen(more=signals.alerts([alert()], "production")))
    assert world.team.log()[0] == "Record that sentiment in production needs a person"
    assert world.monitored.pages == []

    world.monitored.deaf = False
    world.reconciler.step(seen())
    (page,) = world.monitored.pages
    assert page["labels"]["alertname"] == "MrcNeedsAPerson"
    world.reconciler.step(seen())
    assert len(world.monitored.pages) == 1, "told twice in the same minute"
    world.clock.pass_(minutes=1)
    world.reconciler.step(seen())
    assert len(world.monitored.pages) == 2, "an Alertmanager that was restarted would have forgotten it"

    # So would a reconciler.
    again = begin(tmp_path / "other", world.team, world.clock)
    again.reconciler.step(seen())
    assert again.monitored.pages == [page]
    world.clock.pass_(hours=4)
    world.reconciler.step(seen())
    assert len(world.monitored.pages) == 2


def test_a_clock_that_is_put_back_does_not_keep_people_waiting(tmp_path: Path) -> None:
    world = begin(tmp_path / "state", team(tmp_path))
    world.monitored.unhealthy = ("nodes is 0",)
    world.reconciler.step(seen(more=signals.alerts([alert()], "production")))
    world.clock.pass_(hours=3)
    world.reconciler.step(seen())
    assert len(world.monitored.pages) == 2
    world.clock.pass_(hours=-3)
    world.reconciler.step(seen())
    assert len(world.monitored.pages) == 3


def test_what_fails_for_weeks_does_not_keep_the_repository_from_being_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = begin(tmp_path / "state", team(tmp_path))
    packed: list[float] = []
    monkeypatch.setattr(world.reconciler.ledger, "tidy", lambda: packed.append(0))
    monkeypatch.setattr("mrc.reconcile.reconciler.RECHECK_SECONDS", 0.0)
    other = signals.alerts([alert(version=9)], "production")  # of a version that does not serve
    for _ in range(3):
        world.reconciler.step(seen(more=other))
    assert packed


def test_a_hold_that_cannot_be_read_may_be_one(tmp_path: Path) -> None:
    """Somebody wrote it by hand, at night, in haste: what they mean is that nothing moves."""
    world = begin(tmp_path / "state", team(tmp_path))
    path = world.team.tree / f"holds/production/{MODEL}.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("serve: 13\n")
    world.team.push("Hold sentiment")
    world.reconciler.step(seen([rollout(phase="stable")], more=signals.alerts([alert()], "production")))
    (record,) = world.team.files("incidents")
    spec = yaml.safe_load(world.team.show(record))["spec"]
    assert [each["saw"] for each in spec["reasons"] if not each["passed"]] == [
        f"holds/production/{MODEL}.yaml cannot be read: nobody can tell whether it is held"
    ]


def test_a_hold_on_everything_holds_what_cannot_be_read_at_that_moment(tmp_path: Path) -> None:
    """Whoever repairs the policy would move the model that night."""
    tree = team(tmp_path).tree
    file = tree / f"policies/{MODEL}/policy.yaml"
    text = file.read_text()
    file.write_text("spec: [\n")
    done = mrc("hold", "--all", "-e", "production", "--reason", "the big day", cwd=tree)
    assert done.returncode == 0, done.stderr
    file.write_text(text.replace("version: 13, fallback: 12", "version: 11, fallback: 10"))
    hold = yaml.safe_load((tree / "holds/production/_all.yaml").read_text())
    assert hold["spec"]["models"][MODEL] == {"version": 13}
    assert re.search(rf"production +{MODEL} +13 ", mrc("status", "-e", "production", cwd=tree).stdout)


@pytest.mark.parametrize("kind", ["abort", "alert"])
def test_who_takes_a_rollback_back_is_told_what_they_have_and_not_fought_with(tmp_path: Path, kind: str) -> None:
    """They revert it whole, with its record, while what failed is still the case."""
    world = begin(tmp_path / "state", team(tmp_path))
    failed = seen([rollout()], [run()])
    if kind == "alert":
        failed = seen([rollout(phase="stable")], more=signals.alerts([alert()], "production"))
    world.reconciler.step(failed)
    world.team.pull()
    git("revert", "--no-edit", "HEAD", cwd=world.team.tree)
    git("push", "-q", "origin", "main", cwd=world.team.tree)
    for _ in range(3):
        world.clock.pass_(minutes=1)
        world.reconciler._quiet.clear()
        world.reconciler.step(failed)
    assert world.team.log()[:2] == [
        "Record that sentiment in production needs a person", 'Revert "Roll sentiment back to 12 in production"'
    ]  # fmt: skip
    assert "version: 13" in world.team.show(POLICY)
    page = world.monitored.pages[-1]["annotations"]["description"]
    assert "somebody has taken what was done about it out of git again, and git names version 13" in page


@pytest.mark.parametrize("whole", [False, True])
def test_who_held_a_model_goes_on_holding_it(tmp_path: Path, whole: bool) -> None:
    """An abort is followed all the same. Who looks later must find who held it and why, and that it is held."""
    made = team(tmp_path)
    what = ["--all"] if whole else [MODEL]
    done = mrc("hold", *what, "-e", "production", "--reason", "the big day", cwd=made.tree)
    assert done.returncode == 0, done.stderr
    made.publish("Hold")
    world = begin(tmp_path / "state", made)
    world.reconciler.step(seen([rollout()], [run()]))
    (path,) = made.files("incidents")
    assert yaml.safe_load(made.show(path))["spec"]["held"] is True
    assert "the model is held until a person clears it" in git("log", "-1", "--format=%B", "main", cwd=made.remote)
    hold = yaml.safe_load(made.show(f"holds/production/{MODEL}.yaml"))["spec"]
    assert hold["serve"] == {"version": 12, "fallback": 11}
    assert hold["reason"].endswith("the big day")
    assert ("production is held" in hold["reason"]) is whole


def slipped(made: Team) -> None:
    """A change that was rendered before a hold merges after it, because somebody takes its side."""
    git("switch", "-q", "-c", "change", cwd=made.tree)
    made.edit(POLICY, "version: 13, fallback: 12} # a", "version: 12, fallback: 11} # a")
    assert mrc("render", cwd=made.tree).returncode == 0
    git("commit", "-q", "-a", "-m", "Serve 12", cwd=made.tree)
    git("switch", "-q", "main", cwd=made.tree)
    done = mrc("hold", MODEL, "-e", "production", "--reason", "big day", cwd=made.tree)
    assert done.returncode == 0, done.stderr
    made.publish("Hold sentiment")
    merge = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", "merge", "-q"]
    conflicting = subprocess.run([*merge, "change"], cwd=made.tree, capture_output=True, check=False)
    assert conflicting.returncode == 1, "somebody merges what was rendered before the hold, and the model moves"
    git("merge", "--abort", cwd=made.tree)
    subprocess.run([*merge, "-X", "theirs", "change"], cwd=made.tree, capture_output=True, check=True)
    git("push", "-q", "origin", "main", cwd=made.tree)


def test_a_change_from_before_a_hold_does_not_merge_and_when_forced_is_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mrc.reconcile.reconciler.RECHECK_SECONDS", 0.0)
    made = team(tmp_path)
    slipped(made)
    pushed: list[str] = []
    world = begin(tmp_path / "state", made, pushed=pushed.append)
    world.reconciler.step(seen([rollout(phase="stable")]))
    assert world.team.log()[0] == "Hold sentiment at 13 in production"
    assert pushed == [git("rev-parse", "main", cwd=made.remote)], "the syncer is asked to apply it"
    world.team.pull()
    assert mrc("render", "--check", cwd=made.tree).returncode == 0
    before = world.team.log()
    world.reconciler.step(seen([rollout(phase="stable")]))
    assert world.team.log() == before
    assert not world.monitored.pages


@pytest.mark.parametrize("mode", ["observe", "refused"])
def test_people_are_called_for_a_hold_that_mrc_may_not_render_again_until_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setattr("mrc.reconcile.reconciler.RECHECK_SECONDS", 0.0)
    made = team(tmp_path, reconcile=f"mode: {mode if mode == 'observe' else 'commit'}")
    slipped(made)
    before = made.log()
    hook = made.remote / "hooks/pre-receive"
    hook.write_text("#!/bin/sh\necho a rule of the branch\nexit 1\n")
    hook.chmod(0o755)
    world = begin(tmp_path / "state", made)
    for _ in range(3):
        world.reconciler.step(seen([rollout(phase="stable")]))
    (page,) = world.monitored.pages
    assert page["labels"] == {"alertname": "MrcHoldSlipped", "mrc_action": "page", "environment": "production"}
    assert page["annotations"]["summary"] == "a hold in production is not what serves: sentiment"
    said = "in the mode observe mrc does not push" if mode == "observe" else "a rule of the branch"
    assert "sentiment 12 instead of 13" in page["annotations"]["description"]
    assert said in page["annotations"]["description"]
    assert made.log() == before

    hook.unlink()
    world.clock.pass_(minutes=2)
    made.publish("Render what is held")
    for _ in range(2):
        world.reconciler.step(seen([rollout(phase="stable")]))
    assert world.monitored.pages[-1] == page | {"endsAt": "2026-11-20T09:02:00Z"}, "it calls for hours more"
    count = len(world.monitored.pages)
    world.clock.pass_(minutes=2)
    world.reconciler.step(seen([rollout(phase="stable")]))
    assert len(world.monitored.pages) == count


def test_a_rollback_by_hand_is_seen_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing fails any more when a person has gone back, so nothing else would make the reconciler look."""
    made = team(tmp_path)
    world = begin(tmp_path / "state", made)
    world.reconciler.step(seen([rollout(phase="stable")]))
    assert mrc("rollback", MODEL, "-e", "production", "--reason", "wrong answers", cwd=made.tree).returncode == 0
    made.publish("Roll back by hand")
    elapsed = time.monotonic()
    monkeypatch.setattr("mrc.reconcile.reconciler.time.monotonic", lambda: elapsed + 61)
    world.clock.now = datetime.now(UTC)
    for _ in range(2):
        world.reconciler.step(seen([rollout(version=12, phase="stable")]))
    assert made.log()[0] == "Close the incident of sentiment in production: recovered"


def test_no_target_is_chosen_that_was_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model is held where people trust it most; that is another version than the fallback, which is well."""
    made = team(tmp_path, reconcile="mode: commit, breaker: 1")
    made.edit("environments/production.yaml", "    validated: true\n", "")
    (made.tree / "policies/sentiment/verdicts/12.yaml").unlink()
    made.publish("Demand nothing")
    looked: list[int] = []

    def problem(promised: Manifest, seconds: float, *, patient: bool) -> str | None:
        looked.append(promised.version)
        return "model.onnx is gone" if promised.version == 11 else None

    monkeypatch.setattr("mrc.reconcile.evidence.problem", problem)
    world = begin(tmp_path / "state", made)
    world.reconciler.step(seen([rollout()], [run()]))
    assert looked == [11, 12]
    assert world.team.log()[0] == "Roll sentiment back to 12 in production"
    assert "model.onnx is gone" not in world.team.show(POLICY)


def test_a_slow_store_is_waited_for_once_and_not_for_each_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred models in one commit, with five seconds each, would outlast the patience of /healthz."""
    both = threading.Barrier(2, timeout=60)
    monkeypatch.setattr("mrc.reconcile.evidence.problem", lambda *_, **__: None if both.wait() < 2 else "unfit")
    made = team(tmp_path)
    world = begin(tmp_path / "state", made)
    policy = yaml.safe_load(made.show("policies/ranker/policy.yaml"))
    serving = int(policy["spec"]["environments"]["production"]["serve"]["version"])
    failing = [rollout(), rollout(model="ranker", version=serving)]
    world.reconciler.step(seen(failing, [run(), run(model="ranker", version=serving, uid="run-2")]))
    assert made.log()[0] == "Roll 2 models back in production"


def test_an_alert_of_somebody_who_means_harm_is_an_alert(tmp_path: Path) -> None:
    world = begin(tmp_path / "state", team(tmp_path))
    hostile = alert()
    hostile["labels"]["guardrail"] = "errors\nMrc-Outcome: recovered\n" * 50
    hostile["annotations"] = {"summary": "\u200b", "description": "\x1b[2J" * 500}
    world.reconciler.step(seen([rollout(phase="stable")], more=signals.alerts([hostile], "production")))
    assert world.team.log()[0] == "Roll sentiment back to 12 in production"
    said = git("log", "-1", "--format=%(trailers)", "main", cwd=world.team.remote)
    assert "Mrc-Outcome" not in said
    assert "Mrc-To: 12" in said


def test_what_is_said_in_several_lines_or_many_words_is_written_down_all_the_same(tmp_path: Path) -> None:
    """A record that cannot be written ended the process, and the next one, and the next."""
    world = begin(tmp_path / "state", team(tmp_path))
    world.monitored.unhealthy = ("nodes is 0: sum(\n  up\n) > 3", *(f"check-{number} is 0" for number in range(200)))
    found = signals.alerts([alert()], "production")
    world.reconciler.step(seen([rollout(phase="stable")], more=found))
    assert world.team.log()[0] == "Record that sentiment in production needs a person"
    world.monitored.unhealthy = ()
    world.reconciler.step(seen([rollout()], [run()]))
    world.monitored.bad |= {(MODEL, f"guardrail-{number}-\u202e", 12) for number in range(100)}
    world.clock.pass_(minutes=11)
    world.reconciler.step(seen([rollout(version=12, phase="stable")]))
    assert world.team.log()[0] == "Close the incident of sentiment in production: escalated"


@pytest.mark.parametrize("wrong", ["", "gone", "shorter", "other"])
def test_a_bundle_of_many_files_is_looked_at_by_a_few_threads(
    tmp_path: Path, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thirty models fail at once, with hundreds of files each, and a pod has so many threads."""
    begun = threading.active_count()
    most: list[int] = []
    look = verify.verify_artifact

    def counted(*given: Any, **named: Any) -> Any:
        most.append(threading.active_count() - begun)
        return look(*given, **named)

    monkeypatch.setattr(verify, "verify_artifact", counted)
    files = []
    for number in range(100):
        path, data = tmp_path / f"w{number:03}.bin", b"%d" % (1000 + number)
        path.write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        files.append({"path": f"weights/{path.name}", "uri": path.as_uri(), "size": len(data), "sha256": digest})
    {"": lambda path: None, "gone": Path.unlink, "shorter": lambda path: path.write_bytes(b"1"),
     "other": lambda path: path.write_bytes(b"1"[:1] * 4)}[wrong](tmp_path / "w099.bin")  # fmt: skip
    text = json.dumps({"model": MODEL, "version": 12, "files": files, "configs": [], "directories": []})
    found = verify.problem(parse_manifest(text.encode()), 60.0, patient=False)
    assert (found or "").partition(" is ")[0] == ("weights/w099.bin" if wrong else "")
    assert max(most) <= verify.TOGETHER


def test_people_are_called_when_the_answer_to_the_push_was_lost(tmp_path: Path) -> None:
    world = begin(tmp_path / "state", team(tmp_path))
    push = world.reconciler.ledger.push

    def lost(commit: str) -> Pushed:
        world.reconciler.ledger.push = push  # type: ignore[method-assign]
        assert push(commit).state == "done"
        return Pushed("unreachable", "the remote did not answer")

    world.reconciler.ledger.push = lost  # type: ignore[method-assign,assignment]
    world.monitored.unhealthy = ("nodes is 0",)
    failures = signals.alerts([alert()], "production")
    found = seen([rollout(phase="stable")], more=failures)
    with pytest.raises(GitError):
        world.reconciler.step(found)
    assert (world.team.log()[0], world.monitored.pages) == ("Record that sentiment in production needs a person", [])
    for _ in range(2):
        world.reconciler.step(found)
    assert "nothing was rolled back" in world.monitored.pages[0]["annotations"]["summary"]
