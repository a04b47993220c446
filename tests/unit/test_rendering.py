"""Jinja2 templates: what they may do, what they may not, and that no error shows a value."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynastash.errors import (
    DynastashError,
    InvalidArgumentError,
    NotFoundError,
    PartialError,
    SecretNotFoundError,
    TemplateError,
)
from dynastash.rendering.jinja import JinjaTemplate
from dynastash.rendering.plain import PlainTemplate
from dynastash.stash.api import Stash
from tests.unit.stash_kit import CountingKeys, CountingStore, World

VALUE = "hunter2<&'\">"


@pytest.fixture
def stash(tmp_path: Path) -> Stash:
    """A few secrets."""
    stash = World(tmp_path).stash
    stash.put("app1/password", "first")
    stash.put("app1/password", VALUE)
    stash.put("app1/config", '{"user": "ada", "port": 5432}')
    stash.put("binary", b"\xff\x00")
    stash.put("ref", '{{ secret("app1/password") }}{{ dynastash://app1/password }}')
    return stash


def rendered(stash: Stash, text: str, **variables: str) -> str:
    return JinjaTemplate(text.encode(), variables).render(stash).expose().decode()


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ('{{ secrets("app1/pass")[0] }}', "Listed(name='app1/password', key='word', version=2)"),
        ('{{ secret("app1/password") }}', VALUE),
        ('{{ secret("dynastash://app1/password@1") }}', "first"),
        ('{{ secret("app1/password", version=1) }}', "first"),
        ('{{ secret("app1/password", stage="previous") }}', "first"),
        ('{{ secret("app1/config#user") }}:{{ secret("app1/config", field="port") }}', "ada:5432"),
        ('{{ secret("binary", encoding="base64") }}', "/wA="),
        ('{{ secret("app1/password")|b64encode }}', "aHVudGVyMjwmJyI+"),
        ('{{ secret("app1/config")|shellquote }}', '\'{"user": "ada", "port": 5432}\''),
        ('{{ secret("app1/config#user")|tojson }}', '"ada"'),
        ('{{ secret("app1/password", version=1)|urlencode }}', "first"),
        ('{% for s in secrets("app1/") %}{{ s.key }}={{ s.version }} {% endfor %}', "config=1 password=2 "),
        ('{% set n = "app1/" ~ "password" %}{{ secret(n) }}', VALUE),
        ("{{ environment }} {{ port }}\r\nx\r\n", "prod 8443\r\nx\r\n"),
        ("x\n", "x\n"),
        ('{{ missing|default("none") }}', "none"),
        ('{{ secret("ref") }}', '{{ secret("app1/password") }}{{ dynastash://app1/password }}'),
        ('{{ "{{ dynastash://a }}" }}', "{{ dynastash://a }}"),
    ],
)
def test_what_templates_can_say(stash: Stash, text: str, result: str) -> None:
    """Values as they are: nothing is escaped that no filter escapes, and nothing is expanded twice."""
    assert rendered(stash, text, port="8443") == result


ESCAPES = [
    "{{ ''.__class__ }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ ''['__class__'] }}",
    "{{ ''|attr('__class__') }}",
    "{{ secret.__globals__ }}",
    "{{ secret.__closure__ }}",
    "{{ secret.__code__.co_consts }}",
    "{{ secrets.__func__ }}",
    "{{ self.__init__.__globals__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ joiner.__init__.__globals__ }}",
    "{{ namespace.__init__.__globals__ }}",
    "{{ dict.__base__ }}",
    "{{ lipsum.__globals__['os'].popen('id').read() }}",
    "{{ get_flashed_messages.__globals__ }}",
    "{{ config }}",
    "{{ '{0.__class__}'.format('') }}",
    "{{ '{x.__class__}'.format_map({'x': ''}) }}",
    "{{ ('%s'|format(''))|attr('\\x5f\\x5fclass\\x5f\\x5f') }}",
    "{{ [].append.__self__.__class__ }}",
    "{{ [1].append(2) }}",
    "{{ {}.update({'a': 1}) }}",
    "{% for s in secrets('app1/') %}{{ s.__class__.__init__.__globals__ }}{% endfor %}",
    "{% set x = secrets('app1/')[0] %}{{ x._values }}",
    "{% include '/etc/passwd' %}",
    "{% import '/etc/passwd' as x %}",
    "{% from '/etc/passwd' import x %}",
    "{% extends '/etc/passwd' %}",
    "{% include x ignore missing %}",
    "{% do x %}",
    "{{ 9**99999999 }}",
    "{{ 'x' * 99999999999 }}",
    "{{ [0] * 99999999999 }}",
    "{{ range(999999999) }}",
    "{% for a in range(9999) %}{% for b in range(9999) %}{{ 'laugh' * 1000 }}{% endfor %}{% endfor %}",
    "{{ " + "(" * 5000 + ")" * 5000 + " }}",
    "{{ " + "9" * 5000 + " }}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
]


@pytest.mark.parametrize("text", ESCAPES, ids=range(len(ESCAPES)))
def test_hostile_templates_are_refused(stash: Stash, text: str) -> None:
    """No way to Python, to files, or to a result without bounds; an error of ours each time."""
    with pytest.raises(TemplateError):
        rendered(stash, text)


LEAKS = [
    "{{ secret('app1/password') + 1 }}",
    "{{ {}[secret('app1/password')] }}",
    "{{ secret('app1/password')[secret('app1/password')] }}",
    "{{ ''|attr(secret('app1/password')) }}",
    "{{ ''|attr(secret('app1/password')) + '' }}",
    "{{ secret(secret('app1/password')) }}",
    "{{ secret('app1/config', field=secret('app1/password')) }}",
    "{{ secret('app1/password', stage=secret('app1/password')) }}",
    "{{ secret('app1/password', version=secret('app1/password')) }}",
    "{{ secret('app1/password', encoding=secret('app1/password')) }}",
    "{{ secrets(secret('app1/password')) }}",
    "{{ secret('app1/password')|format(1, 2) }}",
    "{{ ('%d' ~ secret('app1/password')) % 'x' }}",
    "{% for a, b in [secret('app1/password')] %}{% endfor %}",
    "{{ [secret('app1/password')]|sum }}",
    "{{ secret('app1/password').no_such_member }}",
    "{{ [secret('app1/password')]|map(attribute=secret('app1/password'))|list }}",
    "{{ [secret('app1/password')]|map(secret('app1/password'))|list }}",
    "{% set hunter2 = 1 %}{{ {}[secret('app1/password')[:7]] }}",
]


@pytest.mark.parametrize("text", LEAKS, ids=range(len(LEAKS)))
def test_no_error_shows_a_value(stash: Stash, text: str) -> None:
    """Neither its text, nor its hint, nor its cause and context, nor a traceback."""
    with pytest.raises(DynastashError) as caught:
        rendered(stash, text)
    shown = "".join(traceback.format_exception(caught.value)).replace(text, "")
    assert "hunter2<" not in shown + str(caught.value.hint)
    assert "<&" not in shown
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("text", "said", "line"),
    [
        ("\n{{ missing }}", "missing is not defined", 2),
        ("{% if %}", "Expected an expression", 1),
        ("\n\n{{ secret() }}", r"secret\(\) takes a reference", 3),
        ("{{ secret('a', colour=1) }}", r"secret\(\) takes a reference", 1),
        ("\n{{ secret('../a') }}", "is not a name|is not a reference", 2),
        ("{{ secret(5) }}", "takes a text", 1),
        ("{{ secret('a', version=1, stage='current') }}", "a version and a stage", 1),
        ("\n{{ dynastash://a }}", "expected token", 2),
        ("{{ 1 // 0 }}", "ZeroDivisionError", 1),
    ],
)
def test_mistakes_are_told_with_their_line(stash: Stash, text: str, said: str, line: int) -> None:
    """Jinja2 knows no columns."""
    with pytest.raises(TemplateError, match=said) as caught:
        rendered(stash, text)
    assert caught.value.line == line


def test_what_cannot_be_text_is_refused(stash: Stash) -> None:
    """A template that is not UTF-8, a value that is none, a variable with a name of ours."""
    with pytest.raises(TemplateError, match="not UTF-8"):
        JinjaTemplate(b"\xff")
    with pytest.raises(TemplateError) as caught:
        rendered(stash, '{{ secret("binary") }}')
    assert "base64" in str(caught.value.hint)
    with pytest.raises(InvalidArgumentError, match="secret is no variable"):
        JinjaTemplate(b"", {"secret": "x"})


def test_errors_of_secrets_name_them_all(stash: Stash) -> None:
    """Whichever way the template goes: what it names has to be there."""
    with pytest.raises(PartialError) as caught:
        rendered(stash, '{% if false %}{{ secret("a") }}{% endif %}{{ secret("b@2") }}{{ secret("app1/password") }}')
    assert set(caught.value.failures) == {"a", "b@2"}
    with pytest.raises(NotFoundError, match="line 1: what the template asks for here does not exist"):
        rendered(stash, '{% set n = "a" %}{{ secret(n) }}')


def test_uses_are_known_before_rendering(stash: Stash) -> None:
    """Constant ones with their lines; whether there may be more is known too."""
    template = JinjaTemplate(b'{{ secret("a@2") }}\n{% if x %}{{ secret("b", field="c")|upper }}{% endif %}')
    assert [(str(use.reference), use.line) for use in template.uses] == [("a@2", 1), ("b#c", 2)]
    assert not template.open_ended
    for text in ("{{ secret(x) }}", "{{ secrets('a') }}", "{{ ['a']|map(secret)|join }}", "{{ secret(*x) }}"):
        assert JinjaTemplate(text.encode()).open_ended


@pytest.mark.parametrize("jinja", [False, True])
def test_all_secrets_come_in_one_batch(jinja: bool, tmp_path: Path) -> None:
    """25 references, some of them twice: two reads and 25 unwraps."""
    world = World(tmp_path)
    for number in range(25):
        world.stash.put(f"n{number}", str(number))
    write = ('{{{{ secret("n{0}") }}}}' if jinja else "{{{{ dynastash://n{0} }}}}").format
    data = "\n".join(write(number % 25) for number in range(40)).encode()
    store, keys = CountingStore(world.store), CountingKeys(world.keys)
    template = JinjaTemplate(data) if jinja else PlainTemplate(data)
    result = template.render(world.fresh(store, keys)).expose().decode()
    assert result.split("\n") == [str(number % 25) for number in range(40)]
    assert store.calls == ["fetch", "fetch"]
    assert keys.calls == ["unwrap"] * 25


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["{{", "}}", "{%", "%}", "{#", "#}", " if ", " for x in ", " endif ", " endfor ", "secret", "(", ")", '"a"',
             "|", "[", "]", ".", "__class__", "x", " set ", "=", "*", "9", "-", "\n", "'", "~", " in ", "{", "}"]
        ),
        max_size=14,
    ).map("".join)
)  # fmt: skip
def test_any_template_is_rendered_or_refused_with_our_error(text: str) -> None:
    """Whatever is written, no foreign exception comes out."""

    class Stub:
        environment = "prod"

        def resolve(self, references: object) -> dict[object, object]:
            raise SecretNotFoundError("there is no secret a")

        get_many = resolve

    try:
        JinjaTemplate(text.encode()).render(Stub())  # type: ignore[arg-type]
    except DynastashError:
        pass
