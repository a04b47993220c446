"""Indented JSON, held against the standard library's."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dynastash.cli.jsontext import indented

DATA = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.sampled_from([[], {}, ()])),
    lambda below: st.one_of(st.lists(below, max_size=4), st.dictionaries(st.text(), below, max_size=4)),
    max_leaves=20,
)


@given(DATA, st.booleans())
def test_it_is_what_the_standard_library_writes(data: Any, ascii: bool) -> None:
    """Every kind of value, empty ones, any text."""
    assert indented(data, ascii=ascii) == json.dumps(data, indent=2, ensure_ascii=ascii)
