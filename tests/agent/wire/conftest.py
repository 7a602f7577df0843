"""Counts the recorded exchanges that have decoded as expected, for the end of the output."""

import pytest
from exchanges import decoded, load_all


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many of the recorded exchanges have decoded as expected, if any were tried."""
    if decoded:
        total = sum(len(each.exchanges) for each in load_all())
        terminalreporter.write_line(f'Recorded exchanges decoded as expected: {len(decoded)} of {total}')
