"""PagerDuty: pages the people on call."""
