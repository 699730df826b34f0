"""The reconciler: signals, a decision, one commit, and the way back to health. The compiler never imports it."""
