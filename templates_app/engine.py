"""The one renderer of payload templates: Liquid, without harm. Only it, rendering/comparing.py and rendering/loops.py know the language.

No loader and no tag that reads other templates, no clock, no attribute of any object: data are plain JSON. The scanner and every filter
are our own, because the language's take time and memory without bound; loops, steps and texts are counted (rendering/meter.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import partial
from itertools import takewhile
from typing import Any, NoReturn, TextIO, cast

from liquid import BoundTemplate, Environment, RenderContext
from liquid.ast import Node
from liquid.builtin.content import Literal
from liquid.builtin.expressions.primitive import Blank, Empty, RangeLiteral
from liquid.builtin.illegal import Illegal
from liquid.builtin.output import Output, OutputNode
from liquid.builtin.tags.assign_tag import AssignTag
from liquid.builtin.tags.capture_tag import CaptureTag
from liquid.builtin.tags.case_tag import CaseTag
from liquid.builtin.tags.for_tag import BreakTag, ContinueTag, ForLoop, ForNode
from liquid.builtin.tags.if_tag import IfTag
from liquid.builtin.tags.unless_tag import UnlessTag
from liquid.exceptions import LiquidError
from liquid.expression import Expression
from liquid.token import TOKEN_CONTENT, TOKEN_EXPRESSION, TOKEN_OUTPUT, TOKEN_TAG, Token
from liquid.undefined import Undefined
from liquid.utils import ReadOnlyChainMap

from templates_app.rendering.comparing import count_comparison
from templates_app.rendering.filters import FILTERS, FilterRefused
from templates_app.rendering.loops import CountedFor
from templates_app.rendering.meter import MAX_OUTPUT, Exceeded, Meter, TemplateRefused
from templates_app.rendering.scanner import PieceKind, Used, place, scan
from templates_app.rendering.writers import Style, Writer, writer

MAX_DEPTH = 20
MAX_LOCALS = 200
_MAX_SENTENCE = 300
_UNCLOSED = re.compile(r"[Ee]xpected tag end(\w+), found end of expression\.?")
TAGS = (IfTag, UnlessTag, CaseTag, BreakTag, ContinueTag, CaptureTag, AssignTag)


@dataclass(frozen=True)
class Parsed:
    """A template that can be rendered, as often as wanted and by several threads."""

    source: str
    style: Style
    used: tuple[Used, ...]
    _template: BoundTemplate = field(repr=False, compare=False)

    @property
    def roots(self) -> frozenset[str]:
        """Return the first words of its variables."""
        return frozenset(str(used.path[0]) for used in self.used)


def parse(source: str, style: Style) -> Parsed:
    """Read a template. Raises TemplateRefused, which says where what is wrong."""
    try:
        template = _ENVIRONMENT.from_string(source)
        _check_expressions(template)
        used = tuple(_used(template, source))
    except LiquidError as error:
        if isinstance(error.__cause__, TemplateRefused):
            raise error.__cause__ from None
        _refuse(error, source)
    except RecursionError:
        raise TemplateRefused("It is nested too deeply.") from None
    return Parsed(source, style, used, template)


def render(parsed: Parsed, values: Mapping[str, Any], *, meter: Meter | None = None, limit: int = MAX_OUTPUT) -> str:
    """Return what a template makes of plain JSON values. Raises TemplateRefused where it reaches a bound or can't be worked out."""
    meter = Meter() if meter is None else meter
    target = writer(parsed.style, meter, limit)
    context = _Context(parsed._template, globals=values)
    context.meter = meter
    try:
        parsed._template.render_with_context(context, cast("TextIO", target))
    except LiquidError as error:
        _refuse(error, parsed.source)
    except Exceeded as error:
        raise TemplateRefused(str(error)) from None
    except RecursionError:
        raise TemplateRefused("It is nested too deeply.") from None
    except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:  # whatever the language did not expect
        raise TemplateRefused(f"It can't be worked out with these values ({type(error).__name__}).") from None
    return target.getvalue()


def _refuse(error: LiquidError, source: str) -> NoReturn:
    sentence = str(error.message or "It can't be read.")[:_MAX_SENTENCE]
    if ending := _UNCLOSED.fullmatch(sentence):
        line, column = place(source, _left_open(source, ending[1]))
        raise TemplateRefused(f"It ends before {{% end{ending[1]} %}}: this tag is not closed.", line=line, column=column) from None
    sentence = sentence[:1].upper() + sentence[1:] + ("" if sentence.endswith((".", "?")) else ".")
    if error.token is None or error.token.start_index < 0:
        raise TemplateRefused(sentence) from None
    line, column = place(source, error.token.start_index)
    raise TemplateRefused(sentence, line=line, column=column) from None


def _left_open(source: str, name: str) -> int:
    """Return where the last tag of this name stands that nothing closes; the language itself only says that the end came too early."""
    opened: list[int] = []
    for piece in scan(source):
        if piece.text == name and piece.kind is PieceKind.TAG:
            opened.append(piece.at)
        elif piece.text == f"end{name}" and piece.kind is PieceKind.TAG and opened:
            opened.pop()
    return opened[-1] if opened else len(source)


# --- reading ----------------------------------------------------------------------------------------------------------


def _tokens(source: str) -> Iterator[Token]:
    """Yield the tokens that the language's parser takes, cut by our own scanner."""
    for piece in scan(source):
        if piece.kind is PieceKind.TEXT:
            yield Token(TOKEN_CONTENT, piece.text, piece.at, source)
            continue
        yield Token(TOKEN_OUTPUT if piece.kind is PieceKind.OUTPUT else TOKEN_TAG, piece.text, piece.at, source)
        if piece.expression:
            yield Token(TOKEN_EXPRESSION, piece.expression, piece.expression_at, source)


