"""Jira Cloud and Jira Data Center: a ticket for each finding."""
