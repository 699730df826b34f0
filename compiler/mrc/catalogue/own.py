"""Metrics that a repository declares for itself, in mrc.yaml, beside the catalogue's."""

from decimal import Decimal

from mrc import expression
from mrc.catalogue.metric import Measure, Metric, Scope, Source, TestSeries
from mrc.promql import block, indent
from mrc.records import dataclass
from mrc.schema.repository import OwnMetric

REPOSITORY = Source("mrc.yaml", lambda scope: {}, "version")


@dataclass(frozen=True)
class Own(Measure):
    """The repository's two expressions, filled for one model and window."""

    written: OwnMetric

    def value(self, source: Source, scope: Scope) -> str:
        # Of several series of a version the worst one counts.
        return _by_version("min" if self.written.worse == "lower" else "max", self.written.value, scope)

    def samples(self, source: Source, scope: Scope) -> str:
        return _by_version("sum", self.written.samples, scope)

    def test(
        self, source: Source, scope: Scope, version: str, value: Decimal, step: Decimal, intervals: int
    ) -> list[TestSeries]:
        """None: which raw series make a value, only the repository knows. The tests feed what is recorded."""
        return []


def metric(name: str, written: OwnMetric) -> Metric:
    """What the catalogue would say of it."""
    return Metric(name, REPOSITORY, written.unit, written.worse, written.title, Own(written))


def _by_version(aggregate: str, text: str, scope: Scope) -> str:
    values = {"model": scope.model, "namespace": scope.namespace, "environment": scope.environment}
    # The line end closes a comment in which the expression may end.
    return block(f"{aggregate} by (version) ", f"(\n{indent(expression.fill(text.strip(), values, scope.window))}\n)")
