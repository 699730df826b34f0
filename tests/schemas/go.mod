// Where the CRDs and the Argo Rollouts tools of the tests come from. Nothing is built in this module:
// `tests/install-tools` downloads these four, compares them with go.sum, and builds Argo's own
// commands inside Argo's own module, hence with exactly the dependencies of its release.
module mrc.dev/tests/schemas

go 1.24.9

require (
	github.com/argoproj/argo-rollouts v1.9.1
	github.com/prometheus-operator/prometheus-operator v0.85.0
	istio.io/api v1.27.0
	sigs.k8s.io/gateway-api v1.3.0
)
