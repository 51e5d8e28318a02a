"""Slack: chat."""
