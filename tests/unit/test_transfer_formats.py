"""Files in other programs' forms, case by case: what is read, what is refused and how it is said."""

from __future__ import annotations

from resource import RUSAGE_SELF, getrusage

import pytest

from dynastash.errors import InvalidArgumentError
from dynastash.models import Plaintext
from dynastash.transfer.formats import FORMATS, guessed, open_format
from dynastash.transfer.formats.base import Entry

SECRET = Entry("KEY", Plaintext(b"made up"), label="app1/key")


def read(form: str, data: bytes) -> dict[str, bytes]:
    return {each.key: each.value.expose() for each in open_format(form).read(data)}


def written(form: str, value: str, key: str = "KEY") -> bytes:
    return open_format(form).write([Entry(key, Plaintext(value.encode()), label="app1/key")], name="app1")


@pytest.mark.parametrize("form", FORMATS)
def test_bytes_that_are_no_text_are_refused_with_the_secrets_name_unless_they_fit(form: str) -> None:
    secret = [Entry("KEY", Plaintext(b"\xff\xfe"), label="app1/key")]
    if form == "kubernetes":
        assert read(form, open_format(form).write(secret, name="app1")) == {"KEY": b"\xff\xfe"}
        return
    with pytest.raises(InvalidArgumentError, match="cannot hold app1/key: it is not UTF-8 text"):
        open_format(form).write(secret)


@pytest.mark.parametrize(
    ("form", "value", "file"),
    [
        ("dotenv", "plain", "KEY=plain\n"),
        ("dotenv", "", "KEY=''\n"),
        ("dotenv", "a $b #c", "KEY='a $b #c'\n"),
        ("dotenv", "it's\n\t\r\"\\", 'KEY="it\'s\\n\\t\\r\\"\\\\"\n'),
        ("docker", " it's #x ", "KEY= it's #x \n"),
        ("json", "\0é\"", '{\n  "KEY": "\\u0000é\\""\n}\n'),
        ("yaml", "no", '"KEY": "no"\n'),
        ("csv", "a,\"b\"", 'name,value\r\nKEY,"a,""b"""\r\n'),
        ("properties", " a\t\né\U0001f511=", "KEY=\\ a\\t\\n\\u00e9\\ud83d\\udd11=\n"),
        ("shell", "it's $x", "export KEY='it'\\''s $x'\n"),
        ("powershell", "it's", "$env:KEY = 'it''s'\n"),
        ("powershell", "é!", "$env:KEY = '' + [char]0xE9 + '!'\n"),
        ("tfvars", "${a} %{b} \"\n\u2028\U000e0001", 'KEY = "$${a} %%{b} \\"\\n\\u2028\\U000e0001"\n'),
        (
            "kubernetes", "x",
            'apiVersion: v1\nkind: Secret\nmetadata:\n  name: "app1"\ntype: Opaque\ndata:\n  "KEY": "eA=="\n',
        ),
    ],
)  # fmt: skip
def test_what_is_written(form: str, value: str, file: str) -> None:
    assert written(form, value) == file.encode()
    assert read(form, file.encode()) == {"KEY": value.encode()}


@pytest.mark.parametrize(
    ("form", "value", "key", "why"),
    [
        ("dotenv", "a${b}", "KEY", "it has \\$\\{, which readers expand"),
        ("dotenv", "it's $b", "KEY", "it has a \\$ or a backquote"),
        ("dotenv", "\0", "KEY", "it has a NUL"),
        ("dotenv", "x", "a-b", "its key 'a-b' is not a variable's name"),
        ("docker", "a\nb", "KEY", "it has a line's end"),
        ("docker", "x" * 70_000, "KEY", "longer than 64 KiB"),
        ("csv", "x", "", "it has no key"),
        ("properties", "x", "", "it has no key"),
        ("powershell", "", "KEY", "it is empty"),
        ("tfvars", "e\u0301", "KEY", "would compose its characters anew"),
        ("tfvars", "$${", "KEY", "for which there is no escape"),
        ("tfvars", "x", "1", "is not a variable's name"),
        ("kubernetes", "x", "a/b", "its key 'a/b' is none there"),
        ("kubernetes", "x", "..a", "its key '..a' is none there"),
    ],
)  # fmt: skip
def test_what_a_form_cannot_hold_is_refused_by_the_secrets_name(form: str, value: str, key: str, why: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"cannot hold app1/key: .*{why}") as raised:
        written(form, value, key)
    assert raised.value.hint


