"""E-mail: over SMTP, or through the API of a mail service."""
