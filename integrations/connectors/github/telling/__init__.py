"""What GitHub is told of events: dispatches that start workflows, commit statuses, check runs."""
