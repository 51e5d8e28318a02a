"""Public lists about vulnerabilities: read, stored, and brought to the findings."""
