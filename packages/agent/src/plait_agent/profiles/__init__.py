"""What a model can do, and how it wants to be asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Self, TypeAlias

if TYPE_CHECKING:
    from plait_agent._json_schema_transformer import JsonSchemaTransformer
    from plait_agent.builtin_tools import AbstractBuiltinTool
    from plait_agent.output import StructuredOutputMode

    DEFAULT_PROFILE: ModelProfile
    """The profile of a model of which nothing is known."""

__all__ = 'DEFAULT_PROFILE', 'ModelProfile', 'ModelProfileSpec'

_PROMPTED_OUTPUT_TEMPLATE = """
Always respond with a JSON object that's compatible with this schema:

{schema}

Don't include any text or Markdown fencing before or after.
"""


def _all_builtin_tools() -> frozenset[type[AbstractBuiltinTool]]:
    from plait_agent.builtin_tools import SUPPORTED_BUILTIN_TOOLS

    return SUPPORTED_BUILTIN_TOOLS


@dataclass(kw_only=True)
class ModelProfile:
    """What a model can do, and how it wants to be asked, whoever serves it."""

    supports_tools: bool = True
    """Whether it can call tools."""
    supports_json_schema_output: bool = False
    """Whether its answer can be bound to a JSON schema (`NativeOutput`)."""
    supports_json_object_output: bool = False
    """Whether its answer can be bound to be some JSON object."""
    supports_image_output: bool = False
    """Whether its answer can be an image."""
    default_structured_output_mode: StructuredOutputMode = 'tool'
    """How structured output is asked for if the output type does not say it."""
    prompted_output_template: str = _PROMPTED_OUTPUT_TEMPLATE
    """What it is told of the schema in `PromptedOutput`."""
    native_output_requires_schema_in_instructions: bool = False
    """Whether it has to be told the schema in `NativeOutput` as well."""
    json_schema_transformer: type[JsonSchemaTransformer] | None = None
    """What makes schemas fit for it."""
    thinking_tags: tuple[str, str] = ('<think>', '</think>')
    """What stands around its thoughts if they come within the text."""
    ignore_streamed_leading_whitespace: bool = False
    """Whether blank text before tool calls and thoughts means nothing."""
    supported_builtin_tools: frozenset[type[AbstractBuiltinTool]] = field(default_factory=_all_builtin_tools)
    """The built-in tools that it knows how to use."""

    @classmethod
    def from_profile(cls, profile: ModelProfile | None) -> Self:
        """Give a profile of this class that says what another profile says."""
        return profile if isinstance(profile, cls) else cls().update(profile)

    def update(self, profile: ModelProfile | None) -> Self:
        """Lay what another profile says beside its defaults over this one."""
        if profile is None:
            return self
        own = {each.name for each in fields(self)}
        return replace(self, **{name: value for name, value in _said(profile).items() if name in own})


ModelProfileSpec: TypeAlias = ModelProfile | Callable[[str], ModelProfile | None]
"""A profile, or a function that finds it by the name of the model."""


def _said(profile: ModelProfile) -> dict[str, Any]:
    """The fields of a profile that are not at their defaults."""
    values = {each: getattr(profile, each.name) for each in fields(profile)}
    return {each.name: value for each, value in values.items() if value != _default(each)}


def _default(each: Field[Any]) -> Any:
    return each.default if each.default_factory is MISSING else each.default_factory()


def __getattr__(name: str) -> Any:
    """Make the default profile when it is first asked for, since it names all built-in tools."""
    if name != 'DEFAULT_PROFILE':
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    profile = globals()[name] = ModelProfile()
    return profile
