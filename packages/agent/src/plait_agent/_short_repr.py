"""How public records print themselves: what equals its plain default is left out."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any


def short_repr(self: Any) -> str:
    """A record without the fields that have their plain defaults; those with a default factory are always there."""
    shown: list[str] = []
    for field in fields(self):
        value = getattr(self, field.name)
        # A value may be an array, which compares item by item; so None is not compared.
        is_default = value is None if field.default is None else field.default is not MISSING and value == field.default
        if field.repr and not is_default:
            shown.append(f'{field.name}={value!r}')
    return f'{type(self).__qualname__}({", ".join(shown)})'
