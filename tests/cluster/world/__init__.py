"""The world around mrc: a control plane, a syncer, traffic, monitoring, git remotes, as real as one machine has it."""
