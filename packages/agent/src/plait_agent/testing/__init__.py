"""For tests of programs that ask models: a local server that answers as providers do, and goes wrong as they do.

    from plait_agent.testing import Answer, HttpError, MisbehavingServer

    async with MisbehavingServer([HttpError(529), Answer('Hello')]) as server: ...

A script says what is done with each request: a good `Answer`, or a fault. `chaos` mixes both by chance. Models that
need no server are `TestModel`, `FunctionModel` and `RecordedModel`.
"""

from plait_agent.testing._actions import Action, Behavior, Drop, Head, Pause, Send, SendRaw
from plait_agent.testing._exchange import Exchange, Where
from plait_agent.testing.answers import Answer, Call, Finish, Framing
from plait_agent.testing.faults import (
    Cut,
    Disconnect,
    ErrorEvent,
    Garbled,
    HttpError,
    Newer,
    Noise,
    Raw,
    Redirect,
    Silence,
    Slow,
    Stall,
    WrongType,
)
from plait_agent.testing.requests import ReceivedRequest
from plait_agent.testing.scripts import FAULTS, Script, chaos
from plait_agent.testing.server import MisbehavingServer, refusing_url

__all__ = (
    'FAULTS',
    'Action',
    'Answer',
    'Behavior',
    'Call',
    'Cut',
    'Disconnect',
    'Drop',
    'ErrorEvent',
    'Exchange',
    'Finish',
    'Framing',
    'Garbled',
    'Head',
    'HttpError',
    'MisbehavingServer',
    'Newer',
    'Noise',
    'Pause',
    'Raw',
    'ReceivedRequest',
    'Redirect',
    'Script',
    'Send',
    'SendRaw',
    'Silence',
    'Slow',
    'Stall',
    'Where',
    'WrongType',
    'chaos',
    'refusing_url',
)
