"""Models that Heroku serves."""

from __future__ import annotations

from typing import ClassVar

from plait_agent.providers._compatible import CompatibleProvider, Server

__all__ = ('HerokuProvider',)


class HerokuProvider(CompatibleProvider):
    """Serves the models of Heroku.

    The key is taken from `HEROKU_INFERENCE_KEY`. Another address is taken from `HEROKU_INFERENCE_URL`.
    """

    server: ClassVar = Server(
        'heroku',
        'Heroku',
        'https://us.inference.heroku.com/v1',
        key_variables=('HEROKU_INFERENCE_KEY',),
        url_variable='HEROKU_INFERENCE_URL',
        url_path='/v1',
    )
