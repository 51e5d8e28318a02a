"""From the items of a report to rows: read whole first, then written under one lock of the repository."""
