"""Values that fit a JSON schema, for a model that only pretends.

The values are small and plain. A seed chooses among what a schema allows, so that other seeds give other values.
"""

from __future__ import annotations

from string import ascii_letters, digits, punctuation
from typing import Any, TypeAlias, cast

from plait_agent.exceptions import UserError

JsonSchema: TypeAlias = dict[str, Any]

_CHARACTERS = ascii_letters + digits + punctuation
_DEFS = '#/$defs/'


def generate(schema: JsonSchema, seed: int = 0) -> Any:
    """Make a value that fits a schema.

    Of objects only the required properties are made. A schema that contains itself gets the shallowest value: an empty
    array, another member of the union.

    Raises:
        UserError: Every value of the schema would be infinite, or a reference leads nowhere.
    """
    try:
        return _Generator(schema.get('$defs', {})).value(schema, seed)
    except _EndlessError as error:
        raise UserError(
            f'No finite value fits the definition {error.args[0]!r} of a schema, since it requires itself. '
            f'Make the property that leads back to it optional, or say what is to be answered.'
        ) from None


class _EndlessError(Exception):
    """Raised where a schema leads back into itself; caught where there is another way."""


class _Generator:
    """Makes the values of one schema."""

    def __init__(self, defs: dict[str, JsonSchema]):
        self.defs = defs
        self.inside: list[str] = []
        """The definitions whose values are being made, the innermost last."""

    def value(self, schema: object, seed: int) -> Any:
        """A value of a schema; one that allows everything, or nothing that is known here, gets a text."""
        if not isinstance(schema, dict):
            return _text({}, seed)
        schema = cast('JsonSchema', schema)
        for word in ('enum', 'examples'):
            if 'const' not in schema and schema.get(word):
                return schema[word][seed % len(schema[word])]
        if 'const' in schema:
            return schema['const']
        if '$ref' in schema:
            return self._referred(schema['$ref'], seed)
        if 'anyOf' in schema:
            return self._member(schema['anyOf'], seed)
        return self._typed(schema, seed)

    def _typed(self, schema: JsonSchema, seed: int) -> Any:
        match schema.get('type'):
            case list():
                return self._member([{**schema, 'type': each} for each in schema['type']], seed)
            case 'object':
                return self._object(schema, seed)
            case 'array':
                return self._array(schema, seed)
            case 'integer':
                return _number(schema, seed)
            case 'number':
                return float(_number(schema, seed))
            case 'boolean':
                return seed % 2 == 1
            case 'null':
                return None
            case _:
                return _text(schema, seed)

    def _referred(self, ref: str, seed: int) -> Any:
        """A value of a definition."""
        name = ref.removeprefix(_DEFS)
        if name in self.inside:
            raise _EndlessError(name)
        if name not in self.defs:
            raise UserError(f'A schema refers to {ref!r}, which is not among its definitions: {list(self.defs)}.')
        self.inside.append(name)
        try:
            return self.value(self.defs[name], seed)
        finally:
            self.inside.pop()

    def _member(self, members: list[Any], seed: int) -> Any:
        """A value of the member that the seed chooses; of the next one, if that has no finite value here."""
        endless: _EndlessError | None = None
        for turn in range(len(members)):
            try:
                return self.value(members[(seed + turn) % len(members)], seed)
            except _EndlessError as error:
                endless = endless or error
        raise endless or UserError('A schema has an anyOf without members. Give it some, or leave it out.')

    def _object(self, schema: JsonSchema, seed: int) -> dict[str, Any]:
        required = set(schema.get('required', ()))
        properties: JsonSchema = schema.get('properties', {})
        made = {name: self.value(each, seed) for name, each in properties.items() if name in required}
        if not schema.get('additionalProperties'):
            return made
        name = 'additionalProperty'
        while name in made:
            name += '_'
        try:
            return {**made, name: self.value(schema['additionalProperties'], seed)}
        except _EndlessError:
            return made

    def _array(self, schema: JsonSchema, seed: int) -> list[Any]:
        """The fixed items, then one more if there may be, and as many as there must be."""
        prefix: list[Any] = schema.get('prefixItems', [])
        items: Any = schema.get('items')
        least: int = schema.get('minItems', 0)
        wanted = max(least, len(prefix) + bool(items))
        kinds = [*prefix, *[items] * (wanted - len(prefix))][: schema.get('maxItems')]
        step = bool(schema.get('uniqueItems'))
        made: list[Any] = []
        try:
            for place, kind in enumerate(kinds):
                made.append(self.value(kind, seed + place * step))
        except _EndlessError:
            if len(made) < max(least, len(prefix)):
                raise
        return made


def _number(schema: JsonSchema, seed: int) -> int | float:
    """The smallest number and the seed above it, within the bounds; without a smallest, below the greatest."""
    low = _bound(schema, 'minimum', 'exclusiveMinimum', 1)
    high = _bound(schema, 'maximum', 'exclusiveMaximum', -1)
    if low is None:
        return seed if high is None else high - seed
    return low + seed if high is None else low + seed % ((high - low) or 1)


def _bound(schema: JsonSchema, inclusive: str, exclusive: str, step: int) -> int | float | None:
    if inclusive in schema:
        return schema[inclusive]
    return schema[exclusive] + step if exclusive in schema else None


def _text(schema: JsonSchema, seed: int) -> str:
    """A letter, a date or as many letters as there must be."""
    least: int | None = schema.get('minLength')
    most: int | None = schema.get('maxLength')
    if least is None and most is None and schema.get('format') == 'date':
        from datetime import date, timedelta

        return (date(2024, 1, 1) + timedelta(days=seed)).isoformat()
    return (_letters(seed) * (1 if least is None else least))[:most]


def _letters(seed: int) -> str:
    """The seed written with letters, as the columns of a spreadsheet are: a to ~, aa, ab, ..."""
    text = ''
    number = seed + 1
    while number > 0:
        number, place = divmod(number - 1, len(_CHARACTERS))
        text = _CHARACTERS[place] + text
    return text
