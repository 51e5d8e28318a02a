"""Pulled scans: what scan sources yield, page by page, until it is read as an upload is."""
