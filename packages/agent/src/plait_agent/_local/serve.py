"""The process that runs llama.cpp's server for one file of weights.

Started by its path and not as a module, so that it imports nothing of ours: a model is ready half a second sooner.
It is told what to do by one line of JSON on its standard input, and answers with one line on its standard output. Its
input stays open for as long as somebody wants it: when that ends, whatever became of the parent, so does this process.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from typing import Any

_CHECK_SECONDS = 2.0


def main() -> None:
    """Serve until nobody wants it any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal reaches us too; the parent decides
    parent = os.getppid()
    told: dict[str, Any] = json.loads(sys.stdin.readline())
    answers = _take_answers()
    try:
        server = _start(told)
    except Exception as error:  # noqa: BLE001 # llama.cpp has said more in the log than a traceback would
        sys.exit(str(error))
    # The server has put handlers of its own in place, which do not end the process.
    signal.signal(signal.SIGTERM, _end)
    answers.write(json.dumps({'address': server.listening_address}) + '\n')
    answers.flush()
    _wait_until_unwanted(parent)
    _end()


def _end(*_: object) -> None:
    os._exit(0)  # a request in the middle of its answer would keep the server from ending


def _take_answers() -> Any:
    """Keep the standard output for answers, and send what llama.cpp prints to the log."""
    answers = os.fdopen(os.dup(1), 'w', encoding='utf-8')
    os.dup2(2, 1)
    return answers


def _start(told: dict[str, Any]) -> Any:
    from importlib import import_module

    library = import_module('xllamacpp')  # it has no types
    params: Any = library.CommonParams()
    params.model.path = told['path']
    params.hostname = '127.0.0.1'
    params.port = 0
    params.api_keys = [told['key']]
    params.n_ctx = told['n_ctx'] * told['n_parallel']  # the slots share it
    params.n_parallel = told['n_parallel']
    params.cpuparams.n_threads = told['threads']
    params.cpuparams_batch.n_threads = told['threads']
    params.use_jinja = True
    params.chat_template = told['chat_template'] or ''
    params.n_gpu_layers = told['n_gpu_layers']
    params.cache_ram_mib = 0  # the slots keep what they have read; copies of it beside them cost memory
    params.webui = False
    params.endpoint_slots = False
    return library.Server(params)


def _wait_until_unwanted(parent: int) -> None:
    if os.name == 'nt':  # no select on pipes there, and no new parent for orphans
        sys.stdin.read()
        return
    # A process that the parent has forked may hold our input open after the parent is gone.
    while os.getppid() == parent:
        ready, _, _ = select.select([sys.stdin], [], [], _CHECK_SECONDS)
        if ready and not os.read(0, 1):
            return


if __name__ == '__main__':
    main()
