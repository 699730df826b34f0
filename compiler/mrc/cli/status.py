"""mrc status"""

from collections.abc import Callable
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import click

from mrc.cli.common import directory_option, work_tree


@click.command()
@click.option("-e", "--environment", "wanted", multiple=True, help="Only this environment; may be repeated.")
@click.option(
    "--kubeconfig", type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Ask the cluster of the one environment, too: in which stage each rollout is.",
)  # fmt: skip
@directory_option
def status(wanted: tuple[str, ...], kubeconfig: Path | None, directory: Path) -> int:
    """Say what serves where, by the tree alone: version, fallback, hold, breaker, last incident.

    The breaker: how many automatic rollbacks within the last day, and at how many the model is held. In which stage a
    rollout is, the tree does not know: the cluster does, which `--kubeconfig` reaches.
    """
    if kubeconfig is not None and len(wanted) != 1:
        raise click.UsageError("--kubeconfig reaches the cluster of one environment: name it with -e")
    from mrc.load import load
    from mrc.reconcile.gates import spent
    from mrc.reconcile.survey import missing, survey

    tree, now = work_tree(directory), datetime.now(UTC)
    shared, _ = load(tree, [])
    known = shared.environments
    for environment in wanted:
        if environment not in known:
            raise click.ClickException(missing(tree, environment))
    # Without one of them the table would say that nothing is wrong.
    unread = {file for file in shared.broken if not wanted or _named(file) in wanted}
    stages = _stages(kubeconfig, wanted[0], known[wanted[0]][1].spec.namespace) if kubeconfig is not None else None
    asked = ("stage",) if stages is not None else ()
    rows: list[tuple[str, ...]] = [
        ("environment", "model", "serves", "fallback", *asked, "hold", "breaker", "last incident")
    ]
    for environment in wanted or sorted(known):
        policies = [path.split("/")[1] for path in tree.files("policies") if path.endswith("/policy.yaml")]
        found = survey(tree, environment, policies)
        unread |= {f"policies/{name}/policy.yaml" for name in found.unread} if found is not None else set()
        for model in found.models.values() if found is not None else ():
            last = model.incidents[-1] if model.incidents else None
            hold = model.hold or (found.hold if found is not None else None)
            ended = last.spec.outcome.state if last is not None and last.spec.outcome is not None else "open"
            rows.append((
                environment, model.name, str(int(model.serve.version)),
                str(int(model.serve.fallback)) if model.serve.fallback is not None else "-",
                *([stages(model.name, int(model.serve.version))] if stages is not None else []),
                f"since {hold.spec.at}" if hold is not None else "unreadable" if model.unread is not None else "-",
                f"{spent(model, now)} of {int(known[environment][1].spec.reconcile.breaker)}",
                f"{last.metadata.id} ({ended})" if last is not None else "-",
            ))  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    for file in sorted(unread):
        click.echo(f"{file} cannot be read: see mrc check", err=True)
    return 1 if unread else 0


def _named(file: str) -> str:
    """The environment that a file of holds/ or environments/ is about."""
    return file.split("/")[1].removesuffix(".yaml") if "/" in file else ""


def _stages(kubeconfig: Path, environment: str, namespace: str) -> Callable[[str, int], str]:
    """What says the stage of a model whose version is known."""
    if find_spec("kubernetes") is None:
        raise click.ClickException("asking a cluster needs more than the tree does: pip install 'mrc[reconcile]'")
    from mrc.reconcile.cluster import Api, ClusterError, Rollouts
    from mrc.reconcile.stage import stage

    try:
        rollouts = Rollouts(Api(kubeconfig), namespace, environment, lambda *_, **__: None)
        found = {each["metadata"]["name"]: each for page in rollouts.pages() for each in page["items"]}
    except (ClusterError, LookupError, TypeError, AttributeError) as problem:
        why = problem if isinstance(problem, ClusterError) else "its answer is no list of Rollouts"
        raise click.ClickException(f"the cluster does not say in which stage the rollouts are: {why}") from None
    return lambda model, version: stage(found.get(model), environment, version)
