"""Sixty types that programs ask models for; each dialect of JSON schema is tried on all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NamedTuple, NotRequired, TypeVar
from uuid import UUID

import pytest
from annotated_types import Ge, Gt, Le, Len, Lt, MaxLen, MinLen, MultipleOf
from pydantic import (
    AnyUrl,
    AwareDatetime,
    Base64Bytes,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    JsonValue,
    RootModel,
    SecretStr,
    StringConstraints,
    Tag,
)
from typing_extensions import TypeAliasType, TypedDict

from plait_agent import Agent, NativeOutput
from plait_agent.models.function import AgentInfo, FunctionModel
from plait_agent.profiles import ModelProfile

# Plain


class City(BaseModel):
    name: str
    country: str


class Described(BaseModel):
    """A place on a map."""

    name: str = Field(description='What people call it.', examples=['Lima'], title='The name')
    height: float = Field(description='Metres above the sea.')


class WithDefaults(BaseModel):
    name: str = 'nobody'
    age: int = 0
    tags: list[str] = Field(default_factory=list)


class WithOptional(BaseModel):
    name: str
    nickname: str | None
    motto: str | None = None


class Aliased(BaseModel):
    first_name: str = Field(alias='firstName')
    class_: str = Field(alias='class')


class Forbidding(BaseModel):
    model_config = ConfigDict(extra='forbid')
    name: str


class Allowing(BaseModel):
    model_config = ConfigDict(extra='allow')
    name: str


class Empty(BaseModel):
    """Nothing to say."""


@dataclass
class Point:
    x: float
    y: float = 0.0


@dataclass
class Track:
    points: list[Point] = field(default_factory=list[Point])
    name: str | None = None


class Person(TypedDict):
    name: str
    age: NotRequired[int]


class Pair(NamedTuple):
    left: int
    right: str


# Nested


class Street(BaseModel):
    name: str
    number: int | None = None


class Address(BaseModel):
    street: Street
    city: City


class Company(BaseModel):
    name: str
    seat: Address
    branches: list[Address]


class Inventory(BaseModel):
    items: dict[str, int]


class Atlas(BaseModel):
    cities: dict[str, City]
    by_letter: dict[str, list[City]]


class Deep(BaseModel):
    levels: list[list[list[int]]]


class Twice(BaseModel):
    home: City
    birthplace: City = Field(description='Where it began.')


class Mixed(BaseModel):
    anything: Any
    json_value: JsonValue
    values: list[Any]


# Enums and literals


class Colour(StrEnum):
    RED = 'red'
    GREEN = 'green'


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Odd(Enum):
    ONE = 1
    TWO = 'two'
    NONE = None


class Painted(BaseModel):
    colour: Colour
    level: Level = Level.LOW
    kind: Literal['car'] = 'car'


class Choices(BaseModel):
    odd: Odd
    size: Literal['s', 'm', 'l']
    mixed: Literal[1, 'one', True, None]


class Coloured(BaseModel):
    by_colour: dict[Colour, int]


# Dates and other things that are strings in JSON


class Event(BaseModel):
    day: date
    at: time
    begins: datetime
    lasts: timedelta


class Appointment(BaseModel):
    begins: AwareDatetime
    ends: datetime | None = None


class Account(BaseModel):
    id: UUID
    balance: Decimal
    site: AnyUrl
    host: IPv4Address
    file: Path
    secret: SecretStr
    data: Base64Bytes


# Constraints


class Bounded(BaseModel):
    percent: Annotated[int, Ge(0), Le(100)]
    ratio: Annotated[float, Gt(0), Lt(1)]
    step: Annotated[int, MultipleOf(5)]


class Texts(BaseModel):
    code: Annotated[str, StringConstraints(pattern=r'^[A-Z]{3}$')]
    short: Annotated[str, MaxLen(10)]
    present: Annotated[str, MinLen(1)]
    both: Annotated[str, Len(2, 5)]


class Lists(BaseModel):
    some: Annotated[list[int], MinLen(1), MaxLen(3)]
    distinct: set[str]
    frozen: frozenset[int]
    pair: tuple[int, str]
    many: tuple[int, ...]
    bounded: Annotated[list[Annotated[int, Ge(1)]], MinLen(2)]


class Money(BaseModel):
    amount: Annotated[Decimal, Field(max_digits=8, decimal_places=2, ge=0)]
    currency: Annotated[str, StringConstraints(min_length=3, max_length=3, to_upper=True)]


# Unions


class Cat(BaseModel):
    kind: Literal['cat']
    lives: int = 9


class Dog(BaseModel):
    kind: Literal['dog']
    breed: str | None = None


class Owner(BaseModel):
    pet: Cat | Dog


class Kennel(BaseModel):
    pets: list[Annotated[Cat | Dog, Field(discriminator='kind')]]


class Loose(BaseModel):
    value: int | str | list[float] | None


def _sort_of(value: Any) -> str:
    return 'city' if isinstance(value, (City, dict)) else 'text'


class Tagged(BaseModel):
    place: Annotated[Annotated[City, Tag('city')] | Annotated[str, Tag('text')], Discriminator(_sort_of)]


class MaybePet(BaseModel):
    pet: Cat | Dog | None = None


# Recursion


class Tree(BaseModel):
    value: int
    children: list['Tree'] = []


class Chain(BaseModel):
    value: str
    next: 'Chain | None' = None


class Husband(BaseModel):
    name: str
    wife: 'Wife | None' = None


class Wife(BaseModel):
    name: str
    husband: Husband | None = None


class Forest(BaseModel):
    trees: dict[str, Tree]


class Expression(BaseModel):
    operator: Literal['+', '*']
    operands: list['Expression | float']


Nested = TypeAliasType('Nested', 'dict[str, Nested] | list[Nested] | str')


class Wild(BaseModel):
    content: Nested


# Generics and roots

T = TypeVar('T')


class Box(BaseModel, Generic[T]):
    content: T
    label: str | None = None


class Page(BaseModel, Generic[T]):
    items: list[T]
    next: int | None


@dataclass
class Wrapper(Generic[T]):
    content: T


class Cities(RootModel[list[City]]):
    """Some cities."""


class Names(RootModel[dict[str, str]]):
    """Names by language."""


OUTPUT_TYPES: dict[str, Any] = {
    'model': City,
    'model with descriptions': Described,
    'model with defaults': WithDefaults,
    'model with optional fields': WithOptional,
    'model with aliases': Aliased,
    'model that forbids more': Forbidding,
    'model that allows more': Allowing,
    'model without fields': Empty,
    'dataclass': Point,
    'dataclass with a list': Track,
    'typed dictionary': Person,
    'named tuple': Pair,
    'model in a model': Address,
    'models in models in lists': Company,
    'mapping to numbers': Inventory,
    'mappings to models and lists': Atlas,
    'lists in lists': Deep,
    'one model twice': Twice,
    'anything': Mixed,
    'enums': Painted,
    'literals and mixed enums': Choices,
    'mapping from an enum': Coloured,
    'dates and times': Event,
    'aware and optional dates': Appointment,
    'formats': Account,
    'bounded numbers': Bounded,
    'bounded texts': Texts,
    'bounded lists, sets and tuples': Lists,
    'decimals': Money,
    'union': Owner,
    'union told apart': Kennel,
    'union of plain types': Loose,
    'union told apart by a function': Tagged,
    'optional union': MaybePet,
    'tree': Tree,
    'chain': Chain,
    'mutual recursion': Husband,
    'mapping of trees': Forest,
    'recursion in a union': Expression,
    'recursive alias': Wild,
    'generic model of a number': Box[int],
    'generic model of a model': Box[City],
    'generic of a generic': Box[Page[City]],
    'generic page of dates': Page[date],
    'generic of a union': Page[Cat | Dog],
    'generic of a tree': Box[Tree],
    'generic dataclass': Wrapper[City],
    'root list': Cities,
    'root mapping': Names,
    'text': str,
    'number': int,
    'float': float,
    'truth': bool,
    'list of numbers': list[int],
    'list of models': list[City],
    'sequence of texts': Sequence[str],
    'mapping': Mapping[str, float],
    'optional model': City | None,
    'enum alone': Colour,
    'date alone': date,
}
"""The types, by what is special about each."""


class Seen(Exception):
    """Ends a run once the model has seen what is asked of it."""


async def schema_of(output_type: Any) -> dict[str, Any]:
    """The schema that a model would be given for an output type."""
    seen: list[dict[str, Any]] = []

    def look(messages: Any, info: AgentInfo) -> Any:
        output = info.model_request_parameters.output_object
        assert output is not None
        seen.append(output.json_schema)
        raise Seen

    model = FunctionModel(look, profile=ModelProfile(supports_json_schema_output=True))
    with pytest.raises(Seen):
        await Agent(model, output_type=NativeOutput(output_type)).run('Hello')
    return seen[0]
