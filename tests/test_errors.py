"""What an error says is one line that a terminal only prints, whatever the thing that it names is called."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specnorm.errors import DataError, SpecnormError, one_line, visible

# Each is seen as what it is, in an error's message.
HOSTILE = {
    "\x1b[2J\x1b[31mred": r"\x1b[2J\x1b[31mred",
    "\x9b31mred": r"\x9b31mred",  # C1: the same in one character
    "a\x07\x08\x00\x7f": r"a\x07\x08\x00\x7f",
    "gnp.\u202egpj.exe": r"gnp.\u202egpj.exe",  # shown as gnp.exe.jpg
    "\u2066\u2067\u2069": r"\u2066\u2067\u2069",
    "cat\u200b": r"cat\u200b",
    "a\ufeff": r"a\ufeff",
    "lone \udcff": r"lone \udcff",  # a file's name that is no UTF-8
    "\U000e0041": r"\U000e0041",
}


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("part", ["what", "where", "expected", "got", "hint"])
def test_every_part_of_an_error_shows_what_cannot_be_printed(text: str, part: str) -> None:
    parts = {"what": "a fault", part: text}
    error = DataError(parts.pop("what"), **parts)
    assert HOSTILE[text] in str(error)
    assert str(error).isprintable()
    assert error.where == parts.get("where")  # for programs it is as it was given


def test_ordinary_text_of_any_script_stays_as_it_is() -> None:
    for text in ("café", "Größe", "犬", "собака", "כלב", "कुत्ता", "a–b…", "🐶", "$ & <b> `x`"):
        assert str(SpecnormError(text)) == text


def test_white_space_is_a_single_space() -> None:
    assert one_line("a\n\t b\r\n\u00a0c\x85d\u2028e") == "a b c d e"


@given(st.text(st.characters()))
def test_whatever_is_named_the_message_is_one_printable_line(text: str) -> None:
    said = str(SpecnormError("a fault", where=text, got=text))
    assert said.isprintable()
    assert one_line(said) == said  # an error that cites another is not escaped twice


@given(st.text(st.characters()))
def test_text_of_several_lines_keeps_them(text: str) -> None:
    shown = visible(text)
    assert shown.count("\n") == text.count("\n")
    assert not {unicodedata.category(letter) for letter in shown.replace("\n", "")} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
