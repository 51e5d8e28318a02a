"""EPSS: how likely each CVE is exploited, by FIRST."""
