"""JSON log lines."""
from __future__ import annotations
import logging
JsonFormatter = logging.Formatter
ContextFilter = logging.Filter
