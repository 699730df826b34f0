"""`Environment`: a cluster, a namespace, a router, a monitoring stack, and its owners' limits."""

from datetime import datetime
from typing import Literal

from mrc.schema.base import (
    DnsLabel,
    DnsName,
    Envelope,
    HttpUrl,
    Image,
    LabelKey,
    LabelName,
    LabelValue,
    Line,
    Metadata,
    MetricName,
    Model,
    Words,
    exactly_one,
)
from mrc.schema.core import PydanticCustomError
from mrc.schema.lean import Field, StrictBool, model_validator
from mrc.schema.reconcile import Reconcile
from mrc.schema.router import Router
from mrc.schema.units import Duration, Positive, Quantity, Share, Span, Timestamp, WeekTime


class Pods(Model):
    """What is part of every pod; a change here rolls every model. Secrets are named, never held."""

    fetch_image: Image
    """The image of mrc, pinned by digest, that runs `mrc fetch` before the server starts.

    Example: registry.example.com/mrc@sha256:39965df7aea4ea47b94f0de6c05eaf2fd0d9515f6b73a08f8d3b6744e02ca94a
    Rendered: `initContainers` of the pod template
    """
    fetch_secrets: list[DnsName] = Field(default_factory=list)
    """Secrets whose keys become the environment of the init container: credentials of the store of artifacts.

    Example: [model-store]
    Rendered: `envFrom` of the init container
    """
    image_pull_secrets: list[DnsName] = Field(default_factory=list)
    """Secrets with which the images are pulled.

    Example: [registry]
    Rendered: `imagePullSecrets` of the pod template
    """
    service_account: DnsName | None = None
    """The ServiceAccount of the pods; that of the namespace without it.

    Example: model-reader
    Rendered: `serviceAccountName` of the pod template
    """
    node_selector: dict[LabelKey, LabelValue] = Field(default_factory=dict)
    """Labels that a node must have to run the pods.

    Example: {pool: gpu-a10}
    Rendered: `nodeSelector` of the pod template
    """


class Prometheus(Model):
    """Where Argo asks, and how often series are scraped and rules evaluated."""

    address: HttpUrl
    """Where Argo Rollouts asks for the verdicts.

    Example: http://prometheus.monitoring:9090
    Rendered: `provider.prometheus.address` of the AnalysisTemplate
    """
    scrape: Span
    """How often the pods are scraped.

    Example: 15s
    Rendered: `interval` of the PodMonitor
    """
    evaluate: Span
    """How often rules are evaluated, and how often the analysis asks.

    Example: 15s
    Rendered: `interval` of the rule group and of the analysis
    """
    retention: Duration = Field(default=Duration.parse("15d"), validate_default=False)
    """How long Prometheus keeps its series: its `--storage.tsdb.retention.time`. No guardrail can look back further.

    Example: 15d
    """
    rule_labels: dict[LabelKey, LabelValue] = Field(default_factory=dict)
    """Labels by which the Prometheus operator finds PrometheusRules and PodMonitors.

    Example: {release: main}
    Rendered: `metadata.labels` of both
    """


class Alerts(Model):
    """Labels on every alert, Alertmanager's group wait, and where the runbooks are published."""

    labels: dict[LabelName, Line] = Field(default_factory=dict)
    """Labels that every alert carries, for Alertmanager to route by.

    Example: {cluster: prod-eu-1}
    Rendered: `labels` of each alert
    """
    group_wait: Duration = Field(default=Duration.parse("30s"), validate_default=False)
    """How long Alertmanager waits before it sends the first notification of a group: the `group_wait` of its route.

    Example: 10s
    """
    runbooks: HttpUrl | None = None
    """Where the folder `rendered/` is published for people; alerts link to the RUNBOOK.md in it.

    Example: https://runbooks.example.com/mrc
    Rendered: `runbook_url` of each alert
    """


class Delays(Model):
    """How long the steps of going back take here at worst, as the environment's owners measure them."""

    sync: Duration = Field(default=Duration.parse("3m"), validate_default=False)
    """How long a pushed commit may take until the cluster has it: the polling of Argo CD or Flux, and applying.

    Example: 3m
    Rendered: the times of going back in the runbook
    """
    route: Duration = Field(default=Duration.parse("10s"), validate_default=False)
    """How long a changed weight may take until all requests follow it.

    Example: 10s
    Rendered: the times of going back in the runbook
    """
    fetch: Quantity = Field(default=Quantity("100Mi"), validate_default=False)
    """How many bytes of a bundle a starting pod fetches each second.

    Example: 100Mi
    Rendered: the times of going back in the runbook; `progressDeadlineSeconds` of the Rollout
    """

    @model_validator(mode="after")
    def _moves(self) -> "Delays":
        if not self.fetch.value:
            raise PydanticCustomError("fetch_rate", "fetch: {n} bytes a second never end", {"n": str(self.fetch)})
        return self


