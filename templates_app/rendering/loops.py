"""Loops of payload templates: what they go over and how often they turn is counted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, TextIO, cast

from liquid import RenderContext
from liquid.builtin.expressions import LoopExpression
from liquid.builtin.tags.for_tag import ForLoop, ForNode, ForTag
from liquid.exceptions import BreakLoop, ContinueLoop

from templates_app.rendering.meter import Meter


class Metered(Protocol):
    """A context that counts."""

    meter: Meter


class _Loop(LoopExpression):
    """What a loop goes over: pairs of an object are lists, and nothing is longer than all loops may be."""

    def _to_iter(self, obj: object, context: RenderContext) -> tuple[Iterator[Any], int]:
        if isinstance(obj, dict):
            obj = [[name, value] for name, value in obj.items()]
        found, length = super()._to_iter(obj, context)
        cast("Metered", context).meter.items(length)
        return found, length


class _ForNode(ForNode):
    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        found = self.expression
        expression = _Loop(
            found.token, found.identifier, found.iterable, limit=found.limit, offset=found.offset, reversed_=found.reversed, cols=None
        )
        items, length = expression.evaluate(context)
        if not length:
            return self.default.render(context, buffer) if self.default else 0
        return self._turns(context, buffer, ForLoop(found.identifier, items, length, context.parentloop()))

    def _turns(self, context: RenderContext, buffer: TextIO, loop: ForLoop) -> int:
        namespace: dict[str, object] = {"forloop": loop, self.expression.identifier: None}
        written = 0
        with context.loop(namespace, loop):
            for item in loop:
                cast("Metered", context).meter.turn()
                namespace[self.expression.identifier] = item
                try:
                    written += self.block.render(context, buffer)
                except ContinueLoop:
                    continue
                except BreakLoop:
                    break
        return written


class CountedFor(ForTag):
    """`for` whose turns and items are counted."""

    node_class = _ForNode
