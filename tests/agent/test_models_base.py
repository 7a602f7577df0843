"""What all models have: preparing of requests, profiles, labels, and how a name finds a model."""

import sys
import types
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import pytest

from plait_agent import models
from plait_agent._json_schema_transformer import InlineDefsJsonSchemaTransformer as Inline
from plait_agent.builtin_tools import CodeExecutionTool, WebSearchTool
from plait_agent.exceptions import UserError
from plait_agent.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    RetryPromptPart,
    SystemPromptPart,
    TextPart,
    ToolReturnPart,
)
from plait_agent.models import (
    Model,
    ModelRequestParameters,
    check_allow_model_requests,
    infer_model,
    override_allow_model_requests,
    parse_model_id,
)
from plait_agent.models._base import find_instructions
from plait_agent.models.test import TestModel
from plait_agent.output import OutputObjectDefinition
from plait_agent.profiles import DEFAULT_PROFILE, ModelProfile
from plait_agent.settings import ModelSettings
from plait_agent.tools import ToolDefinition

OBJECT = OutputObjectDefinition({'type': 'object'}, name='Foo', description='A foo.')
OUTPUT = ToolDefinition(name='final_result', kind='output')


class PlainModel(Model):
    """A model that has only what a model must have."""

    model_name = 'plain'
    system = 'test'

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        return ModelResponse([TextPart('hello')])

    @classmethod
    def supported_builtin_tools(cls) -> frozenset[Any]:
        return frozenset({WebSearchTool})


def prepared(profile: ModelProfile | None = None, **parameters: Any) -> ModelRequestParameters:
    """Parameters as a model of this profile takes them."""
    return PlainModel(profile=profile).prepare_request(None, ModelRequestParameters(**parameters))[1]


def test_nothing_is_copied_where_nothing_changes() -> None:
    """Settings and parameters that fit are given back themselves."""
    settings = ModelSettings(temperature=1)
    parameters = ModelRequestParameters(function_tools=[ToolDefinition(name='t')], output_mode='tool')

    same_settings, same_parameters = PlainModel().prepare_request(settings, parameters)

    assert same_settings is settings
    assert same_parameters is parameters


def test_settings_go_over_those_of_the_model() -> None:
    """The settings of a request beat the model's, key by key."""
    model = PlainModel(settings=ModelSettings(temperature=0, seed=1))

    settings, _ = model.prepare_request(ModelSettings(temperature=1), ModelRequestParameters())

    assert settings == {'temperature': 1, 'seed': 1}


@pytest.mark.parametrize(
    ('mode', 'kept'),
    [
        ('text', set()),
        ('image', set()),
        ('tool', {'output_tools'}),
        ('tool_or_text', {'output_tools'}),
        ('native', {'output_object', 'prompted_output_template'}),
        ('prompted', {'output_object', 'prompted_output_template'}),
    ],
)
def test_a_mode_drops_what_it_does_not_use(mode: Any, kept: set[str]) -> None:
    """Of output tools, object and template only those of the output mode are left."""
    profile = ModelProfile(supports_json_schema_output=True)
    result = prepared(
        profile, output_mode=mode, output_tools=[OUTPUT], output_object=OBJECT, prompted_output_template='T'
    )

    assert {
        name for name in ('output_tools', 'output_object', 'prompted_output_template') if getattr(result, name)
    } == (kept)


@pytest.mark.parametrize(('mode', 'allows_text'), [('tool', False), ('native', True), ('prompted', True)])
def test_the_profile_decides_where_the_mode_is_open(mode: Any, allows_text: bool) -> None:
    """The mode `auto` becomes the profile's, and text is allowed where the output comes as text."""
    profile = ModelProfile(default_structured_output_mode=mode, supports_json_schema_output=True)

    result = prepared(profile, output_mode='auto', output_object=OBJECT, output_tools=[OUTPUT], allow_text_output=False)

    assert (result.output_mode, result.allow_text_output) == (mode, allows_text)


