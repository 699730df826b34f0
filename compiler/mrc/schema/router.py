"""How requests reach a model in an environment: exactly one router. What each can do stands in `mrc.routers`."""

from functools import cached_property
from typing import Annotated, Literal

from mrc.schema.base import DnsLabel, DnsName, Domain, Model, _text, exactly_one
from mrc.schema.lean import Field, model_validator

_PART = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
GatewayName = Annotated[str, *_text(rf"{_PART}/{_PART}", "a gateway as namespace/name", 127)]
Arn = Annotated[
    str, *_text(r"arn:aws[a-z-]*:acm:[a-z0-9-]+:\d{12}:certificate/[A-Za-z0-9-]+", "the ARN of a certificate", 200)
]


class IstioRouter(Model):
    """Host-level split by an Istio VirtualService; a model answers at `<model>.<domain>`."""

    gateway: GatewayName
    """The Istio gateway by which requests come in, as namespace/name.

    Example: istio-ingress/public
    Rendered: `gateways` of the VirtualService
    """
    domain: Domain
    """The domain below which models answer, each at `<model>.<domain>`.

    Example: models.example.com
    Rendered: `hosts` of the VirtualService
    """


class GatewayRouter(Model):
    """An HTTPRoute at `<model>.<domain>` and a GRPCRoute at `<model>-grpc.<domain>`, moved by Argo Rollouts' plugin."""

    gateway: GatewayName
    """The Gateway by which requests come in, as namespace/name. Its listeners must admit routes of this namespace.

    Example: gateways/public
    Rendered: `parentRefs` of the routes
    """
    domain: Domain
    """The domain below which models answer, each at `<model>.<domain>`, and over gRPC at `<model>-grpc.<domain>`.

    Example: models.example.com
    Rendered: `hostnames` of the routes
    """


class NginxRouter(Model):
    """Ingresses of ingress-nginx; Argo Rollouts makes the canary Ingress beside them."""

    domain: Domain
    """The domain below which models answer, each at `<model>.<domain>`.

    Example: models.example.com
    Rendered: the host of the Ingress
    """
    ingress_class: DnsName = "nginx"
    """The IngressClass of the controller.

    Example: nginx
    Rendered: `ingressClassName` of the Ingress
    """
    tls_secret: DnsName | None = None
    """The Secret with the certificate of the domain. gRPC is routed with it only: it needs TLS in ingress-nginx.

    Example: models-example-com
    Rendered: `tls` of the Ingress, and a second Ingress for gRPC
    """


class AlbRouter(Model):
    """An Ingress of the AWS Load Balancer Controller; Argo Rollouts writes the weights into an annotation."""

    domain: Domain
    """The domain below which models answer, each at `<model>.<domain>`.

    Example: models.example.com
    Rendered: the host of the Ingress
    """
    ingress_class: DnsName = "alb"
    """The IngressClass of the controller.

    Example: alb
    Rendered: `ingressClassName` of the Ingress
    """
    scheme: Literal["internal", "internet-facing"] = "internal"
    """Who can reach the load balancer.

    Example: internal
    Rendered: `alb.ingress.kubernetes.io/scheme` of the Ingress
    """
    group: DnsLabel | None = None
    """Ingresses of one group share a load balancer; without it each model has its own.

    Example: models
    Rendered: `alb.ingress.kubernetes.io/group.name` of the Ingress
    """
    certificate: Arn | None = None
    """The certificate with which it answers on 443; plain HTTP on 80 without it.

    Example: arn:aws:acm:eu-central-1:123456789012:certificate/1a2b3c4d
    Rendered: `alb.ingress.kubernetes.io/certificate-arn` of the Ingress
    """


class NoRouter(Model):
    """No traffic router: Argo weighs by the number of replicas."""


class Router(Model):
    """Exactly one way to split traffic."""

    istio: IstioRouter | None = None
    """Istio splits the traffic by weights in a VirtualService.

    Example: {gateway: istio-ingress/public, domain: models.example.com}
    Rendered: virtualservice.yaml; `strategy.canary.trafficRouting.istio` of the Rollout
    """
    gateway_api: GatewayRouter | None = Field(default=None, alias="gatewayAPI")
    """A Gateway API implementation splits the traffic by weights in routes.

    Example: {gateway: gateways/public, domain: models.example.com}
    Rendered: routes.yaml; `strategy.canary.trafficRouting.plugins` of the Rollout
    """
    nginx: NginxRouter | None = None
    """ingress-nginx splits the traffic by the weight of a canary Ingress.

    Example: {domain: models.example.com, tlsSecret: models-example-com}
    Rendered: ingress.yaml; `strategy.canary.trafficRouting.nginx` of the Rollout
    """
    alb: AlbRouter | None = None
    """An AWS Application Load Balancer splits the traffic by weighted target groups.

    Example: {domain: models.example.com, group: models}
    Rendered: ingress.yaml; `strategy.canary.trafficRouting.alb` of the Rollout
    """
    none: NoRouter | None = None
    """Nothing splits the traffic: a share of it is a share of the pods. No canary can be kept warm.

    Example: {}
    """

    @model_validator(mode="after")
    def _one(self) -> "Router":
        exactly_one(self, *type(self).model_fields)
        return self

    @property
    def way_in(self) -> tuple[str, str] | None:
        """What brings requests in, and the domain below which models answer; None where nothing does."""
        if (by_gateway := self.istio or self.gateway_api) is not None:
            return by_gateway.gateway, by_gateway.domain
        if (by_ingress := self.nginx or self.alb) is not None:
            return by_ingress.ingress_class, by_ingress.domain
        return None

    @cached_property
    def kind(self) -> str:
        """The name of the router that is given, as in `mrc.routers`."""
        fields = type(self).model_fields.items()
        return next(str(field.alias) for name, field in fields if getattr(self, name) is not None)
