"""Turns a request in Google's format into the messages, the settings and the parameters that ask for it."""

from base64 import urlsafe_b64decode
from collections.abc import Iterator
from typing import Any

from google.genai.types import GenerateContentResponse

from plait_agent.builtin_tools import (
    CodeExecutionTool,
    FileSearchTool,
    ImageGenerationTool,
    MCPServerTool,
    WebFetchTool,
    WebSearchTool,
)
from plait_agent.messages import (
    AudioUrl,
    BinaryContent,
    DocumentUrl,
    ImageUrl,
    ModelRequest,
    ModelResponse,
    RetryPromptPart,
    SystemPromptPart,
    ToolReturnPart,
    UserPromptPart,
    VideoUrl,
)
from plait_agent.models import ModelRequestParameters
from plait_agent.models._google.decode import decode
from plait_agent.models._origin import Origin
from plait_agent.output import OutputObjectDefinition
from plait_agent.profiles.google import GoogleJsonSchemaTransformer
from plait_agent.tools import ToolDefinition

Json = dict[str, Any]

_FREE = {'args', 'response', 'labels', 'parametersJsonSchema', 'responseJsonSchema', 'parameters'}
"""What holds keys of the program's own."""
_ADVICE = '\n\nFix the errors and try again.'
_SETTINGS = {
    'maxOutputTokens': 'max_tokens',
    'temperature': 'temperature',
    'topP': 'top_p',
    'stopSequences': 'stop_sequences',
    'presencePenalty': 'presence_penalty',
    'frequencyPenalty': 'frequency_penalty',
    'seed': 'seed',
    'thinkingConfig': 'google_thinking_config',
    'mediaResolution': 'google_video_resolution',
    'responseLogprobs': 'google_logprobs',
    'logprobs': 'google_top_logprobs',
}
_READ = {'responseMimeType', 'responseJsonSchema', 'responseSchema', 'responseModalities', 'imageConfig'}
_TOP = {'labels': 'google_labels', 'cachedContent': 'google_cached_content', 'safetySettings': 'google_safety_settings'}
_TOP_READ = {'contents', 'generationConfig', 'systemInstruction', 'tools', 'toolConfig'}
_VIDEO = {'startOffset': 'start_offset', 'endOffset': 'end_offset', 'fps': 'fps'}


def in_camel_case(value: Any) -> Any:
    """JSON by the names that Google documents; it knows them with underscores as well."""
    if isinstance(value, list):
        return [in_camel_case(each) for each in value]
    if not isinstance(value, dict):
        return value
    named = {_camel(key): each for key, each in value.items()}
    return {key: each if key in _FREE else in_camel_case(each) for key, each in named.items()}


def _camel(key: str) -> str:
    first, *rest = key.split('_')
    return first + ''.join(word[:1].upper() + word[1:] for word in rest)


def read_request(body: Json, origin: Origin) -> tuple[list[Any], Json, ModelRequestParameters]:
    """The messages, settings and parameters that a recorded request comes from."""
    body = in_camel_case(body)
    messages: list[Any] = []
    for content in body['contents']:
        is_answer = content['role'] == 'model'
        messages.append(_read_answer(content, origin) if is_answer else ModelRequest(_read_user(content['parts'])))
    system = body.get('systemInstruction', {}).get('parts', ())
    messages[0].parts[:0] = [SystemPromptPart(part['text']) for part in system]
    config = body.get('generationConfig', {})
    settings: Json = {_SETTINGS[name]: value for name, value in config.items() if name in _SETTINGS}
    settings |= {_TOP[name]: value for name, value in body.items() if name in _TOP}
    unread: Json = {name: value for name, value in body.items() if name not in _TOP.keys() | _TOP_READ}
    rest = {name: value for name, value in config.items() if name not in _SETTINGS.keys() | _READ}
    if rest:
        unread['generationConfig'] = rest
    if unread:
        settings['extra_body'] = unread
    return messages, settings, _read_parameters(body, config, settings)


def _read_answer(content: Json, origin: Origin) -> ModelResponse:
    return decode(GenerateContentResponse.model_validate({'candidates': [{'content': content}]}), origin)


def _read_user(parts: list[Json]) -> list[Any]:
    """What a program has asked with some parts."""
    said: list[Any] = []
    read: list[Any] = []
    for part in parts:
        if 'functionResponse' in part:
            read.append(_read_return(part['functionResponse']))
        else:
            said.append(part['text'] if 'text' in part else _read_file(part))
    return [*read, UserPromptPart(said)] if said else read


