"""What Amazon's models can do."""

from __future__ import annotations

from plait_agent._json_schema_transformer import InlineDefsJsonSchemaTransformer
from plait_agent.profiles import ModelProfile

__all__ = ('amazon_model_profile',)


def amazon_model_profile(model_name: str) -> ModelProfile | None:
    """Tell what a model of Amazon can do by its name."""
    return ModelProfile(json_schema_transformer=InlineDefsJsonSchemaTransformer)
