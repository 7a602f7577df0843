"""Finding what the command line names: the agent, what its runs are given, and what went wrong on the way.

Everything that can be wrong with a name is told in one line.
"""

from __future__ import annotations

import os
import re
import sys
from importlib import import_module
from inspect import iscoroutinefunction
from pathlib import Path
from types import ModuleType, NoneType
from typing import Any, cast

from plait_agent.agent import AbstractAgent
from plait_agent.exceptions import UserError

_REFERENCE = re.compile(r'(?:[A-Za-z]:(?=[\\/]))?[^\s:]+:[A-Za-z_][\w.]*')
_FILE = re.compile(r'\S+\.py')


def is_reference(word: str) -> bool:
    """Whether a word of the command line names an agent, and is no question."""
    return bool(_REFERENCE.fullmatch(word) or _FILE.fullmatch(word))


def find_agent(reference: str) -> AbstractAgent[Any, Any]:
    """Import an agent: `module:name`, `path/to/file.py:name`, or a file with one agent.

    Raises:
        UserError: There is no such agent.
    """
    where, name = _take_apart(reference)
    module = _import(where)
    if not name:
        return _only_agent(module, where)
    found: Any = _attribute(module, name, where)
    if not isinstance(found, AbstractAgent):
        raise UserError(f'{reference!r} is a {type(found).__name__} and no agent. {_agents_in(module, where)}')
    return cast('AbstractAgent[Any, Any]', found)


def find_deps(reference: str) -> Any:
    """Import what makes dependencies, and call it; what cannot be called is the dependencies itself.

    Raises:
        UserError: There is no such thing, or it failed.
    """
    where, name = _take_apart(reference)
    if not name:
        raise UserError(f'--deps {reference!r} names no function. Say module:function.')
    found = _attribute(_import(where), name, where)
    if not callable(found):
        return found
    if iscoroutinefunction(found):
        raise UserError(f'--deps {reference!r} is asynchronous. Name a function that is not.')
    try:
        return found()
    except Exception as error:
        raise UserError(f'--deps {reference!r} failed: {_in_short(error)}. --debug shows where.') from error


def check_deps(agent: AbstractAgent[Any, Any], deps: str | None) -> None:
    """See whether an agent that needs dependencies is given some.

    Raises:
        UserError: It is not.
    """
    if deps is None and agent.deps_type is not NoneType:
        name = getattr(agent.deps_type, '__name__', agent.deps_type)
        raise UserError(f'The agent needs dependencies ({name}). Name what makes them: --deps module:function')


def _take_apart(reference: str) -> tuple[str, str]:
    """Module or file, and name. A drive of Windows has a colon of its own."""
    where, colon, name = reference.rpartition(':')
    return (where, name) if colon and not _FILE.fullmatch(reference) else (reference, '')


def _import(where: str) -> ModuleType:
    folder = os.getcwd()  # noqa: PTH109 # sys.path has texts
    if folder not in sys.path:
        sys.path.insert(0, folder)
    is_file = where.endswith('.py')
    if is_file and not Path(where).is_file():
        raise UserError(f'There is no file {where!r}, seen from {folder!r}.')
    try:
        return _import_file(Path(where)) if is_file else import_module(where)
    except ModuleNotFoundError as error:
        if error.name is not None and f'{where}.'.startswith(f'{error.name}.'):
            raise UserError(
                f'There is no module {error.name!r}. Name one that can be imported from {folder!r}, or a file: '
                f'path/to/file.py:agent'
            ) from error
        raise _failed_import(where, error) from error
    except (Exception, SystemExit) as error:
        raise _failed_import(where, error) from error


def _import_file(path: Path) -> ModuleType:
    """Import a file as Python would import it from its own folder, which can be imported from afterwards."""
    from importlib.util import module_from_spec, spec_from_file_location

    path = path.resolve()
    known = sys.modules.get(path.stem)
    if known is not None and getattr(known, '__file__', None) == str(path):
        return known
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    name = path.stem if known is None else f'plait_chat_{path.stem}'  # a file may be named like a module
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserError(f'{str(path)!r} cannot be imported.')
    module = sys.modules[name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _failed_import(where: str, error: BaseException) -> UserError:
    return UserError(f'{where!r} cannot be imported: {_in_short(error)}. --debug shows where.')


def _attribute(module: ModuleType, name: str, where: str) -> Any:
    found: Any = module
    for part in name.split('.'):
        try:
            found = getattr(found, part)
        except AttributeError as error:
            raise UserError(f'{where!r} has no {name!r}. {_agents_in(module, where)}') from error
    return found


def _only_agent(module: ModuleType, where: str) -> AbstractAgent[Any, Any]:
    agents = {id(agent): agent for agent in _agents_of(module).values()}
    if len(agents) != 1:
        raise UserError(f'{where!r} has {len(agents)} agents, and one has to be named. {_agents_in(module, where)}')
    return next(iter(agents.values()))


def _agents_in(module: ModuleType, where: str) -> str:
    """Which agents a module has, for who has named none of them."""
    names = [f'{where}:{name}' for name in _agents_of(module)]
    return f'Its agents are {", ".join(names)}.' if names else 'There is no agent in it.'


def _agents_of(module: ModuleType) -> dict[str, AbstractAgent[Any, Any]]:
    return {name: value for name, value in vars(module).items() if isinstance(value, AbstractAgent)}


def _in_short(error: BaseException) -> str:
    """An error in one line, with the line of the program that it comes from."""
    from traceback import extract_tb

    from plait_agent._chat.wording import one_line_of

    said = one_line_of(f'{type(error).__name__}: {error}' if str(error) else type(error).__name__)
    ours = Path(__file__).parents[1]
    frames = [
        frame
        for frame in extract_tb(error.__traceback__)
        if not frame.filename.startswith('<') and ours not in Path(frame.filename).parents
    ]
    return f'{said} ({frames[-1].filename}, line {frames[-1].lineno})' if frames else said
