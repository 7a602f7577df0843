"""A conversation with an agent: what was said so far, and one more turn.

Knows nothing of screens and keys. Whatever happens in a turn, the history can be sent again afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from plait_agent._chat.spending import Spent, spent_on
from plait_agent._chat.turns import closed, last_prompt
from plait_agent.exceptions import UserError
from plait_agent.messages import ModelMessage, ModelRequest, ModelResponse, RetryPromptPart, TextPart
from plait_agent.tools import DeferredToolRequests, DeferredToolResults
from plait_agent.usage import RunUsage

if TYPE_CHECKING:
    from plait_agent.agent import AbstractAgent
    from plait_agent.messages import UserContent
    from plait_agent.models import Model
    from plait_agent.result import AgentStream
    from plait_agent.run import AgentRun

Prompt: TypeAlias = 'str | Sequence[UserContent]'

INTERRUPTED = 'interrupted'
"""The note in the `metadata` of an answer that is not complete."""


class Audience(Protocol):
    """Who is told what happens in a turn."""

    def hear(self, event: Any) -> None:
        """Be told of an event of the run."""

    def hear_request(self) -> None:
        """Be told that the model is asked."""

    def show_result(self, part: RetryPromptPart) -> None:
        """Be told that the answer was refused."""


class Conversation:
    """What was said so far, and who answers.

    Args:
        agent: Who answers.
        deps: What its runs are given.
        model: Which model is asked; `None` for the agent's.
        messages: What was said before.
    """

    def __init__(
        self,
        agent: AbstractAgent[Any, Any],
        *,
        deps: Any = None,
        model: Model | str | None = None,
        messages: Sequence[ModelMessage] = (),
    ):
        self.agent = agent
        self.model = model
        self.messages = closed(messages, 'the chat was left')
        self.spent = Spent()
        """What all turns have used."""
        self.last_spent = Spent()
        """What the last run has used."""
        self._deps = deps
        self._unanswered: Prompt | None = None
        """The last prompt, if nothing has answered it; it is no part of the history."""
        self._stream: AgentStream[Any, Any] | None = None
        """The answer that is coming."""

    def check(self) -> None:
        """See whether a run could begin.

        Raises:
            UserError: The agent has no model.
            ValueError: The model has a name that is not known.
            ImportError: What the model needs is not installed.
        """
        self._open('Hello!', None)  # nothing happens before it is entered

    @property
    def model_name(self) -> str:
        """The model that has answered last, or that will be asked, as far as that is known."""
        model = self.model if self.model is not None else self.agent.model
        if isinstance(model, str):
            return model
        if model is not None:
            return model.model_name
        answers = (message for message in reversed(self.messages) if isinstance(message, ModelResponse))
        return next((answer.model_name or '' for answer in answers), '')

    async def ask(self, prompt: Prompt | None, audience: Audience, results: DeferredToolResults | None = None) -> Any:
        """Have one run, and give its output.

        If the run fails or is cancelled, what was said by then stays, but for a prompt that nothing has answered.

        Args:
            prompt: What the user says; `None` to go on with the history.
            audience: Who is told what happens.
            results: What became of deferred calls.

        Raises:
            Exception: Whatever the run fails with.
        """
        run = None
        self._stream = None
        try:
            async with self._open(prompt, results) as run:
                async for node in run:
                    await self._watch(node, run, audience)
        except BaseException:
            self._keep_broken_off(run, prompt)
            raise
        self._keep(run)
        return None if run.result is None else run.result.output

    async def retry(self, audience: Audience) -> Any:
        """Ask the last prompt again, or the model alone if it is what the history waits for.

        Raises:
            UserError: Nothing has been said.
            Exception: Whatever the run fails with.
        """
        if self._unanswered is not None:
            return await self.ask(self._unanswered, audience)
        if self.messages and isinstance(self.messages[-1], ModelRequest):
            return await self.ask(None, audience)  # what tools have done is not done again
        last = last_prompt(self.messages)
        if last is None:
            raise UserError('There is nothing to be asked again. Say something first.')
        index, prompt = last
        self.messages = closed(self.messages[:index], 'the user went on')
        return await self.ask(prompt.content, audience)

    def clear(self) -> None:
        """Forget what was said."""
        self.messages, self._unanswered = [], None

    def close_calls(self) -> None:
        """Answer calls that nobody wants to decide about."""
        self.messages = closed(self.messages, 'the user has not decided')

    def _open(
        self, prompt: Prompt | None, results: DeferredToolResults | None
    ) -> AbstractAsyncContextManager[AgentRun[Any, Any]]:
        options: dict[str, Any] = {
            'message_history': self.messages,
            'deferred_tool_results': results,
            'model': self.model,
            'deps': self._deps,
            'infer_name': False,
        }
        with_deferral = [self.agent.output_type, DeferredToolRequests]
        try:
            return self.agent.iter(prompt, output_type=with_deferral, **options)
        except UserError:
            # Output validators rule out other outputs than the agent's own. Another fault shows itself again.
            return self.agent.iter(prompt, **options)

    async def _watch(self, node: Any, run: AgentRun[Any, Any], audience: Audience) -> None:
        """Run a node, and tell what happens in it."""
        if self.agent.is_model_request_node(node):
            for part in node.request.parts:
                if isinstance(part, RetryPromptPart) and part.tool_name is None:
                    audience.show_result(part)
            audience.hear_request()
            async with node.stream(run.ctx) as self._stream:
                async for event in self._stream:
                    audience.hear(event)
            self._stream = None
        elif self.agent.is_call_tools_node(node):
            async with node.stream(run.ctx) as events:
                async for event in events:
                    audience.hear(event)

    def _keep(self, run: AgentRun[Any, Any]) -> None:
        self._unanswered = None
        self.messages = list(run.all_messages())
        self._count(spent_on(run.new_messages(), run.usage()))

    def _keep_broken_off(self, run: AgentRun[Any, Any] | None, prompt: Prompt | None) -> None:
        """Keep of a run that has not come to its end what can be sent again."""
        if run is None:
            self._unanswered = prompt if prompt is not None else self._unanswered
            self.close_calls()
            return
        new, partial, usage = run.new_messages(), self._partial_answer(), run.usage()
        if partial is not None and not (new and isinstance(new[-1], ModelResponse)):
            new, usage = [*new, partial], usage + partial.usage + RunUsage(requests=1)
        self._count(spent_on(new, usage))
        if prompt is not None and not any(isinstance(message, ModelResponse) for message in new):
            # A prompt that cannot be answered, such as one that is too long, would spoil all that follow.
            self._unanswered = prompt
            return
        before = run.all_messages()[: len(run.all_messages()) - len(run.new_messages())]
        self._unanswered = None
        self.messages = closed([*before, *new], 'the run was stopped')

    def _partial_answer(self) -> ModelResponse | None:
        """The text that has come of an answer. Calls and thoughts that are not complete cannot be sent again."""
        if self._stream is None:
            return None
        response = self._stream.response
        texts = [part for part in response.parts if isinstance(part, TextPart) and part.content.strip()]
        return replace(response, parts=texts, metadata={INTERRUPTED: True}) if texts else None

    def _count(self, spent: Spent) -> None:
        self.last_spent = spent
        self.spent += spent
