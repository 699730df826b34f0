"""How the reconciler of an environment decides; a block of the `Environment`."""

from typing import Literal

from mrc.schema.base import DnsLabel, DnsName, HttpUrl, Model, Name, RepositoryName, TokenUrl, exactly_one
from mrc.schema.core import PydanticCustomError
from mrc.schema.guardrail import PromQL
from mrc.schema.lean import Field, model_validator
from mrc.schema.units import Duration, Positive, Share


class ArgoCD(Model):
    """An Application of Argo CD, which is asked to look at git now."""

    application: DnsName
    """What it is called.

    Example: models-production
    """
    namespace: DnsLabel = "argocd"
    """Its namespace in this cluster, where the annotation `argocd.argoproj.io/refresh` is set on it.

    Example: argocd
    """
    server: HttpUrl | None = None
    """The address of Argo CD's API, where Argo CD runs in another cluster: asked there, with the token of
    `mrc reconcile --argocd-token-file`.

    Example: https://argocd.example.com
    """


class Flux(Model):
    """A GitRepository of Flux, which is asked to fetch now; what is built from it follows."""

    git_repository: DnsName
    """What it is called. It gets the annotation `reconcile.fluxcd.io/requestedAt`.

    Example: rollouts
    """
    namespace: DnsLabel = "flux-system"
    """Its namespace in this cluster.

    Example: flux-system
    """


class Sync(Model):
    """Who applies git to this environment, and can be asked to do it now."""

    argo_cd: ArgoCD | None = Field(default=None, alias="argoCD")
    """Argo CD; the Application syncs by itself (`syncPolicy.automated`).

    Example: {application: models-production}
    """
    flux: Flux | None = None
    """Flux.

    Example: {gitRepository: rollouts}
    """

    @model_validator(mode="after")
    def _one(self) -> "Sync":
        exactly_one(self, "argo_cd", "flux")
        return self


class GitHub(Model):
    """A repository on GitHub, or on a GitHub Enterprise Server."""

    repository: RepositoryName
    """Its owner and name.

    Example: example/models
    """
    api: TokenUrl = "https://api.github.com"
    """The address of the API; of a GitHub Enterprise Server it ends with `/api/v3`.

    Example: https://github.example.com/api/v3
    """


class GitLab(Model):
    """A project on GitLab."""

    project: RepositoryName
    """Its path, with all its groups.

    Example: example/serving/models
    """
    api: TokenUrl = "https://gitlab.com/api/v4"
    """The address of the API.

    Example: https://gitlab.example.com/api/v4
    """


class Gitea(Model):
    """A repository on Gitea or Forgejo."""

    repository: RepositoryName
    """Its owner and name.

    Example: example/models
    """
    api: TokenUrl
    """The address of the API.

    Example: https://git.example.com/api/v1
    """


class Forge(Model):
    """Who has the pull requests of the repository that `mrc reconcile` pushes to."""

    github: GitHub | None = None
    """GitHub.

    Example: {repository: example/models}
    """
    gitlab: GitLab | None = None
    """GitLab.

    Example: {project: example/serving/models}
    """
    gitea: Gitea | None = None
    """Gitea or Forgejo.

    Example: {repository: example/models, api: https://git.example.com/api/v1}
    """

    @model_validator(mode="after")
    def _one(self) -> "Forge":
        exactly_one(self, "github", "gitlab", "gitea")
        return self


class Reconcile(Model):
    """How the reconciler of this environment decides, and what it may do."""

    mode: Literal["observe", "pullRequest", "commit"] = "observe"
    """`observe` writes down what it would have done; `pullRequest` asks for it in a pull request, which is merged as
    soon as the rules of the branch let it; `commit` pushes it to the branch.

    Example: commit
    """
    forge: Forge | None = None
    """Who has the pull requests; the token is the one of `mrc reconcile --token-file`.

    Example: {github: {repository: example/models}}
    """
    alertmanager: HttpUrl | None = None
    """The Alertmanager that is asked for alerts with `mrc_action="rollback"`, and that pages are sent to.

    Example: http://alertmanager.monitoring:9093
    """
    sync: Sync | None = None
    """Who is asked to sync after a push, so that a rollback does not wait for the next poll. When that fails, it is
    logged, and the rollback waits.

    Example: {argoCD: {application: models-production}}
    """
    plain_hosts: list[DnsName] = Field(default_factory=list)
    """Hosts whose hooks may be called by `http://`; all others need `https://`.

    Example: [features.shop.svc.cluster.local]
    """
    cooldown: Duration = Field(default=Duration.parse("30m"), validate_default=False)
    """After the promotion: how long after a rollback of a model no other one follows by itself. During a rollout git
    follows what was aborted, and the version is not rejected.

    Example: 30m
    """
    breaker: Positive = Positive(2)
    """At how many rollbacks of a model within a day it is held, until a person clears it.

    Example: 2
    """
    oldest: Duration = Field(default=Duration.parse("20m"), validate_default=False)
    """After the promotion: a failure that began longer ago is left to people, who know of it.

    Example: 20m
    """
    mass: Share = Field(default=Share.parse("10%"), validate_default=False)
    """The share of the environment's models, and 3 at least, that may fail within an hour. When that many do, the
    environment is held and people are paged: it is not the models.

    Example: 10%
    """
    healthy: dict[Name, PromQL] = Field(default_factory=dict)
    """What must hold of the environment before a version is blamed: expressions with a value other than 0. Prometheus
    itself must answer, too.

    Example: {nodes: "sum(kube_node_status_condition{condition='Ready',status='true'}) > 3"}
    """
    verify: Duration = Field(default=Duration.parse("5s"), validate_default=False)
    """How long the files of a target may be read before it is chosen: that they exist and have their size in any case,
    and their digest as far as the time goes. `0s` leaves it out.

    Example: 5s
    """
    recover: Duration = Field(default=Duration.parse("10m"), validate_default=False)
    """Within what time after a rollback the target must serve and be healthy; otherwise people are paged.

    Example: 10m
    """

    @model_validator(mode="after")
    def _asked(self) -> "Reconcile":
        if self.mode == "pullRequest" and self.forge is None:
            raise PydanticCustomError("forge", "mode pullRequest needs forge, which says who has the pull requests", {})
        return self
