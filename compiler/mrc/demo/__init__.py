"""`mrc demo`: the whole loop for a newcomer. git, the commands and the reconciler are real; the cluster is played."""
