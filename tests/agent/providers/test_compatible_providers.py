"""Providers that speak OpenAI's language, by what is said of each."""

from typing import Any, get_args

import pytest

from plait_agent.exceptions import UserError
from plait_agent.models import infer_model
from plait_agent.models._infer import _ROOMS as MODELS
from plait_agent.models._known_names import KnownModelName
from plait_agent.models.openai import OpenAIChatModel
from plait_agent.profiles.openai import OpenAIModelProfile, openai_model_profile
from plait_agent.providers import infer_provider, infer_provider_class
from plait_agent.providers._compatible import CompatibleProvider
from plait_agent.providers.azure import AzureProvider
from plait_agent.providers.openai import OpenAIProvider
from plait_agent.providers.openrouter import OpenRouterProvider

NAMES = sorted(
    name
    for name, room in MODELS.items()
    if room.extra == 'openai' and not name.startswith('openai-') and name != 'local'
)
NEEDED: dict[str, Any] = {
    'azure': {'azure_endpoint': 'https://example.com', 'api_version': '1'},
    'litellm': {'api_base': 'https://example.com'},
    'ollama': {'base_url': 'https://example.com'},
}


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the keys and addresses of whoever runs it."""
    for name in NAMES:
        server = infer_provider_class(name).server  # type: ignore[attr-defined]
        for variable in (*server.key_variables, server.url_variable, 'OPENAI_API_VERSION'):
            monkeypatch.delenv(variable or 'NONE', raising=False)


@pytest.mark.parametrize('name', NAMES)
def test_a_provider_is_made_by_its_name(name: str) -> None:
    """It has the name that it is known by, an address, and a model class that takes it."""
    provider_class: Any = infer_provider_class(name)
    provider = provider_class(api_key='a-key', **NEEDED.get(name, {}))

    model: Any = infer_model(f'{name}:a/b', lambda _: provider)

    assert isinstance(provider, CompatibleProvider)
    assert isinstance(model, OpenAIChatModel)
    assert model.system == name
    assert str(model.base_url).startswith('https://')
    assert isinstance(model.profile, OpenAIModelProfile)
    assert 'a-key' not in repr(provider) + repr(model)


@pytest.mark.parametrize('name', NAMES)
def test_what_is_missing_is_named_with_where_it_goes(name: str) -> None:
    """Both the variable of the environment and the argument."""
    provider_class: Any = infer_provider_class(name)
    server = provider_class.server
    variable = server.key_variables[0] if server.asks_for_key else server.url_variable

    with pytest.raises(UserError, match=rf'`{variable}`.*{provider_class.__name__}\((api_key|base_url|api_base)='):
        provider_class(**NEEDED.get(name, {}) if server.asks_for_key else {})


@pytest.mark.parametrize('name', NAMES)
def test_the_environment_gives_what_is_not_said(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key, and the address where there is one."""
    server = infer_provider_class(name).server  # type: ignore[attr-defined]
    monkeypatch.setenv(server.key_variables[0], 'a-key')
    monkeypatch.setenv('OPENAI_API_VERSION', '1')
    if server.url_variable is not None:
        monkeypatch.setenv(server.url_variable, 'https://example.com')

    provider = infer_provider(name)

    assert provider.client.api_key == 'a-key'
    assert provider.base_url.startswith('https://example.com') == (server.url_variable is not None)


def test_an_address_without_a_path_gets_the_usual_one() -> None:
    """A path that was given stays."""
    groq: Any = infer_provider_class('groq')

    assert groq(api_key='a-key', base_url='https://example.com/').base_url == 'https://example.com/openai/v1/'
    assert groq(api_key='a-key', base_url='https://example.com/v2').base_url == 'https://example.com/v2/'


def test_any_server_needs_no_key() -> None:
    """A server at an address of one's own may ask for none; OpenAI does."""
    assert OpenAIProvider(base_url='http://127.0.0.1:8000/v1').client.api_key
    with pytest.raises(UserError, match='OPENAI_API_KEY'):
        OpenAIProvider()


