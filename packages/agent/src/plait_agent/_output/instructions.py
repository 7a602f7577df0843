"""What a model is told of the data that it has to give as JSON text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plait_agent.output import OutputObjectDefinition

_SCHEMA = '{schema}'


def filled_template(template: str, wanted: OutputObjectDefinition) -> str:
    """A template with the schema of what is wanted in place of `{schema}`, or below it if there is no such place."""
    import json

    told = {'title': wanted.name, 'description': wanted.description}
    schema = json.dumps(wanted.json_schema | {key: text for key, text in told.items() if text})
    return template.replace(_SCHEMA, schema) if _SCHEMA in template else f'{template}\n\n{schema}'