def test_a_secret_of_kubernetes_holds_a_mebibyte() -> None:
    many = [Entry(f"K{number}", Plaintext(bytes(300_000))) for number in range(4)]
    assert len(open_format("kubernetes").read(open_format("kubernetes").write(many[:3], name="a"))) == 3
    with pytest.raises(InvalidArgumentError, match="too large for one Secret"):
        open_format("kubernetes").write(many, name="a")
    assert read("kubernetes", open_format("kubernetes").write([], name="a")) == {}


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("a/b.json", "json"),
        ("X.JSON", "json"),
        ("x.tfvars", "tfvars"),
        (".env", None),
        ("x.yaml", None),
        ("json", None),
    ],
)
def test_a_format_is_guessed_where_the_name_leaves_no_doubt(path: str, form: str | None) -> None:
    assert guessed(path) == form


@pytest.mark.parametrize(
    ("form", "text", "found"),
    [
        ("dotenv", "export A=1 # x\nB='two\nlines'\n", {"A": "1", "B": "two\nlines"}),
        ("docker", "# x\n\n  A= '1' # x\r\nB=\n", {"A": " '1' # x", "B": ""}),
        ("json", '{"db": {"user": "u", "x/y": "z"}, "a": ""}', {"db/user": "u", "db/x/y": "z", "a": ""}),
        ("yaml", "db:\n  user: u\n  pw: 'no'\na: >-\n  b\n  c\n", {"db/user": "u", "db/pw": "no", "a": "b c"}),
        ("csv", '\ufeffname,value\na,"b,""c"""\n\nd,\n', {"a": 'b,"c"', "d": ""}),
        ("properties", "# x\n! y\na : b\\\n   c\nd=\\u00e9\\ne\nf\n", {"a": "bc", "d": "é\ne", "f": ""}),
        ("shell", "# x\nexport A='b'\\''c'\nB=x1 # y\nC=\n", {"A": "b'c", "B": "x1", "C": ""}),
        ("powershell", "# x\n$env:A = 'b''c' + [char]0xE9\r\n", {"A": "b'cé"}),
        ("kubernetes", "kind: Secret\ndata:\n  a: eA==\nstringData:\n  b: why\n", {"a": "x", "b": "why"}),
        ("kubernetes", '{"kind": "Secret", "data": {"a": "eA=="}}', {"a": "x"}),
        ("tfvars", '# x\na = "b$${c}\\u00e9" // y\n', {"a": "b${c}é"}),
    ],
)
def test_what_people_write_by_hand_is_read(form: str, text: str, found: dict[str, str]) -> None:
    assert list(read(form, text.encode()).items()) == [(key, value.encode()) for key, value in found.items()]


