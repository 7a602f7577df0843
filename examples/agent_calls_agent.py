"""An agent in a tool of another one: both spend from one budget, and nobody passes it on."""

from plait_agent import Agent, UsageLimitExceeded
from plait_graph import Budget

translator = Agent('test', name='translator')
clerk = Agent('test', name='clerk')


@translator.tool_plain
def look_up(word: str) -> str:
    """Look a word up in the dictionary."""
    return 'tea'


@clerk.tool_plain
async def translate(text: str) -> str:
    """Have a text translated."""
    return (await translator.run(text)).output


if __name__ == '__main__':
    day = Budget(calls=7, name='today')
    for customer in ('Kari', 'Ola'):
        try:
            result = clerk.run_sync(f'{customer} wants te.', budget=day)
        except UsageLimitExceeded as error:
            print(f'{customer}: {error}')
        else:
            print(f'{customer}: {result.output}')
        print(day.spent.calls, 'requests so far')

# Prints:
# Kari: {"translate":"{\"look_up\":\"tea\"}"}
# 4 requests so far
# Ola: Budget 'today' has calls=0 left of 7, and calls=1 is asked for. Ask for less, or give it more with calls=...
# 7 requests so far
