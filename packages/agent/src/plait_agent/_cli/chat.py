"""`plait chat`: talk with an agent, or with a model, in the terminal."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from shlex import join
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from plait_agent.exceptions import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from plait_agent._chat.conversation import Conversation
    from plait_agent._chat.sessions import Session
    from plait_agent.agent import AbstractAgent

app = App(name='chat', help='Talk with an agent, or with a model, in the terminal.')

OK, FAILED, BAD_INPUT, STOPPED = 0, 1, 2, 130
"""How the command ends."""


@app.default
def chat(
    *words: Annotated[str, Parameter(name='AGENT QUESTION')],
    model: Annotated[str | None, Parameter(name=['--model', '-m'])] = None,
    resume: Annotated[list[str] | None, Parameter(consume_multiple=True, negative=())] = None,
    deps: str | None = None,
    thinking: bool = True,
    debug: Annotated[bool, Parameter(negative=())] = False,
    list_: Annotated[bool, Parameter(name='--list', negative=())] = False,
) -> int:
    """Talk with an agent, or with a model, in the terminal.

    With a question, or with text on the standard input, the answer is printed, and that is all.

    Args:
        words: The agent, as `module:agent` or `path/to/file.py:agent`, and a question. Each may be left out.
        model: The model to be asked, such as `openai:gpt-5`, instead of the agent's.
        resume: Go on with a chat that is kept: its name, or a file; the latest if neither is given.
        deps: What makes the dependencies of the agent: `module:function`.
        thinking: Show what the model thinks.
        debug: Show errors with their tracebacks.
        list_: List the chats that are kept.
    """
    try:
        if list_:
            return _list()
        return _chat(words, model, resume, deps, thinking=thinking, debug=debug)
    except (UserError, ValueError, ImportError) as error:
        return _refuse(error, BAD_INPUT, debug=debug)
    except Exception as error:  # noqa: BLE001 # a toolset that cannot be entered, for example
        return _refuse(error, FAILED, debug=debug)
    except KeyboardInterrupt:
        return STOPPED


def _chat(
    words: tuple[str, ...],
    model: str | None,
    resume: list[str] | None,
    deps: str | None,
    *,
    thinking: bool,
    debug: bool,
) -> int:
    from anyio import run

    from plait_agent._chat.sessions import find_session

    name, more_words = _name_of_session(resume or [])
    reference, question = _sort_out((*words, *more_words))
    prompt = _with_piped_text(question)
    agent = _agent(reference, deps)
    session = None if resume is None else find_session(name)
    conversation = _conversation(agent, model, deps, session)
    if prompt is not None:
        return run(_ask, conversation, prompt, session, thinking, debug)
    _check_terminal()
    options = ['--model', model] if model else []
    command = join(['plait', 'chat', *filter(None, [reference]), *options, *(['--deps', deps] if deps else [])])
    return run(_talk, conversation, session, command, thinking, debug)


def _name_of_session(resume: list[str]) -> tuple[str | None, list[str]]:
    """The chat to be resumed, and what else stands behind --resume: it may stand before the agent or the question."""
    from plait_agent._cli.finding import is_reference

    return (None, resume) if not resume or is_reference(resume[0]) else (resume[0], resume[1:])


def _sort_out(words: tuple[str, ...]) -> tuple[str | None, str | None]:
    """Agent and question."""
    from plait_agent._cli.finding import is_reference

    reference, questions = (words[0], words[1:]) if words and is_reference(words[0]) else (None, words)
    if len(questions) > 1:
        raise UserError(
            f'There are several questions: {", ".join(map(repr, questions))}. Put quotation marks around one.'
        )
    return reference, questions[0] if questions else None


def _with_piped_text(question: str | None) -> str | None:
    """The question, with what stands on the standard input below it; `None` if there is neither."""
    if sys.stdin is None or sys.stdin.isatty():
        return question
    piped = sys.stdin.read().strip()
    parts = [part for part in (question, piped) if part]
    if not parts:
        raise UserError("There is nothing to ask: the standard input is empty. Give a question: plait chat '...'")
    return '\n\n'.join(parts)


def _agent(reference: str | None, deps: str | None) -> AbstractAgent[Any, Any]:
    """The agent that is named, or one that only talks."""
    from plait_agent import Agent
    from plait_agent._cli.finding import check_deps, find_agent

    if reference is None:
        return Agent()
    agent = find_agent(reference)
    check_deps(agent, deps)
    if agent.name is None:
        agent.name = reference.rpartition(':')[2].rpartition('.')[2] if ':' in reference else None
    return agent


def _conversation(
    agent: AbstractAgent[Any, Any], model: str | None, deps: str | None, session: Session | None
) -> Conversation:
    """What was said so far, with an agent that can answer."""
    from plait_agent._chat.conversation import Conversation
    from plait_agent._cli.finding import find_deps
    from plait_agent.models import infer_model

    messages = () if session is None else session.load()
    made = None if deps is None else find_deps(deps)
    known = None if model is None else infer_model(model)
    conversation = Conversation(agent, deps=made, model=known, messages=messages)
    try:
        conversation.check()
    except UserError as error:
        if conversation.model is not None or agent.model is not None:
            raise
        raise UserError(f'{error} Name one, as in --model openai:gpt-5') from error
    return conversation


def _check_terminal() -> None:
    if not sys.stdout.isatty():
        raise UserError("A chat needs a terminal, and the output is none. Give a question: plait chat '...'")


async def _talk(conversation: Conversation, session: Session | None, command: str, thinking: bool, debug: bool) -> int:
    from plait_agent._chat.chat import Chat
    from plait_agent._chat.commands import explained
    from plait_agent._chat.folder import data_folder
    from plait_agent._chat.reader import Reader
    from plait_agent._chat.screen import Screen
    from plait_agent._chat.sessions import new_session

    session = session or new_session(conversation.agent.name or 'chat')
    reader = Reader(explained(), history_file=data_folder() / 'prompts')
    screen = Screen(_console(), shows_thinking=thinking)
    chat = Chat(conversation, screen, reader, session=session, command=command, debug=debug)
    async with conversation.agent:
        chat.greet('plait')
        await chat.talk()
    return OK


async def _ask(conversation: Conversation, prompt: str, session: Session | None, thinking: bool, debug: bool) -> int:
    from plait_agent._chat.one_shot import answer_once

    try:
        return await answer_once(
            conversation, prompt, console=_console(), errors=_console(stderr=True), debug=debug, thinking=thinking
        )
    finally:
        if session is not None and conversation.messages:
            session.save(conversation.messages)


def _list() -> int:
    """Print the chats that are kept, the latest first."""
    from datetime import datetime

    from plait_agent._chat.sessions import first_prompt, saved_sessions, sessions_folder

    sessions = saved_sessions()
    if not sessions:
        _print(f'No chats are kept in {str(sessions_folder())!r}.')
    for session in sessions:
        when = datetime.fromtimestamp(session.path.stat().st_mtime).astimezone()
        try:
            about = first_prompt(session.load())
        except UserError:
            about = '(no chat, or one that is damaged)'
        _print(f'{session.name}  {when:%Y-%m-%d %H:%M}  {about}'[:160])
    return OK


def _refuse(error: Exception, status: int, *, debug: bool) -> int:
    """Say in a line what is wrong, and give the status to end with."""
    from plait_agent._chat.wording import one_line, one_line_of, traceback_text

    if debug:
        sys.stderr.write(f'{traceback_text(error)}\n')
    said = one_line_of(str(error)) if status == BAD_INPUT else one_line(error)
    sys.stderr.write(f'plait: {said}\n')
    return status


def _console(*, stderr: bool = False) -> Console:
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors='replace')  # not every terminal has all characters
    return Console(stderr=stderr, highlight=False)


def _print(text: str) -> None:
    from plait_agent._chat.wording import visible

    sys.stdout.write(f'{visible(text)}\n')