@pytest.mark.parametrize(
    ("form", "text", "why"),
    [
        ("docker", "A=1\nB\n", "line 2: there is no ="),
        ("docker", "A B=1\n", "line 1: what stands before"),
        ("docker", "A=1\nA=2\n", "line 2: 'A' is there twice, first in line 1"),
        ("json", '{"a": 1}', "'a' is a number"),
        ("json", '{"a": {"b": [true]}}', "'a/b' is a list"),
        ("json", '{"a": null}', "'a' is null"),
        ("json", '{"a": "x", "a": "y"}', "'a' is there twice"),
        ("json", '{"a/b": "x", "a": {"b": "y"}}', "'a/b' is there twice"),
        ("json", '{"a": "\\ud800"}', "'a' has half of a surrogate pair"),
        ("json", "[" * 100_000, "this is not JSON"),
        ("json", '["a"]', "not an object"),
        ("yaml", "a: no\n", "line 1: 'a' is true or false to YAML"),
        ("yaml", "a: y\n", "no text to every reader"),
        ("yaml", "a: 0o17\n", "no text to every reader"),
        ("yaml", "a: 1.10\n", "is a number"),
        ("yaml", "a: 2020-01-01\n", "is a date"),
        ("yaml", "a:\n", "is null"),
        ("yaml", "a: &x b\nc: *x\n", "line 1: there is an anchor"),
        ("yaml", "b: !x yes it is\n", "something else than text"),
        ("yaml", "a: b\na: c\n", "line 2: 'a' is there twice, first in line 1"),
        ("yaml", "a: b\n---\nc: d\n", "not YAML of one document"),
        ("yaml", "a: [b]\n", "is a list or a mapping"),
        ("yaml", "- a\n", "not a mapping"),
        ("yaml", "{a: " * 5000, "line 1: there are more than 64 levels"),
        ("csv", "a,b\n", "line 1: the header"),
        ("csv", "name,value\na\n", "line 2: there are 1 fields"),
        ("csv", 'name,value\na,b"c\n', "line 2: there is a quote"),
        ("csv", 'name,value\na,"b\nc,d\n', "line 2: the quote that a field begins with is not closed"),
        ("csv", 'name,value\na,"b"c\n', "line 2: there is a quote"),
        ("csv", 'name,value\n"a\nb",1\n"a\nb",2\n', "line 4: 'a\\\\nb' is there twice, first in line 2"),
        ("properties", "a=1\nb=é\n", "line 2: there is a character that is not ASCII"),
        ("properties", "a=\\u00g0\n", "without four hexadecimal digits"),
        ("properties", "a=1\\", "it ends with a backslash"),
        ("properties", "a=1\na:2\n", "line 2: 'a' is there twice"),
        ("shell", "A=$(x)\n", "line 1: A has what a shell would expand"),
        ("shell", 'A="x"\n', "line 1: A has what a shell would expand"),
        ("shell", "A=x; rm y\n", "line 1: A has what"),
        ("shell", "echo x\n", "line 1: this is no assignment"),
        ("powershell", '$env:A = "x"\n', "line 1: this is no assignment"),
        ("powershell", "$env:A = 'é'\n", "line 1: this is no assignment"),
        ("kubernetes", "kind: ConfigMap\ndata:\n  a: b\n", "no manifest of a Secret"),
        ("kubernetes", "kind: Secret\ndata:\n  a: '%'\n", "'a' is not base64"),
        ("kubernetes", "kind: Secret\ndata:\n  a: eA==\nstringData:\n  a: why\n", "'a' is there twice"),
        ("tfvars", 'a = "${b}"\n', "is a template to Terraform"),
        ("tfvars", 'a = "%{if b}"\n', "is a template to Terraform"),
        ("tfvars", "a = 1\n", "line 1: this is no assignment of a text"),
        ("tfvars", "a = <<E\nx\nE\n", "line 1: this is no assignment of a text"),
        ("tfvars", 'a = "\\x"\n', "a has a backslash before"),
        ("tfvars", 'a = "\\Uffffffff"\n', "no character"),
    ],
)  # fmt: skip
def test_what_could_be_read_in_two_ways_is_refused_with_its_line(form: str, text: str, why: str) -> None:
    with pytest.raises(InvalidArgumentError, match=why):
        open_format(form).read(text.encode())


@pytest.mark.parametrize("form", FORMATS)
def test_what_is_no_utf_8_is_refused(form: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"UTF-8|ASCII"):
        open_format(form).read(b"A=\xff\n")


@pytest.mark.parametrize("name", ["", "App1", "a_b", "-a", "a" * 254])
def test_a_manifest_needs_a_name_that_kubernetes_takes(name: str) -> None:
    with pytest.raises(InvalidArgumentError, match="not a name for a Secret"):
        open_format("kubernetes").write([], name=name)


def test_a_hostile_file_took_time_by_the_square_of_its_length() -> None:
    """Each of these would keep a broken reader busy for hours."""
    long = 300_000
    assert read("dotenv", b"KEY=a" + b" " * long + b"b") == {"KEY": b"a" + b" " * long + b"b"}
    assert read("properties", b"KEY=" + b"a\\\n" * long + b"b") == {"KEY": b"a" * long + b"b"}
    assert read("shell", b"KEY=" + b"a\\$" * long) == {"KEY": b"a$" * long}
    with pytest.raises(InvalidArgumentError, match="'0' is there twice"):
        read("json", ("{" + "".join(f'"{n}":"",' for n in range(1, long)) + '"0":"","0":""}').encode())
    with pytest.raises(InvalidArgumentError, match="line 1: there are more than 64 levels"):
        read("yaml", b"[" * long)


def test_a_quote_that_is_not_closed_took_gigabytes() -> None:
    """What a regular expression might have gone back to, for each character."""
    data = b'name,value\nKEY,"' + b"x" * 4_000_000
    before = getrusage(RUSAGE_SELF).ru_maxrss
    with pytest.raises(InvalidArgumentError, match="line 2: the quote that a field begins with is not closed"):
        read("csv", data)
    assert getrusage(RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB
    assert read("csv", data + b'"""\n') == {"KEY": b"x" * 4_000_000 + b'"'}