def _read_return(said: Json) -> Any:
    name, call_id, response = said['name'], said.get('id') or 'call', said['response']
    if response.keys() == {'error'} and str(response['error']).endswith(_ADVICE):
        content = response['error'].removesuffix(_ADVICE)
        return RetryPromptPart(content, tool_name=name, tool_call_id=call_id)
    files = [_read_file(part) for part in said.get('parts', ())]
    content = response.get('return_value') if response.keys() == {'return_value'} else response
    if files:
        rest = content if isinstance(content, list) else [content] if content else []
        content = [*rest, *files]
    return ToolReturnPart(name, content, call_id)


def _read_file(part: Json) -> Any:
    video = {_VIDEO[name]: value for name, value in part.get('videoMetadata', {}).items()}
    look = {'media_resolution': part['mediaResolution']['level']} if 'mediaResolution' in part else {}
    metadata = video | look or None
    if 'inlineData' in part:
        blob = part['inlineData']
        data = urlsafe_b64decode(_standard(blob['data']).replace('+', '-').replace('/', '_'))
        return BinaryContent(data, media_type=blob['mimeType'], vendor_metadata=metadata)
    file = part['fileData']
    kinds = {'image': ImageUrl, 'audio': AudioUrl, 'video': VideoUrl}
    kind = kinds.get(file.get('mimeType', '').partition('/')[0], DocumentUrl)
    return kind(file['fileUri'], media_type=file.get('mimeType'), vendor_metadata=metadata)


def _read_parameters(body: Json, config: Json, settings: Json) -> ModelRequestParameters:
    calling = body.get('toolConfig', {}).get('functionCallingConfig', {})
    functions, builtin = _read_tools(body.get('tools', ()), calling.get('mode') == 'VALIDATED', settings)
    names = calling.get('allowedFunctionNames')
    if names and set(names) != {tool.name for tool in functions}:
        settings['tool_choice'] = names
    if calling.get('mode') == 'NONE':
        settings['tool_choice'] = 'none'
    if 'imageConfig' in config:
        builtin.append(_read_image(config['imageConfig']))
    schema, modalities = config.get('responseJsonSchema'), config.get('responseModalities', ())
    mode = 'native' if schema else 'prompted' if 'responseMimeType' in config else 'text'
    return ModelRequestParameters(
        function_tools=functions,
        builtin_tools=builtin,
        output_mode=mode,
        output_object=OutputObjectDefinition(json_schema=schema) if schema else None,
        allow_text_output='TEXT' in modalities if 'IMAGE' in modalities else calling.get('mode') != 'ANY',
        allow_image_output='IMAGE' in modalities,
    )


def _read_tools(tools: Any, is_strict: bool, settings: Json) -> tuple[list[ToolDefinition], list[Any]]:
    functions: list[ToolDefinition] = []
    builtin: list[Any] = []
    for tool in tools:
        for kind, said in tool.items():
            if kind == 'functionDeclarations':
                functions += [_read_function(each, is_strict) for each in said]
            elif kind == 'googleSearch':
                builtin.append(WebSearchTool(blocked_domains=said.get('excludeDomains')))
            elif kind == 'urlContext':
                builtin.append(WebFetchTool())
            elif kind == 'codeExecution':
                builtin.append(CodeExecutionTool())
            elif kind == 'fileSearch':
                builtin.append(FileSearchTool(file_store_ids=said['fileSearchStoreNames']))
            elif kind == 'mcpServers':
                builtin += [MCPServerTool(id=each['name'], url=each['streamableHttpTransport']['url']) for each in said]
            else:
                settings.setdefault('extra_body', {})['tools'] = tools
    return functions, builtin


def _read_function(said: Json, is_strict: bool) -> ToolDefinition:
    return ToolDefinition(
        name=said['name'],
        description=said.get('description'),
        parameters_json_schema=json_schema_of(said),
        strict=is_strict or None,
    )


def json_schema_of(said: Json) -> Json:
    """The schema of a function, which older requests have in the words of OpenAPI."""
    if 'parametersJsonSchema' in said:
        return said['parametersJsonSchema']
    return _lower_types(said.get('parameters') or {'type': 'OBJECT', 'properties': {}})


