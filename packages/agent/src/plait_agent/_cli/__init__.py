"""The command `plait`: its words are in rooms of their own, imported when they are said."""

from __future__ import annotations

import sys


def main() -> None:
    """Do what the command line says.

    Raises:
        SystemExit: With the status of the command.
    """
    try:
        from cyclopts import App, CycloptsError
    except ImportError as error:
        sys.exit(
            f'plait: the command line needs packages that are not installed ({error}). '
            f"Install them: pip install 'plait-agent[cli]'"
        )
    app = App(name='plait', help='Chat with agents, and keep models that run on this machine.')
    app.command('plait_agent._cli.chat:app', name='chat', help='Talk with an agent, or with a model alone.')
    app.command('plait_agent._cli.models:app', name='models', help='Fetch and keep models that run on this machine.')
    try:
        app(sys.argv[1:], exit_on_error=False)
    except CycloptsError:
        sys.exit(2)  # what is wrong has been printed
