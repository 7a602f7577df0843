"""Values as XML for a prompt: models read tags well.

A value becomes a tree of elements first, and the tree becomes text afterwards. Nothing here knows of agents.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import date, time, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ('format_as_xml',)


def format_as_xml(
    obj: Any,
    root_tag: str | None = None,
    item_tag: str = 'item',
    none_str: str = 'null',
    indent: str | None = '  ',
    include_field_info: Literal['once'] | bool = False,
) -> str:
    r"""Write a value as XML that goes into a prompt.

    Takes text, bytes, numbers, dates and times, enums, None, mappings, iterables, dataclasses and pydantic models,
    nested as deep as they like. Keys and class names become tags; what cannot stand in a tag becomes `_` there.

    Args:
        obj: The value.
        root_tag: The tag around everything. Without one, what is inside a mapping, record or list stands alone, line
            by line, and a single value is an item.
        item_tag: The tag of the items of a list that are not records; those have the name of their class.
        none_str: What stands for None.
        indent: How much deeper elements are indented; None writes everything into one line.
        include_field_info: Whether the title and the description of a record's field stand in its tag; `'once'` writes
            them only where a field is met first.

    Raises:
        TypeError: A value, or the key of a mapping, is of a kind that has no form here.
        ValueError: A value contains itself.

    Example:
        >>> print(format_as_xml({'name': 'John', 'height': 6}, root_tag='user'))
        <user>
          <name>John</name>
          <height>6</height>
        </user>
    """
    content = _Reader(item_tag=item_tag, none_str=none_str, field_info=include_field_info).content(obj)
    if root_tag is not None:
        elements = [_Element(_tag(root_tag), content)]
    elif isinstance(content, str):
        elements = [_Element(_tag(item_tag), content)]
    else:
        elements = content
    lines = (line for element in elements for line in _lines(element, indent or '', ''))
    return ('' if indent is None else '\n').join(lines)


@dataclass(frozen=True, slots=True)
class _Element:
    tag: str
    content: _Content
    attributes: str = ''


_Content: TypeAlias = str | list[_Element]
"""Text, or elements."""


@dataclass(slots=True)
class _Reader:
    """Turns values into elements."""

    item_tag: str
    none_str: str
    field_info: Literal['once'] | bool
    explained: set[tuple[type, str]] = field(default_factory=set[tuple[type, str]])
    """The fields whose title and description have been written."""
    inside: list[Any] = field(default_factory=list[Any])
    """The containers around the value that is being read."""

    def content(self, value: Any) -> _Content:
        """What stands between the tags of a value."""
        text = self._text(value)
        if text is not None:
            return text
        if any(value is each for each in self.inside):
            raise ValueError(f'A {type(value).__name__} contains itself, which has no end as XML. Leave the loop out.')
        self.inside.append(value)
        try:
            return self._parts(value)
        finally:
            self.inside.pop()

    def _text(self, value: Any) -> str | None:
        """A single value, or None for what has parts."""
        match value:
            case None:
                return self.none_str
            case str():
                return value
            case bytes() | bytearray():
                return value.decode(errors='replace')
            case date() | time():
                return value.isoformat()
            case int() | float() | timedelta() | Enum():
                return str(value)
            case _:
                return None

    def _parts(self, value: Any) -> _Content:
        from pydantic import BaseModel, RootModel

        if isinstance(value, RootModel):
            return self.content(cast('RootModel[Any]', value).root)
        if isinstance(value, Mapping):
            return [_Element(_key_tag(key), self.content(item)) for key, item in cast('_AnyMapping', value).items()]
        if isinstance(value, BaseModel):
            return self._fields(value, _model_fields(value))
        if is_dataclass(value) and not isinstance(value, type):
            return self._fields(value, (each.name for each in fields(value)))
        if isinstance(value, Iterable):
            return [_Element(self._item_tag(item), self.content(item)) for item in cast('Iterable[Any]', value)]
        raise TypeError(f'Unsupported type for XML formatting: {type(value)}')

    def _fields(self, record: Any, names: Iterable[str]) -> list[_Element]:
        kind = cast('Any', type(record))
        return [self._field(kind, name, getattr(record, name)) for name in names]

    def _field(self, kind: type, name: str, value: Any) -> _Element:
        attributes = self._attributes(kind, name)  # before the content, where the same field may be met again
        return _Element(_tag(name), self.content(value), attributes)

    def _attributes(self, kind: type, name: str) -> str:
        """The title and the description of a field, as the options want them."""
        if not self.field_info or (kind, name) in self.explained:
            return ''
        if self.field_info == 'once':
            self.explained.add((kind, name))
        return ''.join(f' {key}="{text.translate(_IN_ATTRIBUTES)}"' for key, text in _explanations(kind, name))

    def _item_tag(self, item: Any) -> str:
        from pydantic import BaseModel

        is_record = isinstance(item, BaseModel) or (is_dataclass(item) and not isinstance(item, type))
        return _tag(type(item).__name__ if is_record else self.item_tag)


def _model_fields(model: BaseModel) -> Iterator[str]:
    kind = type(model)
    yield from (name for name, each in kind.model_fields.items() if not each.exclude)
    yield from kind.model_computed_fields
    yield from model.model_extra or ()


def _explanations(kind: Any, name: str) -> Iterator[tuple[str, str]]:
    """What a field says of itself: in pydantic's `Field`, in `computed_field` or in the metadata of a dataclass."""
    owners = ('__pydantic_fields__', '__pydantic_computed_fields__')
    source: Any = next((info for owner in owners if (info := getattr(kind, owner, {}).get(name))), None)
    metadata: Mapping[str, Any] = kind.__dataclass_fields__[name].metadata if is_dataclass(kind) else {}
    for key in ('title', 'description'):
        text = getattr(source, key, None) or metadata.get(key)
        if text:
            yield key, str(text)


def _key_tag(key: object) -> str:
    if not isinstance(key, str | int):
        raise TypeError(f'Unsupported key type for XML formatting: {type(key)}, only str and int are allowed')
    return _tag(str(key))


def _tag(name: str) -> str:
    """A name with `_` for all that would break a tag."""
    tag = re.sub(r'[^\w.-]', '_', name)
    return tag if re.match(r'[^\W\d]', tag) else f'_{tag}'


def _lines(element: _Element, indent: str, margin: str) -> Iterator[str]:
    opening = f'{margin}<{element.tag}{element.attributes}'
    if not element.content:
        yield f'{opening} />'
    elif isinstance(element.content, str):
        yield f'{opening}>{element.content.translate(_IN_TEXT)}</{element.tag}>'
    else:
        yield f'{opening}>'
        for each in element.content:
            yield from _lines(each, indent, margin + indent)
        yield f'{margin}</{element.tag}>'


_AnyMapping: TypeAlias = Mapping[Any, Any]
_IN_TEXT = str.maketrans({'&': '&amp;', '<': '&lt;', '>': '&gt;'})
_IN_ATTRIBUTES = {**_IN_TEXT, ord('"'): '&quot;', ord('\n'): '&#10;'}