class Limits(Model):
    """What the environment's owners demand; a policy may only be stricter."""

    first_traffic: Share | None = None
    """The largest share of the traffic that a policy may give to its first stage.

    Example: 5%
    """
    approval: StrictBool = False
    """Whether each rollout must wait for a person before it takes all of the traffic.

    Example: true
    """
    validated: StrictBool = False
    """Whether a version needs a verdict `validated` before it serves or is fallen back to.

    Example: true
    """
    time_to_restore: Duration | None = None
    """The longest time that may pass, at worst, from the onset of a failure until the fallback serves again: during the
    rollout, in the bake, and while the fallback is warm. Guardrails of the tier trend are not held against it.

    Example: 15m
    """
    retained: Positive = Positive(3)
    """How many versions Argo may go back to without running the stages again, and which nobody may remove.

    Example: 3
    Rendered: `rollbackWindow.revisions` of a canary's Rollout
    """
    guardrails: list[MetricName] = Field(default_factory=list)
    """Metrics of the catalogue on which each policy must have a guardrail that rolls back, with a limit that holds
    alone (`max` or `min`).

    Example: [error_ratio, latency_p99]
    """


class Weekly(Model):
    """From one moment of every week until another, in UTC."""

    from_: WeekTime = Field(alias="from")
    """When it begins, in UTC.

    Example: Fri 16:00
    """
    until: WeekTime
    """When it ends, in UTC.

    Example: Mon 06:00
    """

    @model_validator(mode="after")
    def _not_empty(self) -> "Weekly":
        if self.from_ == self.until:
            raise PydanticCustomError("empty_week", "from and until are the same moment of the week", {})
        return self


class Freeze(Model):
    """A time in which no version is promoted: from one instant until another, or every week."""

    from_: Timestamp | None = Field(default=None, alias="from")
    """When it begins, in UTC.

    Example: 2026-12-20T00:00:00Z
    """
    until: Timestamp | None = None
    """When it ends, in UTC.

    Example: 2027-01-04T08:00:00Z
    """
    weekly: Weekly | None = None
    """A window of every week, in place of the two instants.

    Example: {from: Fri 16:00, until: Mon 06:00}
    """
    reason: Words
    """Why, for whoever is stopped by it.

    Example: nobody is on call at the weekend
    """

    @model_validator(mode="after")
    def _one(self) -> "Freeze":
        exactly_one(self, "from_", "weekly")
        if (self.from_ is None) != (self.until is None):
            raise PydanticCustomError("freeze_ends", "give from and until together, or weekly alone", {})
        if self.from_ is not None and self.until is not None and self.from_ >= self.until:
            raise PydanticCustomError("freeze_order", "a freeze ends after it begins", {})
        return self

    def holds(self, now: datetime) -> bool:
        """Whether `now` (with an offset) is within; the end is not."""
        if self.weekly is not None:
            start, end, at = self.weekly.from_, self.weekly.until, WeekTime.of(now)
            return start <= at < end if start < end else at >= start or at < end
        assert self.from_ is not None
        assert self.until is not None
        return self.from_ <= now < self.until

    def covers(self, other: "Freeze") -> bool:
        """Whether it holds whenever the other does, as far as two of a kind can be compared."""
        if self.from_ is None or other.from_ is None:
            return self.weekly is not None and self.weekly == other.weekly
        assert self.until is not None
        assert other.until is not None
        return self.from_ <= other.from_ and other.until <= self.until

    @property
    def text(self) -> str:
        """When and why, in words."""
        return f"{self.when}: {self.reason}"

    @property
    def when(self) -> str:
        """From when until when, in words."""
        return (
            f"every week from {self.weekly.from_} to {self.end}" if self.weekly else f"from {self.from_} to {self.end}"
        )

    @property
    def end(self) -> str:
        """Until when, in words."""
        return f"{self.weekly.until} UTC" if self.weekly is not None else str(self.until)


class EnvironmentSpec(Model):
    """What the cluster's owners say of it."""

    cluster: DnsLabel
    """The name of the cluster, for people.

    Example: prod-eu-1
    Rendered: the runbook
    """
    namespace: DnsLabel
    """The namespace of everything that is rendered for this environment.

    Example: models
    Rendered: `metadata.namespace` of every object
    """
    router: Router
    pods: Pods
    prometheus: Prometheus
    alerts: Alerts = Field(default_factory=Alerts)
    delays: Delays = Field(default_factory=Delays)
    limits: Limits = Field(default_factory=Limits)
    freezes: list[Freeze] = Field(default_factory=list, max_length=100)
    """When no version is promoted here; `mrc check` judges it. A rollback is never frozen.

    Example: [{weekly: {from: Fri 16:00, until: Mon 06:00}, reason: nobody is on call}]
    Rendered: nothing: it is checked
    """
    reconcile: Reconcile = Field(default_factory=Reconcile)


class Environment(Envelope):
    """The platform team's document: what the cluster's owners say."""

    kind: Literal["Environment"]
    metadata: Metadata
    spec: EnvironmentSpec
