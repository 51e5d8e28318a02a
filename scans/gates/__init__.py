"""Quality gates: what a policy says of a commit."""
