"""A file of requests and their answers, a line of JSON for each, and what is looked up in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plait_agent.exceptions import UserError

if TYPE_CHECKING:
    from plait_agent.models._recording import Json

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its answer, as JSON."""

    request: Json
    response: Json


class RecordingFile:
    """The exchanges of a file, in the order in which they were recorded.

    Args:
        path: Where the file is; it need not be there yet.
        match: Gives what has to be the same of two requests.
    """

    def __init__(self, path: Path, match: Callable[[Json], Any]):
        self.path = path
        self.model: Json = {}
        """What is known of the model that was recorded."""
        self.exchanges: list[Exchange] = []
        self._match = match
        self._told: set[int] = set()
        """The places of the exchanges that were looked up already."""

    def load(self) -> None:
        """Read the file, if it is there.

        Raises:
            UserError: A line of it cannot be read.
        """
        if not self.path.exists():
            return
        # Not `splitlines`, which finds ends of lines within texts.
        for number, line in enumerate(self.path.read_text(encoding='utf-8').rstrip('\n').split('\n'), 1):
            try:
                record: Json = json.loads(line)
                if number == 1:
                    self.model = _read_model(record)
                else:
                    self.exchanges.append(Exchange(record['request'], record['response']))
            except (ValueError, KeyError, TypeError) as error:
                raise UserError(
                    f'Line {number} of the recording {self.path} cannot be read ({error!r}). '
                    f"Mend it, or record anew with mode='record'."
                ) from error

    def find(self, request: Json) -> Json | None:
        """The answer to a request; of several answers each in its turn, and then the last one again and again."""
        wanted = self._match(request)
        places = [place for place, each in enumerate(self.exchanges) if self._match(each.request) == wanted]
        if not places:
            return None
        place = next((place for place in places if place not in self._told), places[-1])
        self._told.add(place)
        return self.exchanges[place].response

    def find_nearest(self, request: Json) -> int:
        """The place of the recorded request that is most like another one."""
        asked = readable_lines(request)

        def likeness(place: int) -> tuple[float, float]:
            return _likeness(readable_lines(self.exchanges[place].request), asked)

        return max(range(len(self.exchanges)), key=likeness)

    def begin(self, model: Json) -> None:
        """Write a new file for a model, in the place of one that is there."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.model = model
        self.exchanges.clear()
        self._told.clear()
        self.path.write_text(_line({'recording': _VERSION, **model}), encoding='utf-8')

    def add(self, request: Json, response: Json) -> None:
        """Write an exchange at the end of the file."""
        # It has been told to the one who recorded it.
        self._told.add(len(self.exchanges))
        self.exchanges.append(Exchange(request, response))
        with self.path.open('a', encoding='utf-8') as file:
            file.write(_line({'request': request, 'response': response}))


def _read_model(record: Json) -> Json:
    version = record.pop('recording')
    if version != _VERSION:
        raise ValueError(f'it is of version {version}, and version {_VERSION} is known')
    return record


def _likeness(recorded: list[str], asked: list[str]) -> tuple[float, float]:
    """How much two texts have in common: first in whole lines, then within the lines that differ."""
    from difflib import SequenceMatcher

    lines = SequenceMatcher(None, recorded, asked, autojunk=False)
    changed = [code for code in lines.get_opcodes() if code[0] != 'equal']
    before = ''.join(line for _, start, end, _, _ in changed for line in recorded[start:end])
    after = ''.join(line for _, _, _, start, end in changed for line in asked[start:end])
    return lines.ratio(), SequenceMatcher(None, before, after, autojunk=False).quick_ratio()


def _line(record: Json) -> str:
    return f'{json.dumps(record, ensure_ascii=False)}\n'


def readable_lines(request: Json) -> list[str]:
    """A request as people read it."""
    return json.dumps(request, ensure_ascii=False, indent=2).split('\n')
