"""The text format of Prometheus, version 0.0.4, and the paths of a Pushgateway's groups. Pure.

https://prometheus.io/docs/instrumenting/exposition_formats/ and https://github.com/prometheus/pushgateway#url.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Sample:
    """A value with its labels."""

    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Family:
    """A gauge. `help` must never change: a Pushgateway refuses what differs from the groups that it holds already."""

    name: str
    help: str
    samples: Sequence[Sample]


def text(families: Sequence[Family]) -> str:
    """Return families as text; without times of their own, which a Pushgateway refuses."""
    lines: list[str] = []
    for family in families:
        lines += [f"# HELP {family.name} {_help(family.help)}", f"# TYPE {family.name} gauge"]
        lines += [f"{family.name}{_labels(sample.labels)} {_number(sample.value)}" for sample in family.samples]
    return "\n".join(lines) + "\n"


def group_path(job: str, labels: Mapping[str, str]) -> str:
    """Return the path of a group: what is not plain stands there in base64, as a slash and an empty value must."""
    return "/metrics" + "".join(_segment(name, value) for name, value in {"job": job, **labels}.items())


def _segment(name: str, value: str) -> str:
    if _PLAIN.fullmatch(value):
        return f"/{name}/{value}"
    encoded = base64.urlsafe_b64encode(value.encode("utf-8", "replace")).decode().rstrip("=")
    return f"/{name}@base64/{encoded or '='}"


def _labels(labels: Mapping[str, str]) -> str:
    shown = ",".join(f'{name}="{_value(value)}"' for name, value in labels.items())
    return f"{{{shown}}}" if shown else ""


def _value(text: str) -> str:
    return _help(text).replace('"', '\\"')


def _help(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))
