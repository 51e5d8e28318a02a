"""Reports of a repository's findings: one module for each format, over the same rows."""
