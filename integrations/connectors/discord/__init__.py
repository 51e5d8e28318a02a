"""Discord: chat."""
