"""Where chats are kept, and how they are found again."""

import os
import sys
from pathlib import Path

import pytest

from plait_agent import ModelRequest, UserError
from plait_agent._chat.folder import data_folder, private_file, write_private
from plait_agent._chat.sessions import Session, find_session, new_session, saved_sessions, sessions_folder


def kept(name, prompt='hello', age=0):
    """A chat that is kept for some seconds already."""
    session = Session(sessions_folder() / f'{name}.json')
    session.save([ModelRequest.user_text_prompt(prompt)])
    moment = session.path.stat().st_mtime - age
    os.utime(session.path, (moment, moment))
    return session


def test_the_folder_is_what_the_user_says(monkeypatch, tmp_path):
    """`PLAIT_DATA` names the folder; without it it is that of the platform."""
    assert data_folder() == Path(os.environ['PLAIT_DATA'])

    monkeypatch.delenv('PLAIT_DATA')
    monkeypatch.setattr(sys, 'platform', 'linux')
    monkeypatch.setenv('XDG_DATA_HOME', str(tmp_path / 'share'))
    assert data_folder() == tmp_path / 'share' / 'plait'

    monkeypatch.setenv('XDG_DATA_HOME', 'not/absolute')
    monkeypatch.setenv('HOME', str(tmp_path))
    assert data_folder() == tmp_path / '.local' / 'share' / 'plait'

    monkeypatch.setattr(sys, 'platform', 'darwin')
    assert data_folder() == tmp_path / 'Library' / 'Application Support' / 'plait'

    monkeypatch.setattr(sys, 'platform', 'win32')
    monkeypatch.setenv('LOCALAPPDATA', str(tmp_path / 'local'))
    assert data_folder() == tmp_path / 'local' / 'plait'


def test_sessions_are_found_by_name_by_path_and_by_age(tmp_path):
    """A chat is found by its name or its path, and without either the latest is."""
    old, new = kept('old', age=60), kept('new')

    assert find_session(None) == new
    assert find_session('old') == old
    assert find_session(str(old.path)) == old
    assert saved_sessions() == [new, old]
    assert (new.name, Session(tmp_path / 'x.json').name) == ('new', str(tmp_path / 'x.json'))


def test_sessions_that_are_not_there():
    """A name that nothing is kept under is refused with one that is near."""
    with pytest.raises(UserError, match='no chat to be resumed'):
        find_session(None)
    kept('clerk')
    with pytest.raises(UserError, match="no chat 'clrek'; is 'clerk' meant"):
        find_session('clrek')


def test_new_sessions_have_names_of_their_own():
    """Two chats that begin in the same second have two files, and the agent's name cannot leave the folder."""
    first = new_session('../my agent')
    first.save([])
    second = new_session('../my agent')

    assert first.path.parent == second.path.parent == sessions_folder()
    assert first.path.name.startswith('my-agent-')
    assert first.path != second.path


@pytest.mark.parametrize('content', ['', 'no JSON', '{"a": 1}', '[{"kind": "nothing"}]'])
def test_files_that_are_no_chats(tmp_path, content):
    """A file with something else in it is refused, and named."""
    path = tmp_path / 'other.json'
    path.write_text(content)

    with pytest.raises(UserError, match=r'other\.json.* has no messages of a chat'):
        Session(path).load()


def test_a_file_that_is_not_there(tmp_path):
    """A file that cannot be read is named, with the reason."""
    with pytest.raises(UserError, match='No such file'):
        Session(tmp_path / 'x.json').load()


def test_a_file_is_written_wholly_or_not_at_all(tmp_path, monkeypatch):
    """If writing fails, the former content is there, and nothing else."""
    path = tmp_path / 'kept.json'
    write_private(path, b'first')

    def fail(_descriptor):
        raise OSError('the disk is full')

    monkeypatch.setattr(os, 'fsync', fail)
    with pytest.raises(OSError, match='the disk is full'):
        write_private(path, b'second')

    assert path.read_bytes() == b'first'
    assert list(tmp_path.iterdir()) == [path]


def test_prompts_are_for_their_owner_alone():
    """The file of prompts, and its folder, can be read by nobody else."""
    path = private_file(data_folder() / 'prompts')

    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
