"""Jenkins: its Notification plugin is received, and events begin its builds."""
