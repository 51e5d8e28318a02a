"""KEV: CISA's catalogue of vulnerabilities that are known to be exploited."""
