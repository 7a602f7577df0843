import os
from pathlib import Path

import pytest

from plait_agent import Agent, ModelAPIError, UserError
from plait_agent._local.server import LocalServer, ServerPlan, default_threads, server_of


def plan(path: Path) -> ServerPlan:
    """What a server is to run."""
    return ServerPlan(path=str(path), n_ctx=512, n_parallel=1, threads=1)


async def test_a_file_that_cannot_be_loaded_is_told_with_the_log(tmp_path: Path):
    """A server that cannot start says so, with the end of what llama.cpp has written and where the rest is."""
    path = tmp_path / 'broken.gguf'
    path.write_bytes(b'GGUF' + bytes(100))

    with pytest.raises(ModelAPIError, match=r"of the local model 'broken' could not start \(with status 1\)") as raised:
        await Agent(f'local:{path}').run('Hello')
    (log,) = (tmp_path / 'cache' / 'logs').iterdir()
    assert str(log) in str(raised.value)
    assert 'failed to load model' in str(raised.value)


async def test_a_missing_file_is_told_before_a_server_starts(tmp_path: Path):
    """A path that leads nowhere is named."""
    with pytest.raises(UserError, match=r'There is no file .*none\.gguf for the local model'):
        await Agent(f'local:{tmp_path}/none.gguf').run('Hello')


async def test_old_logs_go(tmp_path: Path):
    """What programs that were killed have left is taken away when a server starts, a week later."""
    folder = tmp_path / 'cache' / 'logs'
    folder.mkdir(parents=True)
    for name in ('old.log', 'new.log'):
        (folder / name).touch()
    os.utime(folder / 'old.log', (0, 0))
    path = tmp_path / 'broken.gguf'
    path.write_bytes(b'GGUF')
    with pytest.raises(ModelAPIError):
        await Agent(f'local:{path}').run('Hello')

    assert {each.name for each in folder.iterdir()} >= {'new.log'}
    assert not (folder / 'old.log').exists()


def test_the_same_plan_has_the_same_server(tmp_path: Path):
    """Agents that want the same share a server; others do not."""
    first = server_of('a', plan(tmp_path / 'a'))

    assert server_of('a', plan(tmp_path / 'a')) is first
    assert server_of('b', plan(tmp_path / 'b')) is not first
    assert (first.is_running, first.address) == (False, None)


def test_a_server_that_never_ran_can_be_stopped(tmp_path: Path):
    """Stopping what does not run does nothing."""
    server = LocalServer('a', plan(tmp_path))
    server.stop()

    assert server.wait_crash(0) is None


@pytest.mark.skipif(not hasattr(os, 'fork'), reason='needs fork')
def test_a_forked_process_leaves_the_servers_of_its_parent_alone(tmp_path: Path):
    """A child knows no servers, so its end stops none."""
    from plait_agent._local import server

    server_of('a', plan(tmp_path / 'forked'))
    child = os.fork()
    if not child:
        os._exit(len(server._servers))

    assert os.waitpid(child, 0)[1] == 0


def test_processors_that_are_used_are_left_alone(monkeypatch: pytest.MonkeyPatch):
    """On a busy machine one thread computes: two would hold each other up."""
    monkeypatch.setattr(os, 'getloadavg', lambda: (100.0, 0.0, 0.0), raising=False)

    assert default_threads() == 1


def test_threads_are_those_of_the_environment(monkeypatch: pytest.MonkeyPatch):
    """PLAIT_LOCAL_THREADS says how many threads compute; what is no number is refused."""
    assert default_threads() >= 1
    monkeypatch.setenv('PLAIT_LOCAL_THREADS', '3')
    assert default_threads() == 3
    monkeypatch.setenv('PLAIT_LOCAL_THREADS', 'many')
    with pytest.raises(UserError, match="PLAIT_LOCAL_THREADS is 'many'"):
        default_threads()
