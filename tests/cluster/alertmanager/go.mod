// Alertmanager, built inside its own module. A distribution's package reads its templates from a fixed folder, so that it
// works only where it is installed.
module mrc.dev/tests/cluster/alertmanager

go 1.24.9

require (
	github.com/prometheus/alertmanager v0.28.1
)