def _nodes(nodes: Iterable[Node], context: RenderContext) -> Iterator[Node]:
    for node in nodes:
        yield node
        yield from _nodes(node.children(context), context)


def _check_expressions(template: BoundTemplate) -> None:
    """Refuse ranges that are not looped over at once (they can be endless) and filters that there are not; have comparisons counted."""
    for node in _nodes(template.nodes, RenderContext(template)):
        for expression in node.expressions():
            _check(expression, node.expression.iterable if isinstance(node, ForNode) else None)
    for name, spans in template.analyze().filters.items():
        if name not in FILTERS:
            near = get_close_matches(name, FILTERS, 1)
            sentence = f"there is no filter {name}; {f'is {near[0]} meant?' if near else 'the docs list those that there are'}"
            raise LiquidError(sentence, token=Token(TOKEN_TAG, "", spans[0].index, ""))


def _check(expression: Expression, looped: Expression | None) -> None:
    if isinstance(expression, RangeLiteral) and expression is not looped:
        raise LiquidError("a range such as (1..5) can stand in {% for … in (1..5) %} only", token=expression.token)
    count_comparison(expression)
    for child in expression.children():
        _check(child, looped)


def _used(template: BoundTemplate, source: str) -> Iterator[Used]:
    for variables in template.analyze().globals.values():
        for variable in variables:
            # behind data[name] nothing is known
            path = tuple(takewhile(lambda segment: isinstance(segment, str | int), variable.segments))
            if path:
                yield Used(cast("tuple[str | int, ...]", path), *place(source, variable.span.index))


# --- rendering --------------------------------------------------------------------------------------------------------


class _Context(RenderContext):
    """Where the steps are counted: everything that a template does asks something of its context."""

    __slots__ = ("meter",)
    meter: Meter

    def __init__(self, template: BoundTemplate, **given: Any) -> None:
        self.meter = Meter()
        super().__init__(template, **given)
        self.scope = ReadOnlyChainMap(self.locals, self.globals)  # without the language's clock and counters

    @property
    def disabled_tags(self) -> list[str]:  # each node asks for it before it is worked off
        """Count the step of a node."""
        self.meter.step()
        return []

    @disabled_tags.setter
    def disabled_tags(self, value: list[str]) -> None:
        pass

    def get(self, path: list[object], **given: Any) -> object:
        """Count the step of a variable."""
        self.meter.step(len(path))
        return super().get(path, **given)

    def get_item(self, obj: Any, key: Any) -> Any:
        """Look into objects and lists, and nothing else."""
        if isinstance(obj, ForLoop | Undefined) and isinstance(key, str):
            return obj[key]
        if isinstance(obj, dict) and isinstance(key, str) and key in obj:
            return obj[key]
        if isinstance(obj, list) and isinstance(key, int) and not isinstance(key, bool):
            return obj[key]
        if key == "size" and isinstance(obj, dict | list | str):
            return len(obj)
        if key in ("first", "last") and isinstance(obj, list):
            return obj[0 if key == "first" else -1]
        raise KeyError(key)

    def filter(self, name: str, token: Token | None) -> Any:
        """Return a filter that counts what it makes."""
        self.meter.step()
        return partial(_filtered, name, self.meter, token)

    def assign(self, key: str, val: Any) -> None:
        """Keep a value."""
        self.meter.step()
        if len(self.locals) >= MAX_LOCALS and key not in self.locals:
            raise Exceeded(f"It assigns more than {MAX_LOCALS} variables.")
        value = _plain(val)
        if isinstance(value, str):
            self.meter.text(len(value))  # it is kept
        self.locals[key] = value

    def get_buffer(self, buf: TextIO | None = None) -> Writer:
        """Return where a capture is kept: as text, which is escaped where it is written."""
        return writer(Style.TEXT, self.meter)


def _filtered(name: str, meter: Meter, token: Token | None, value: Any, *given: Any, **named: Any) -> Any:
    if named:
        raise LiquidError(f"{name} takes no named values", token=token)
    try:
        return FILTERS[name](meter, _plain(value), *map(_plain, given))
    except FilterRefused as error:
        raise LiquidError(f"{name}: {error}", token=token) from None
    except TypeError:
        raise LiquidError(f"{name} does not take {len(given)} values like these", token=token) from None


def _plain(value: Any) -> Any:
    """Return a value of the language as a JSON value."""
    if isinstance(value, str | int | float | dict | list) or value is None:
        return value
    if isinstance(value, Undefined | Empty | Blank):
        return None
    if isinstance(value, tuple):  # a pair of an object that is looped over
        return [_plain(item) for item in value]
    raise LiquidError("forloop is no value; take one of its parts, such as forloop.index", token=None)


class _OutputNode(OutputNode):
    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        return cast("Writer", buffer).put(_plain(self.expression.evaluate(context)))


class _Output(Output):
    node_class = _OutputNode


class _Environment(Environment):
    block_nesting_limit = MAX_DEPTH
    context_depth_limit = MAX_DEPTH * 2
    suppress_blank_control_flow_blocks = False

    def tokenizer(self) -> Any:
        """Return our own scanner."""
        return _tokens

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        """Take only what is safe; filters are looked up by the context."""
        for tag in (Literal, Illegal, _Output, CountedFor, *TAGS):
            self.add_tag(tag)


_ENVIRONMENT = _Environment(globals={})
