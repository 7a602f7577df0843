"""The example that `make demo` ends with."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.real_model, pytest.mark.timeout(300)]

EXAMPLE = Path(__file__).parents[3] / 'examples' / 'local_agents.py'
COMMAND = [sys.executable, '-W', 'error', '-u', str(EXAMPLE), '--model', 'local:qwen2.5-coder-0.5b']


def test_orders_are_read_priced_and_written_about():
    """All messages become orders whose prices are those of the tool, and a note follows."""
    result = subprocess.run(COMMAND, capture_output=True, text=True, timeout=280, check=False)

    assert result.stderr == ''
    assert result.returncode == 0
    assert result.stdout.count('price_of(') >= 6
    assert 'Emma       spoon          24    2.50    60.00' in result.stdout
    assert '364.50' in result.stdout
    assert '6 orders and a note in' in result.stdout


def test_an_interrupted_demo_ends_with_a_line():
    """Ctrl-C in the middle ends the program at once, and its server with it."""
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        assert program.stdout.readline().startswith('local:qwen2.5-coder-0.5b reads 6 messages')
        while 'price_of(' not in program.stdout.readline():
            pass
        program.send_signal(signal.SIGINT)
        told, errors = program.communicate(timeout=30)

    assert (program.returncode, errors) == (130, '')
    assert told.endswith('\nStopped.\n')