def test_prompted_output_takes_the_template_of_the_profile() -> None:
    """A request in prompted mode tells the schema with the profile's template unless it has its own."""
    result = prepared(output_mode='prompted', output_object=OBJECT)

    assert result.prompted_output_template == DEFAULT_PROFILE.prompted_output_template
    assert '{"type": "object", "title": "Foo", "description": "A foo."}' in (result.prompted_output_instructions or '')


@pytest.mark.parametrize(('needs_it', 'told'), [(True, True), (False, False)])
def test_native_output_tells_the_schema_where_the_profile_asks_for_it(needs_it: bool, told: bool) -> None:
    """Native mode has a template only if the profile says so."""
    profile = ModelProfile(supports_json_schema_output=True, native_output_requires_schema_in_instructions=needs_it)

    result = prepared(profile, output_mode='native', output_object=OBJECT)

    assert (result.prompted_output_instructions is not None) is told


@pytest.mark.parametrize(
    ('parameters', 'message'),
    [
        ({'output_mode': 'native'}, 'Native structured output is not supported by this model.'),
        ({'output_mode': 'tool'}, 'Tool output is not supported by this model.'),
        ({'output_mode': 'auto'}, 'Tool output is not supported by this model.'),
        ({'allow_image_output': True}, 'Image output is not supported by this model.'),
    ],
)
def test_output_that_the_model_lacks_is_refused(parameters: dict[str, Any], message: str) -> None:
    """A profile without a form of output refuses it by name."""
    with pytest.raises(UserError) as caught:
        prepared(ModelProfile(supports_tools=False), **parameters)

    assert str(caught.value) == message


def test_built_in_tools_that_the_model_lacks_are_refused() -> None:
    """The error names the tools that are not known and those that are."""
    with pytest.raises(UserError) as caught:
        prepared(builtin_tools=[CodeExecutionTool()])

    assert str(caught.value) == (
        "Builtin tool(s) ['CodeExecutionTool'] not supported by this model. Supported: ['WebSearchTool']"
    )


def test_the_last_of_equal_built_in_tools_is_used() -> None:
    """Of two built-in tools of the same id the later one counts."""
    result = prepared(builtin_tools=[WebSearchTool(), WebSearchTool(max_uses=2)])

    assert result.builtin_tools == [WebSearchTool(max_uses=2)]


def test_schemas_are_transformed_once() -> None:
    """Schemas are made fit for the model, and a tool that comes again is not transformed again."""
    schema = {'type': 'object', 'properties': {'x': {'$ref': '#/$defs/X'}}, '$defs': {'X': {'type': 'integer'}}}
    tool = ToolDefinition(name='t', parameters_json_schema=schema)
    model = PlainModel(profile=ModelProfile(json_schema_transformer=Inline))

    (first,), (second,) = (
        model.prepare_request(None, ModelRequestParameters(function_tools=[tool]))[1].function_tools for _ in range(2)
    )

    assert first is second
    assert first.parameters_json_schema == {'type': 'object', 'properties': {'x': {'type': 'integer'}}}
    assert first.strict is True
    assert tool.parameters_json_schema is schema
    assert tool.strict is None


def test_the_schema_of_the_output_is_transformed() -> None:
    """In native mode the output's schema is made fit too, and its strictness found."""
    profile = ModelProfile(json_schema_transformer=Inline, supports_json_schema_output=True)
    schema = {'$ref': '#/$defs/X', '$defs': {'X': {'type': 'object'}}}

    result = prepared(profile, output_mode='native', output_object=OutputObjectDefinition(schema))

    assert result.output_object == OutputObjectDefinition({'type': 'object'}, strict=True)


def test_a_profile_may_be_found_by_the_name_of_the_model() -> None:
    """A function of the model's name gives the profile, once; nothing means the default."""
    asked: list[str] = []

    def find(name: str) -> ModelProfile | None:
        asked.append(name)
        return None

    model = PlainModel(profile=find)

    assert model.profile is model.profile
    assert asked == ['plain']
    assert model.profile.supported_builtin_tools == {WebSearchTool}