def _lower_types(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_lower_types(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    lowered = {key: _lower_types(value) for key, value in schema.items()}
    if isinstance(lowered.get('type'), str):
        lowered['type'] = lowered['type'].lower()
    return lowered


def _read_image(said: Json) -> ImageGenerationTool:
    output = said.get('imageOutputOptions', {})
    form = output.get('mimeType', '').removeprefix('image/') or None
    return ImageGenerationTool(
        aspect_ratio=said.get('aspectRatio'),
        size=said.get('imageSize'),
        output_format=form,
        output_compression=output.get('compressionQuality'),
    )


# What may be different


def normal(body: Json) -> Any:
    """A request without differences that make none to Google."""
    body = in_camel_case(body)
    config = dict(body.get('generationConfig', {}))
    # Text alone is what a model answers unless something else is said.
    if config.get('responseModalities') == ['TEXT']:
        del config['responseModalities']
    # Nothing is said of images.
    if config.get('imageConfig') == {}:
        del config['imageConfig']
    if 'responseJsonSchema' in config:
        config['responseJsonSchema'] = _plain_schema(config['responseJsonSchema'])
    # What is empty says nothing.
    body.pop('generationConfig', None)
    return {
        **body,
        'contents': _merged(body['contents']),
        **({'generationConfig': config} if config else {}),
        **_normal_tools(body),
    }


def _normal_tools(body: Json) -> Json:
    tools = [_normal_tool(tool) for tool in body.get('tools', ())]
    config = {**body.get('toolConfig', {})}
    calling = {**config.get('functionCallingConfig', {})}
    names = {each['name'] for tool in tools for each in tool.get('functionDeclarations', ())}
    # To allow all functions is to allow no certain ones.
    if set(calling.get('allowedFunctionNames', ())) == names:
        calling.pop('allowedFunctionNames', None)
    # The model decides unless something else is said, and where there are no functions there is nothing to decide.
    if calling == {'mode': 'AUTO'} or not names:
        calling = {}
    config.pop('functionCallingConfig', None)
    if calling:
        config['functionCallingConfig'] = calling
    # Many were recorded before there was this flag.
    config.pop('includeServerSideToolInvocations', None)
    return ({'tools': tools} if tools else {}) | {'toolConfig': config or None}


def _normal_tool(tool: Json) -> Json:
    if 'functionDeclarations' not in tool:
        return tool
    functions = [
        {
            'name': each['name'],
            'description': each.get('description') or '',
            # The same schema in the words of OpenAPI and of JSON schema; each program has its own way to write it.
            'schema': _plain_schema(json_schema_of(each)),
        }
        for each in tool['functionDeclarations']
    ]
    return {'functionDeclarations': functions}


def _plain_schema(schema: Json) -> Json:
    """A schema as we would write it: without titles, and with what Gemini does not know in descriptions."""
    plain = GoogleJsonSchemaTransformer(schema).walk()
    plain.pop('title', None)
    return plain


def _merged(contents: list[Json]) -> list[Json]:
    """What the same side says in several contents it may say in one; what tools return comes first and by itself."""
    merged: list[Json] = []
    for role, part in _parts(contents):
        last = merged[-1] if merged else None
        if (
            last is None
            or last['role'] != role
            or ('functionResponse' in last['parts'][0]) != ('functionResponse' in part)
        ):
            merged.append({'role': role, 'parts': [part]})
        elif not _continues(last['parts'][-1], part, role):
            last['parts'].append(part)
    return merged


def _parts(contents: list[Json]) -> Iterator[tuple[str, Json]]:
    for content in contents:
        parts = [_normal_part(part) for part in content['parts']]
        for part in sorted(parts, key=lambda part: 'functionResponse' not in part):
            # A text without words is no answer, and what Google is asked where nobody has asked anything.
            if part not in ({'text': ''}, {'text': '', 'thought': True}):
                yield content['role'], part


def _continues(before: Json, part: Json, role: str) -> bool:
    """Whether an answer goes on with the same text or thought; then it does. The signature may come last and alone."""
    kind, signature = part.keys() - {'thoughtSignature'}, part.get('thoughtSignature')
    is_same = role == 'model' and 'text' in part and before.keys() == kind
    if not is_same or (signature and part['text']):
        return False
    before['text'] += part['text']
    if signature:
        before['thoughtSignature'] = signature
    return True


_NO_SIGNATURE = 'c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I='


def _normal_part(part: Json) -> Json:
    part = dict(part)
    # Calls without a signature were recorded before Google wanted to be told that there is none.
    if part.get('thoughtSignature') == _NO_SIGNATURE:
        del part['thoughtSignature']
    # There are two alphabets for base64, and Google takes both.
    if 'thoughtSignature' in part:
        part['thoughtSignature'] = _standard(part['thoughtSignature'])
    if 'inlineData' in part:
        part['inlineData'] = {**part['inlineData'], 'data': _standard(part['inlineData']['data'])}
    if 'parts' in part.get('functionResponse', {}):
        files = [_normal_part(each) for each in part['functionResponse']['parts']]
        part['functionResponse'] = {**part['functionResponse'], 'parts': files}
    return part


def _standard(text: str) -> str:
    return text.replace('-', '+').replace('_', '/')
