"""Which family a model is of by its name, for providers that serve the models of many."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from typing import Any

from plait_agent._json_schema_transformer import JsonSchema, JsonSchemaTransformer
from plait_agent.profiles.openai import OpenAIJsonSchemaTransformer, OpenAIModelProfile


class GoogleInOpenAIJsonSchemaTransformer(JsonSchemaTransformer):
    """Makes schemas fit for Google's models where they are asked in OpenAI's format: they follow no references."""

    def __init__(self, schema: JsonSchema, *, strict: bool | None = None):
        super().__init__(schema, strict=strict, prefer_inlined_defs=True, simplify_nullable_unions=True)

    def transform(self, schema: JsonSchema) -> JsonSchema:
        """Rewrite one schema."""
        for key in ('title', '$schema', 'discriminator'):
            schema.pop(key, None)
        if 'const' in schema:
            schema['enum'] = [schema.pop('const')]
        return schema


_OTHER_DIALECTS: dict[str, type[JsonSchemaTransformer]] = {
    'anthropic': OpenAIJsonSchemaTransformer,
    'google': GoogleInOpenAIJsonSchemaTransformer,
}
"""Families whose own dialect of schemas is none of OpenAI's format, and what they get here."""


def compatible_profile(model_name: str, families: Mapping[str, str], traits: Mapping[str, Any]) -> OpenAIModelProfile:
    """Tell what a model can do that is asked in OpenAI's format.

    Args:
        model_name: The name of the model.
        families: Families by how the names of their models begin, in small letters. A beginning that ends with `/` is
            no part of the name that the family knows; the empty one is for all names that are not known otherwise.
        traits: What the provider says of all its models, as fields of a profile.
    """
    own = OpenAIModelProfile(json_schema_transformer=OpenAIJsonSchemaTransformer, **traits)
    name = model_name.lower()
    start = max((each for each in families if name.startswith(each)), key=len, default=None)
    if start is None:
        return own
    family = families[start]
    profile = own.update(_find(family)(name.removeprefix(start) if start.endswith('/') else name))
    return replace(
        profile,
        json_schema_transformer=_OTHER_DIALECTS.get(family, profile.json_schema_transformer),
        # Only OpenAI itself has this.
        openai_chat_supports_allowed_tools=False,
    )


def _find(family: str) -> Any:
    """The function that knows a family."""
    return getattr(import_module(f'plait_agent.profiles.{family}'), f'{family}_model_profile')
