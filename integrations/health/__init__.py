"""Health of integrations: scheduled checks, where each integration stands, its days against the SLA targets, and events about it."""
