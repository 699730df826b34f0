"""`Environment`: a cluster, a namespace, a router, a monitoring stack, and its owners' limits."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

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
    Model,
    Name,
    _text,
    exactly_one,
)
from mrc.schema.units import Duration, Positive, Share

GatewayName = Annotated[
    str,
    *_text(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?/[a-z0-9]([-a-z0-9]*[a-z0-9])?", "an Istio gateway as namespace/name", 127),
]


class IstioRouter(Model):
    """Host-level split by an Istio VirtualService; a model answers at `<model>.<domain>`."""

    gateway: GatewayName
    domain: DnsName


class NoRouter(Model):
    """No traffic router: Argo weighs by the number of replicas."""


class Router(Model):
    """Exactly one way to split traffic."""

    istio: IstioRouter | None = None
    none: NoRouter | None = None

    @model_validator(mode="after")
    def _one(self) -> "Router":
        exactly_one(self, "istio", "none")
        return self

    @property
    def kind(self) -> Literal["istio", "none"]:
        """The name of the router that is given."""
        return "istio" if self.istio else "none"


class Pods(Model):
    """What is part of every pod; a change here rolls every model. Secrets are named, never held."""

    fetch_image: Image
    fetch_secrets: list[DnsName] = Field(default_factory=list)
    image_pull_secrets: list[DnsName] = Field(default_factory=list)
    service_account: DnsName | None = None
    node_selector: dict[LabelKey, LabelValue] = Field(default_factory=dict)


class Prometheus(Model):
    """Where Argo asks, and how often series are scraped and rules evaluated."""

    address: HttpUrl
    scrape: Duration
    evaluate: Duration
    rule_labels: dict[LabelKey, LabelValue] = Field(default_factory=dict)


class Alerts(Model):
    """Labels on every alert, Alertmanager's group wait, and where the runbooks are published."""

    labels: dict[LabelName, Line] = Field(default_factory=dict)
    group_wait: Duration = Field(default=Duration.parse("30s"), validate_default=False)
    runbooks: HttpUrl | None = None


class Limits(Model):
    """What the environment's owners demand; a policy may only be stricter."""

    first_traffic: Share | None = None
    approval: bool = False
    validated: bool = False
    retained: Positive = Positive(3)
    guardrails: list[Name | str] = Field(default_factory=list)


class EnvironmentSpec(Model):
    cluster: DnsLabel
    namespace: DnsLabel
    router: Router
    pods: Pods
    prometheus: Prometheus
    alerts: Alerts = Field(default_factory=Alerts)
    limits: Limits = Field(default_factory=Limits)


class Environment(Envelope):
    """The platform team's document: what the cluster's owners say."""

    kind: Literal["Environment"]
    metadata: Metadata
    spec: EnvironmentSpec
