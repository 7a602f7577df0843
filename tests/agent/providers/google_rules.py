"""What Google says of the schemas that it takes, as a check that knows nothing of how we rewrite them.

By its documentation of `responseJsonSchema`: only some keywords count, enums are of texts or numbers, nothing but other
keywords with `$` stands beside a reference, references lead to definitions of the same schema, and those that lead back
only within properties that are not required.
"""

from typing import Any

KEYWORDS = {
    '$defs', '$ref', '$id', '$anchor', 'type', 'format', 'title', 'description', 'enum', 'items', 'prefixItems',
    'minItems', 'maxItems', 'minimum', 'maximum', 'anyOf', 'oneOf', 'properties', 'additionalProperties', 'required',
    'propertyOrdering',
}  # fmt: skip
ANNOTATIONS = {'default'}
"""Not among the keywords, and without meaning for what is valid."""
_DEFS = '#/$defs/'


def find_faults(schema: dict[str, Any]) -> list[str]:
    """What Google would refuse a schema for, or leave out of account."""
    defs: dict[str, Any] = schema.get('$defs', {})
    root = {key: value for key, value in schema.items() if key != '$defs'}
    faults = _faults(root, 'root', defs, [])
    for name, each in defs.items():
        faults += _faults(each, name, defs, [name])
    return faults


def _faults(schema: Any, path: str, defs: dict[str, Any], within: list[str]) -> list[str]:
    """The faults of a schema; `within` is the definition that it is required in, as far as it is."""
    if isinstance(schema, bool):
        return []
    faults = [f'{path}: {key} is not known' for key in schema.keys() - KEYWORDS - ANNOTATIONS]
    if '$ref' in schema:
        return faults + _reference_faults(schema, path, defs, within)
    odd = [value for value in schema.get('enum', ()) if type(value) not in (str, int, float)]
    faults += [f'{path}: {value!r} in an enum' for value in odd]
    for name, each in schema.get('properties', {}).items():
        inner = within if name in schema.get('required', ()) else []
        faults += _faults(each, f'{path}.{name}', defs, inner)
    faults += [f'{path} lacks {name}' for name in schema.get('required', ()) if name not in schema['properties']]
    for key in ('items', 'additionalProperties'):
        faults += _faults(schema.get(key, True), f'{path}[{key}]', defs, within)
    for key in ('anyOf', 'oneOf', 'prefixItems'):
        for each in schema.get(key, ()):
            faults += _faults(each, f'{path}|', defs, within)
    return faults


def _reference_faults(schema: dict[str, Any], path: str, defs: dict[str, Any], within: list[str]) -> list[str]:
    name = schema['$ref'].removeprefix(_DEFS)
    if name not in defs or not schema['$ref'].startswith(_DEFS):
        return [f'{path} refers to {schema["$ref"]}']
    faults = [f'{path}: {key} beside a reference' for key in schema if not key.startswith('$')]
    if any(_leads_to(name, target, defs, set()) for target in within):
        faults.append(f'{path} leads back and is required')
    return faults


def _leads_to(name: str, target: str, defs: dict[str, Any], seen: set[str]) -> bool:
    """Whether a definition is another one, or refers to it in some steps."""
    if name == target:
        return True
    if name in seen or name not in defs:
        return False
    seen.add(name)
    return any(_leads_to(each, target, defs, seen) for each in _names(defs[name]))


def _names(schema: Any) -> list[str]:
    if isinstance(schema, list):
        return [name for each in schema for name in _names(each)]
    if not isinstance(schema, dict):
        return []
    own = [schema['$ref'].removeprefix(_DEFS)] if isinstance(schema.get('$ref'), str) else []
    return own + [name for each in schema.values() for name in _names(each)]
