"""Approval: a run ends with calls that somebody has to approve, and another run goes on from its stored messages."""

from plait_agent import Agent, DeferredToolRequests, ModelMessagesTypeAdapter, ToolDenied

clerk = Agent('test', output_type=[str, DeferredToolRequests])


@clerk.tool_plain
def find_price(article: str) -> int:
    """Find what an article costs, in cents."""
    return 400


@clerk.tool_plain(requires_approval=True)
def give_discount(percent: int) -> str:
    """Give the customer a discount."""
    return f'{percent} % off'


@clerk.tool_plain(requires_approval=True)
def close_shop() -> str:
    """Go home."""
    return 'closed'


if __name__ == '__main__':
    asked = clerk.run_sync('Could you make it cheaper?')
    if not isinstance(asked.output, DeferredToolRequests):
        raise SystemExit('There is nothing to decide.')
    stored = asked.all_messages_json()

    decisions = {}
    for call in asked.output.approvals:
        print('May I?', call.tool_name, call.args)
        decisions[call.tool_call_id] = call.tool_name == 'give_discount' or ToolDenied('It is only noon.')

    # On another day, in another process.
    answer = clerk.run_sync(
        message_history=ModelMessagesTypeAdapter.validate_json(stored),
        deferred_tool_results=asked.output.build_results(approvals=decisions),
    )
    print(answer.output)

# Prints:
# May I? give_discount {'percent': 0}
# May I? close_shop {}
# {"find_price":400,"give_discount":"0 % off","close_shop":"It is only noon."}
