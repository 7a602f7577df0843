"""A connection of a server: requests come in, actions are carried out. Knows HTTP and sockets, and no API."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio
import anyio.abc
import h11

from plait_agent.testing._actions import Action, Drop, Head, Pause, Send, SendRaw

if TYPE_CHECKING:
    from anyio.abc import SocketStream

_CLOSE_AT_ONCE = struct.pack('ii', 1, 0)
"""SO_LINGER with no time to linger: closing sends RST."""


@dataclass(frozen=True, slots=True)
class Received:
    """A request, read to its end."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Connection:
    """One connection, with one request after another."""

    def __init__(self, stream: SocketStream):
        self._stream = stream
        self._machine = h11.Connection(h11.SERVER)

    async def receive(self) -> Received | None:
        """The next request; `None` if the client is gone, or says what is no HTTP."""
        try:
            return await self._receive()
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, h11.RemoteProtocolError):
            return None

    async def carry_out(self, actions: Iterable[Action]) -> bool:
        """Do what is to be done; tells whether the connection is there afterwards."""
        try:
            for action in actions:
                if not await self._carry_out(action):
                    return False
            await self._send(h11.EndOfMessage())
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return False
        if self._machine.states != {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE}:
            return False
        self._machine.start_next_cycle()
        return True

    async def _receive(self) -> Received | None:
        head = await self._next_event()
        if not isinstance(head, h11.Request):
            return None
        body = bytearray()
        while isinstance(event := await self._next_event(), h11.Data):
            body += event.data
        headers = {name.decode('latin-1'): value.decode('latin-1') for name, value in head.headers}
        return Received(head.method.decode('ascii'), head.target.decode('latin-1'), headers, bytes(body))

    async def _next_event(self) -> object:
        while (event := self._machine.next_event()) is h11.NEED_DATA:
            self._machine.receive_data(await self._read() or b'')
        return event

    async def _read(self) -> bytes | None:
        """What comes next; `None` if the client has closed."""
        try:
            return await self._stream.receive()
        except anyio.EndOfStream:
            return None

    async def _carry_out(self, action: Action) -> bool:
        """One action; tells whether there can be another."""
        match action:
            case Head(status, headers, length):
                sized = {} if length is None else {'content-length': str(length)}
                await self._send(h11.Response(status_code=status, headers=[*headers.items(), *sized.items()]))
            case Send(data):
                await self._send(h11.Data(data=data))
            case SendRaw(data):
                await self._stream.send(data)
            case Pause(seconds):
                return await self._wait(seconds)
            case Drop(reset):
                if reset:
                    self._break_off()
                return False
        return True

    async def _send(self, event: h11.Event) -> None:
        data = self._machine.send(event)
        if data:
            await self._stream.send(data)

    async def _wait(self, seconds: float | None) -> bool:
        """Wait; tells whether the client is still there."""
        with anyio.move_on_after(seconds):
            while (data := await self._read()) is not None:
                self._machine.receive_data(data)
            return False
        return True

    def _break_off(self) -> None:
        plain = self._stream.extra(anyio.abc.SocketAttribute.raw_socket)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _CLOSE_AT_ONCE)
