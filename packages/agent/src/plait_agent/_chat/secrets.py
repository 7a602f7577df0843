"""What must not be seen: keys, wherever a provider or a library repeats them."""

from __future__ import annotations

import os
import re

_NAMES = re.compile(r'KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL', re.IGNORECASE)
_SHORTEST = 8
"""What is shorter is no key, and may well be a word of the text."""
_KEYS = re.compile(
    r'\b(?:sk|pk|rk|gsk|xai|hf|ghp|github_pat|r8)[-_][\w-]{12,}|\bAIza[\w-]{20,}|(?<=Bearer )[\w.~+/=-]{8,}'
)
"""How the keys of well-known providers look."""


def redact(text: str) -> str:
    """Take keys out of a text: values of variables whose names say that they are secret, and what looks like a key."""
    for name, value in os.environ.items():
        if _NAMES.search(name) and len(value) >= _SHORTEST:
            text = text.replace(value, f'[{name}]')
    return _KEYS.sub('[key]', text)