def test_profiles_are_laid_over_one_another() -> None:
    """What a profile says beside its defaults goes over another one, as far as that has such fields."""

    @dataclass(kw_only=True)
    class Special(ModelProfile):
        extra: int = 0

    base = ModelProfile(supports_tools=False, thinking_tags=('<a>', '</a>'))

    assert base.update(None) is base
    assert base.update(Special(extra=1, supports_image_output=True)) == ModelProfile(
        supports_tools=False, thinking_tags=('<a>', '</a>'), supports_image_output=True
    )
    assert Special.from_profile(base) == Special(supports_tools=False, thinking_tags=('<a>', '</a>'))


@pytest.mark.parametrize(
    ('name', 'label'),
    [
        ('gpt-5', 'GPT 5'),
        ('claude-sonnet-4-5', 'Claude Sonnet 4.5'),
        ('meta-llama/llama-3-70b', 'Llama 3 70b'),
        ('claude-3-5-sonnet-20241022', 'Claude 3.5 Sonnet 20241022'),
        ('gpt-4o-mini', 'GPT 4o Mini'),
        ('gemini-2.5-flash', 'Gemini 2.5 Flash'),
    ],
)
def test_a_label_is_for_people(name: str, label: str) -> None:
    """A label has words with capitals and versions with dots."""
    assert TestModel(model_name=name).label == label


def test_parameters_print_what_differs_from_their_defaults() -> None:
    """The lists are always printed, the rest if it is not at its default."""
    assert repr(ModelRequestParameters(output_mode='tool')) == (
        "ModelRequestParameters(function_tools=[], builtin_tools=[], output_mode='tool', output_tools=[])"
    )


async def test_a_model_that_cannot_stream_answers_in_one_go() -> None:
    """The default stream makes a plain request and tells its parts whole."""
    async with PlainModel() as model, model.request_stream([], None, ModelRequestParameters()) as stream:
        told = [event.event_kind async for event in stream]

    assert told == ['part_start', 'final_result', 'part_end']
    assert stream.get().text == 'hello'


async def test_a_model_that_cannot_count_says_so() -> None:
    """Counting ahead is an extra, and the error names the class that has it not."""
    with pytest.raises(NotImplementedError) as caught:
        await PlainModel().count_tokens([], None, ModelRequestParameters())

    assert str(caught.value) == 'Token counting ahead of the request is not supported by PlainModel'


def test_a_model_has_defaults_for_what_it_does_not_say() -> None:
    """A model without a network has no URL, and one that is given nothing has no settings."""
    assert (PlainModel().base_url, PlainModel().settings) == (None, None)


FIRST = ModelRequest.user_text_prompt('x', instructions='first')
RETURNS = ModelRequest([ToolReturnPart('t', 1, 'id'), RetryPromptPart('no', tool_call_id='id')])


@pytest.mark.parametrize(
    ('messages', 'instructions'),
    [
        ([], None),
        ([FIRST], 'first'),
        ([FIRST, ModelResponse([TextPart('y')]), RETURNS], 'first'),
        ([FIRST, ModelRequest([])], 'first'),
        ([FIRST, ModelRequest.user_text_prompt('y')], None),
        ([FIRST, ModelRequest([SystemPromptPart('y')])], None),
        ([FIRST, RETURNS, RETURNS], None),
        ([FIRST, ModelRequest.user_text_prompt('y', instructions='second')], 'second'),
    ],
)
def test_instructions_are_those_of_the_last_request(messages: list[ModelMessage], instructions: str | None) -> None:
    """A request that only answers the model's calls goes on with the instructions of the one before it."""
    assert find_instructions(messages) == instructions


