"""What Argo Rollouts' controller tells of a Rollout on its own metrics port.

Source: https://argo-rollouts.readthedocs.io/en/stable/features/controller-metrics/
"""

from mrc.promql import block, selector, series

INFO = "rollout_info"
_ABORTED = {"phase": "Abort"}


def aborted(namespace: str, name: str) -> str:
    """1 while a Rollout stands aborted; nothing otherwise."""
    # Scraped through a ServiceMonitor, `namespace` is the controller's, and the Rollout's becomes `exported_namespace`.
    places = [selector(INFO, {key: namespace, "name": name, **_ABORTED}) for key in ("namespace", "exported_namespace")]
    return block("group", "\nor ".join(places))


def example(namespace: str, name: str, phase: str) -> str:
    """A series of one Rollout in a phase, as a ServiceMonitor leaves it."""
    return series(INFO, {"namespace": "argo-rollouts", "exported_namespace": namespace, "name": name, "phase": phase})
