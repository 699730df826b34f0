// kwok plays the nodes of the tests' cluster. It is built inside its own module, since it needs other
// versions of Kubernetes' libraries than the control plane.
module mrc.dev/tests/cluster/kwok

go 1.24.9

require (
	sigs.k8s.io/kwok v0.7.0
)