def test_a_client_is_used_as_it_is() -> None:
    """What it knows itself cannot be said beside it."""
    client = OpenAIProvider(api_key='a-key').client

    assert OpenAIProvider(openai_client=client).client is client
    with pytest.raises(UserError, match='openai_client and also api_key'):
        OpenAIProvider(openai_client=client, api_key='another')
    with pytest.raises(UserError, match='openai_client and also azure_endpoint'):
        AzureProvider(openai_client=client, azure_endpoint='https://example.com')


def test_azure_has_versions_or_none() -> None:
    """The newer address has none; the older one must be told which."""
    assert AzureProvider(api_key='k', azure_endpoint='https://example.com/openai/v1').base_url.endswith('/openai/v1/')
    with pytest.raises(UserError, match=r'OPENAI_API_VERSION.*azure_endpoint that ends in /openai/v1'):
        AzureProvider(api_key='k', azure_endpoint='https://example.com')
    with pytest.raises(UserError, match='AZURE_OPENAI_ENDPOINT'):
        AzureProvider(api_key='k')


def test_openrouter_is_told_of_the_program() -> None:
    """In the headers of each request, if anything is said."""
    headers = OpenRouterProvider(api_key='k', app_url='https://example.com', app_title='Mine').client.default_headers

    assert (headers['HTTP-Referer'], headers['X-Title']) == ('https://example.com', 'Mine')
    assert 'X-Title' not in OpenRouterProvider(api_key='k').client.default_headers


@pytest.mark.parametrize(
    ('provider', 'model', 'field', 'value'),
    [
        ('deepseek', 'deepseek-reasoner', 'openai_supports_tool_choice_required', False),
        ('deepseek', 'deepseek-reasoner', 'ignore_streamed_leading_whitespace', True),
        ('deepseek', 'deepseek-chat', 'openai_supports_tool_choice_required', True),
        ('deepseek', 'deepseek-chat', 'openai_chat_thinking_field', 'reasoning_content'),
        ('groq', 'openai/gpt-oss-120b', 'openai_supports_strict_tool_definition', False),
        ('groq', 'qwen/qwen3-32b', 'ignore_streamed_leading_whitespace', True),
        (
            'openrouter',
            'openai/gpt-5:nitro',
            'openai_unsupported_model_settings',
            openai_model_profile('gpt-5').openai_unsupported_model_settings,
        ),  # type: ignore[attr-defined]
        ('openrouter', 'openai/gpt-5', 'openai_chat_supports_allowed_tools', False),
        ('openrouter', 'someone/new', 'openai_chat_thinking_field', 'reasoning'),
        ('mistral', 'mistral-large-latest', 'openai_chat_tool_call_id_length', 9),
        ('fireworks', 'accounts/fireworks/models/deepseek-r1', 'ignore_streamed_leading_whitespace', True),
        ('ollama', 'gpt-oss:20b', 'openai_supports_tool_choice_required', False),
        ('alibaba', 'qwen-omni-turbo', 'openai_chat_audio_input_encoding', 'uri'),
        ('azure', 'my-deployment', 'supports_json_schema_output', True),
        ('openai', 'o1-mini', 'openai_system_prompt_role', 'user'),
        ('openai', 'gpt-4o-search-preview', 'openai_chat_supports_web_search', True),
    ],
)
def test_models_are_known_by_their_names(provider: str, model: str, field: str, value: Any) -> None:
    """What the family of a model says goes over what the provider says of all."""
    provider_class: Any = infer_provider_class(provider)
    profile = provider_class(api_key='k', **NEEDED.get(provider, {})).model_profile(model)

    assert getattr(profile, field) == value


def test_a_field_for_thoughts_has_to_be_named() -> None:
    """A profile that sends them back in a field says which."""
    with pytest.raises(UserError, match=r"Name the field, such as 'reasoning_content'"):
        OpenAIModelProfile(openai_chat_send_back_thinking_parts='field')


def test_known_names_have_providers() -> None:
    """Each name that editors complete belongs to a provider that there is."""
    assert {name.partition(':')[0] for name in get_args(KnownModelName) if ':' in name} <= {*MODELS, 'test'}
