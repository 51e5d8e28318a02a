"""Reports of scanners: one module for each format, each turning a file into the same words."""
