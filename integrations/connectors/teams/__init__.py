"""Microsoft Teams: chat."""
