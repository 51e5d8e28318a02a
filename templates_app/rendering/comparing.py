"""Comparisons of conditions, each of which counts what it may cost before it is made.

The language leaves them to Python, which compares whole lists, holding the interpreter meanwhile: two lists that name one large object
a thousand times are compared for minutes, and a list searched for in a text is first written out in full.
"""

from __future__ import annotations

from typing import Any

from liquid.builtin.expressions import logical
from liquid.builtin.tags.case_tag import _AnyExpression
from liquid.expression import Expression

from templates_app.rendering.meter import MAX_OUTPUT, Exceeded, Meter
from templates_app.rendering.texts import least_size

COMPARED_A_STEP = 4096
"""Characters of texts that are compared."""
_WEIGHED_A_STEP = 16


def weigh(meter: Meter, left: Any, right: Any) -> None:
    """Count what it costs to find out whether two values are the same, or which is the smaller one."""
    if isinstance(left, str) and isinstance(right, str):
        meter.step(min(len(left), len(right)) // COMPARED_A_STEP)
    elif isinstance(left, list | dict) and type(left) is type(right) and len(left) == len(right):
        size = least_size(left)
        if size > MAX_OUTPUT:
            raise Exceeded(f"It compares lists or objects of more than {MAX_OUTPUT:,} characters.")
        meter.step(size // _WEIGHED_A_STEP)


def weigh_search(meter: Meter, left: Any, right: Any) -> None:
    """Count what it costs to look for a value in a text or a list."""
    if isinstance(right, list | dict):
        raise Exceeded("contains looks for a text or a number, not for a list or an object.")
    if isinstance(left, str) and isinstance(right, str):
        meter.step((len(left) + len(right)) // COMPARED_A_STEP)
    elif isinstance(left, list):
        alike = sum(1 for item in left if isinstance(item, str) and len(item) == len(right)) if isinstance(right, str) else 0
        meter.step(len(left) // 8 + alike * len(str(right)) // COMPARED_A_STEP)


def count_comparison(expression: Expression) -> None:
    """Make of an expression of the language, if it compares, one that counts."""
    counting = _COUNTING.get(type(expression))
    if counting is not None:
        expression.__class__ = counting


def _counting(kind: type[Expression]) -> type[Expression]:
    weighed = weigh_search if kind is logical.ContainsExpression else weigh

    def evaluate(self: Any, context: Any) -> object:
        left = self.left.evaluate(context)
        for right in self.expressions if isinstance(self, _AnyExpression) else (self.right,):
            weighed(context.meter, left, right.evaluate(context))
        return kind.evaluate(self, context)

    return type(f"Counting{kind.__name__}", (kind,), {"__slots__": (), "evaluate": evaluate})


_COUNTING: dict[type[Expression], type[Expression]] = {
    kind: _counting(kind)
    for kind in (
        logical.EqExpression, logical.NeExpression, logical.LeExpression, logical.GeExpression, logical.LtExpression,
        logical.GtExpression, logical.ContainsExpression, _AnyExpression,
    )
}  # fmt: skip
