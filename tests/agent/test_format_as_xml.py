"""Values as XML for prompts."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Annotated, Any, Generic, TypeVar
from xml.etree import ElementTree as ET

import pytest
from pydantic import BaseModel, Field, RootModel, computed_field
from pydantic.dataclasses import dataclass as pydantic_dataclass

from plait_agent.format_prompt import format_as_xml

T = TypeVar('T')


class Colour(Enum):
    RED = 'r'


class Mood(StrEnum):
    GOOD = 'good'


class Level(IntEnum):
    LOW = 1


class City(BaseModel):
    name: str = Field(title='Name', description='What it is "called"')
    people: int = Field(description='Heads')


class Country(BaseModel):
    capital: City
    others: list[City] = Field(default=[], description='More of them')


class Tree(BaseModel):
    children: list['Tree'] = Field(default=[], description='Below it')


class Box(BaseModel, Generic[T]):
    inside: T


@dataclass
class Point:
    x: int = field(metadata={'description': 'To the right', 'title': 'X', 'unit': 'm'})
    y: int = 0


# Values


@pytest.mark.parametrize(
    ('value', 'text'),
    [
        ('hi', 'hi'),
        (3, '3'),
        (1.5, '1.5'),
        (True, 'True'),
        (None, 'null'),
        (b'by', 'by'),
        (bytearray(b'by'), 'by'),
        (date(2024, 1, 2), '2024-01-02'),
        (datetime(2024, 1, 2, 3), '2024-01-02T03:00:00'),  # noqa: DTZ001
        (time(1, 2), '01:02:00'),
        (timedelta(days=1, seconds=3), '1 day, 0:00:03'),
        (Colour.RED, 'Colour.RED'),
        (Mood.GOOD, 'good'),
        (Level.LOW, '1'),
    ],
    ids=lambda each: type(each).__name__,
)
def test_a_single_value_is_an_item_or_the_root(value, text):
    """A value without parts stands between the tags of the root, or of an item if there is no root."""
    assert format_as_xml(value) == f'<item>{text}</item>'
    assert format_as_xml(value, root_tag='value') == f'<value>{text}</value>'


def test_an_empty_text_closes_its_own_tag():
    """An element with nothing in it is one tag."""
    assert format_as_xml('') == '<item />'
    assert format_as_xml({'a': ''}) == '<a />'


def test_bytes_that_are_no_text_leave_a_mark():
    """What cannot be decoded is replaced, not dropped without a word."""
    assert format_as_xml(b'a\xff') == '<item>a\ufffd</item>'


def test_text_is_escaped():
    """What would be read as a tag is not one."""
    assert format_as_xml({'a': '<b> & "c"'}) == '<a>&lt;b&gt; &amp; "c"</a>'


# Parts


def test_a_mapping_without_a_root_is_its_entries():
    """The entries of a mapping stand alone, line by line; so do nested ones, indented."""
    assert format_as_xml({'a': 1, 'b': {'c': None}}) == '<a>1</a>\n<b>\n  <c>null</c>\n</b>'


def test_a_root_holds_the_parts():
    """With a root tag everything is in it."""
    assert format_as_xml({'a': 1}, root_tag='r') == '<r>\n  <a>1</a>\n</r>'


@pytest.mark.parametrize('items', [[1, 2], (1, 2), range(1, 3)], ids=['list', 'tuple', 'range'])
def test_items_have_the_tag_of_items(items):
    """Each item of a list has the same tag."""
    assert format_as_xml(items, item_tag='n') == '<n>1</n>\n<n>2</n>'


@pytest.mark.parametrize('items', [{1}, frozenset([1]), iter([1])], ids=['set', 'frozenset', 'iterator'])
def test_whatever_can_be_iterated_is_a_list(items):
    """A set is a list, and an iterator is read once, within a root too."""
    assert format_as_xml(items, root_tag='r') == '<r>\n  <item>1</item>\n</r>'


def test_lists_in_lists():
    """A list within a list is an item with items in it."""
    assert format_as_xml([[1], []]) == '<item>\n  <item>1</item>\n</item>\n<item />'


def test_nothing_in_it_is_nothing():
    """An empty container without a root is an empty text, and with one a tag that closes itself."""
    assert format_as_xml([]) == ''
    assert format_as_xml({}, root_tag='r') == '<r />'
    assert format_as_xml({'tags': []}) == '<tags />'


def test_records_are_their_fields():
    """Models and dataclasses are written by field."""
    assert format_as_xml(City(name='Oslo', people=7)) == '<name>Oslo</name>\n<people>7</people>'
    assert format_as_xml(Point(1)) == '<x>1</x>\n<y>0</y>'


def test_records_in_lists_have_the_name_of_their_class():
    """An item that is a record says of which class; as an entry it has the name of the key."""
    assert format_as_xml([Point(1, 2)], indent=None) == '<Point><x>1</x><y>2</y></Point>'
    assert format_as_xml({'p': Point(1, 2)}, indent=None) == '<p><x>1</x><y>2</y></p>'


def test_a_model_shows_what_it_would_show_elsewhere():
    """Computed and extra fields are written, excluded ones are not."""

    class Account(BaseModel, extra='allow'):
        cents: int
        secret: str = Field('x', exclude=True)

        @computed_field
        @property
        def euros(self) -> float:
            return self.cents / 100

    assert format_as_xml(Account(cents=150, note='n'), indent=None) == (
        '<cents>150</cents><euros>1.5</euros><note>n</note>'
    )


def test_a_root_model_is_what_it_holds():
    """The root of a root model has no tag of its own."""

    class Numbers(RootModel[list[int]]):
        pass

    assert format_as_xml({'a': Numbers([1])}, indent=None) == '<a><item>1</item></a>'


# Layout


def test_indentation_can_be_chosen():
    """Any text indents; None writes one line."""
    value = {'a': {'b': 1}}

    assert format_as_xml(value, indent='\t') == '<a>\n\t<b>1</b>\n</a>'
    assert format_as_xml(value, indent='') == '<a>\n<b>1</b>\n</a>'
    assert format_as_xml(value, indent=None) == '<a><b>1</b></a>'


def test_none_can_be_said_otherwise():
    """Another text can stand for None."""
    assert format_as_xml([None, {'a': None}], none_str='-', indent=None) == '<item>-</item><item><a>-</a></item>'


@pytest.mark.parametrize(
    ('name', 'tag'), [('a b', 'a_b'), ('<k>', '_k_'), ('7', '_7'), ('a/b="c"', 'a_b__c_'), ('größe-1', 'größe-1')]
)
def test_a_key_cannot_break_the_tags(name, tag):
    """What cannot stand in a tag becomes an underscore, so that a key from outside opens and closes nothing."""
    text = format_as_xml({name: 1}, root_tag='r')

    assert [each.tag for each in ET.fromstring(text)] == [tag]


def test_numbers_as_keys():
    """A number is a key like another, as far as tags can begin with one."""
    assert format_as_xml({1: 'a'}) == '<_1>a</_1>'


def test_the_class_of_a_generic_record():
    """The brackets in the name of a generic class do not get into the tag."""
    assert format_as_xml([Box[int](inside=1)], indent=None) == '<Box_int_><inside>1</inside></Box_int_>'


# What fields say of themselves


def test_field_info_stands_in_the_tags():
    """Titles and descriptions of fields are attributes, the title first, and are escaped."""
    assert format_as_xml(City(name='Oslo', people=7), include_field_info=True) == (
        '<name title="Name" description="What it is &quot;called&quot;">Oslo</name>\n'
        '<people description="Heads">7</people>'
    )


def test_field_info_of_dataclasses():
    """Dataclasses say it in the metadata of a field, those of pydantic with `Field`."""

    @pydantic_dataclass
    class Checked:
        a: Annotated[int, Field(description='One')]

    assert format_as_xml(Point(1), include_field_info=True) == (
        '<x title="X" description="To the right">1</x>\n<y>0</y>'
    )
    assert format_as_xml(Checked(1), include_field_info=True) == '<a description="One">1</a>'


def test_field_info_is_left_out_unless_asked_for():
    """By default tags are bare."""
    assert format_as_xml(Point(1)) == '<x>1</x>\n<y>0</y>'


def test_field_info_once():
    """`'once'` explains a field where it is met first, also if that is further out."""
    cities = [City(name='Oslo', people=7), City(name='Bern', people=4)]
    country = format_as_xml(Country(capital=cities[0], others=cities), include_field_info='once')
    tree = format_as_xml(Tree(children=[Tree(), Tree()]), include_field_info='once')

    assert country.count('"Heads"') == country.count('"More of them"') == 1
    assert country.index('"Heads"') < country.index('<others')
    assert tree.startswith('<children description="Below it">')
    assert tree.count('description') == 1


# Mistakes


@pytest.mark.parametrize('value', [Decimal(1), object(), int, Point, len], ids=repr)
def test_what_has_no_form_is_refused(value):
    """A value of a kind that has no form here is named."""
    with pytest.raises(TypeError, match=r'^Unsupported type for XML formatting: <class '):
        format_as_xml({'a': [value]})


@pytest.mark.parametrize('key', [1.5, None, Colour.RED], ids=repr)
def test_a_key_has_to_be_a_text_or_a_number(key):
    """A key of another kind is refused with what can be one."""
    with pytest.raises(TypeError, match=r'Unsupported key type for XML formatting: .* only str and int are allowed'):
        format_as_xml({key: 1})


def test_what_contains_itself_has_no_end():
    """A loop is found before it is walked; the same value twice side by side is none."""
    shared = [1]
    loop: list[Any] = [shared, shared]
    assert format_as_xml(loop, indent=None) == '<item><item>1</item></item>' * 2

    loop.append({'again': loop})
    with pytest.raises(ValueError, match='A list contains itself'):
        format_as_xml(loop)


def test_a_failing_iterator_fails():
    """An exception of the caller's own iterator comes out as it is."""

    def items() -> Iterator[int]:
        yield 1
        raise LookupError('mine')

    with pytest.raises(LookupError, match='mine'):
        format_as_xml(items())
