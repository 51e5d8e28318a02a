"""Prometheus Pushgateway: keeps pushed metrics until Prometheus scrapes them."""