def test_requests_can_be_forbidden_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test forbids requests to providers within a block, or by setting the attribute."""
    with override_allow_model_requests(False), pytest.raises(RuntimeError) as caught:
        check_allow_model_requests()
    assert str(caught.value) == 'Model requests are not allowed, since ALLOW_MODEL_REQUESTS is False'

    check_allow_model_requests()
    monkeypatch.setattr(models, 'ALLOW_MODEL_REQUESTS', False)
    with pytest.raises(RuntimeError):
        check_allow_model_requests()


def test_a_model_is_found_by_its_name() -> None:
    """A model stays itself, and the model for tests is called test."""
    model = TestModel()

    assert infer_model(model) is model
    assert isinstance(infer_model('test'), TestModel)


@pytest.mark.parametrize(
    ('name', 'found'),
    [('openai:gpt-5', ('openai', 'gpt-5')), ('a:b:c', ('a', 'b:c')), ('gpt-5', (None, 'gpt-5')), ('a:', ('a', ''))],
)
def test_a_model_id_has_a_provider_before_the_first_colon(name: str, found: tuple[str | None, str]) -> None:
    """Without a colon there is no provider; further colons belong to the name."""
    assert parse_model_id(name) == found


@pytest.fixture
def fake_openai(monkeypatch: pytest.MonkeyPatch) -> None:
    """A room of a provider that only notes how its models are made."""

    class OpenAIChatModel:
        def __init__(self, name: str, *, provider: object):
            self.made_of = (name, provider)

    room = types.ModuleType('plait_agent.models.openai')
    room.OpenAIChatModel = OpenAIChatModel  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, room.__name__, room)


@pytest.mark.usefixtures('fake_openai')
@pytest.mark.parametrize(
    ('name', 'made_of'),
    [
        ('openai:gpt-5', ('gpt-5', 'openai')),
        ('openai-chat:gpt-5', ('gpt-5', 'openai')),
        ('deepseek:deepseek-chat', ('deepseek-chat', 'deepseek')),
    ],
)
def test_a_provider_is_found_in_its_room(name: str, made_of: tuple[str, str]) -> None:
    """The model's class is given the name of the model and that of the provider."""
    assert infer_model(name).made_of == made_of  # type: ignore[attr-defined]


@pytest.mark.usefixtures('fake_openai')
def test_a_provider_can_be_made_by_a_function() -> None:
    """A factory is given the provider's name, and the model what it makes."""
    model: Any = infer_model('openai:gpt-5', lambda name: f'<{name}>')

    assert model.made_of == ('gpt-5', '<openai>')


@pytest.mark.usefixtures('fake_openai')
def test_a_name_without_provider_is_understood_and_warned_of() -> None:
    """A well-known beginning finds its provider, and the warning has the full name."""
    with pytest.warns(DeprecationWarning, match="Write 'openai:gpt-5'") as warned:
        model: Any = infer_model('gpt-5')

    assert model.made_of == ('gpt-5', 'openai')
    assert warned[0].filename == __file__


def test_an_unknown_model_is_refused_with_names_like_it() -> None:
    """The error names the model, what it may have meant and what providers there are."""
    with pytest.raises(UserError, match=r'^Unknown model: claud-sonnet-4-5') as caught:
        infer_model('claud-sonnet-4-5')

    assert "'anthropic:claude-sonnet-4-5'" in str(caught.value)
    assert 'openai-responses' in str(caught.value)


def test_an_unknown_provider_is_refused_with_names_like_it() -> None:
    """The error names the provider and what it may have meant."""
    with pytest.raises(ValueError, match=r"^Unknown provider: opnai; is 'openai' meant"):
        infer_model('opnai:gpt-5')


def test_a_provider_that_is_not_installed_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has the line that installs the provider."""
    monkeypatch.setitem(sys.modules, 'plait_agent.models.anthropic', None)

    with pytest.raises(ImportError, match=r"pip install 'plait-agent\[anthropic\]'"):
        infer_model('anthropic:claude-sonnet-4-5')


def test_models_share_an_http_client() -> None:
    """The client of a provider is made once, unless it was closed."""
    client = models.cached_async_http_client(provider='one')

    assert models.cached_async_http_client(provider='one') is client
    assert models.cached_async_http_client(provider='two') is not client
    assert client.timeout.connect == 5
    assert client.timeout.read == models.DEFAULT_HTTP_TIMEOUT


async def test_a_closed_http_client_is_not_given_again() -> None:
    """Whoever closes the shared client does not break the others."""
    client = models.cached_async_http_client(provider='closed')
    await client.aclose()

    assert models.cached_async_http_client(provider='closed') is not client


def test_a_missing_http_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the package and how to get it."""
    monkeypatch.setitem(sys.modules, 'httpx2', None)
    monkeypatch.delitem(sys.modules, 'plait_agent.models._http', raising=False)

    with pytest.raises(ImportError, match=r'pip install httpx2'):
        import_module('plait_agent.models._http')
