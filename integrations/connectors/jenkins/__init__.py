"""Jenkins, with its Notification plugin."""
