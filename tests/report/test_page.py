"""The page in words and markup, without a browser: what stands in it for every kind of answer."""

from __future__ import annotations

import dataclasses
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import pandas as pd
import pytest

from specnorm.comparison.document import Document
from specnorm.params import NormParams
from specnorm.report import page, tables
from specnorm.report.card import card
from specnorm.report.listings import listings
from tests import made_up
from tests.builders import front_end_params

NORM = {
    "none": NormParams(kind="identity", waveform="raw", description="Nothing is done."),
    "global": NormParams(kind="global", waveform="standardized", description="The spectrogram is standardised."),
    "channel": NormParams(kind="channel", waveform="standardized"),
}
MODES: dict[str, dict[str, Any]] = {name: {} for name in NORM}
PICTURE = page.Drawing('<svg role="img" aria-label="three bars"></svg>', "Three modes")


def frames(document: Document, *, label: str = "dog") -> dict[str, pd.DataFrame]:
    """What the CSV files of a comparison hold, as small as may be."""
    names = [mode.norm for mode in document.modes]
    looks = [
        {
            "norm": name,
            "label": label,
            "clips": 7,
            "difference": 0.25 * place,
            "low": 0.125,
            "high": 0.5,
            "p": 0.01 * place,
            "p_adjusted": 0.02 * place,
            "marked": place == 1,
        }
        for place, name in enumerate(names[1:], 1)
    ]
    columns = ["norm", "label", "clips", "difference", "low", "high", "p", "p_adjusted", "marked"]
    shares = dict(zip(names, (0.0, 1.0, 2 / 3), strict=False))
    confused = [
        {"norm": name, "actual": label, "predicted": "cat", "clips": 2, "share": 0.25 * place}
        for place, name in enumerate(names, 1)
    ]
    run = {"fold": 1, "seed": 0, "accuracy": 0.5, "f1_macro": 0.4, "loss": 1.5, "total_seconds": 60.0}
    return {
        "summary": tables.summary(document),
        "differences": pd.DataFrame({"one": [pair.one for pair in document.pairs]}),
        "classes": pd.DataFrame(looks, columns=columns),
        "disagreements": pd.DataFrame([{"clip": f"{label}.wav", "fold": 2, "label": label, "source": "a", **shares}]),
        "confusion": pd.DataFrame(confused),
        "cells": pd.DataFrame([{"norm": name, **run, "device": "cpu", "precision": "fp32"} for name in names]),
    }


def rendered(document: Document, **changes: Any) -> str:
    """The page of a document."""
    own = frames(document)
    found: dict[str, Any] = {
        "card": card(document, NORM, front_end_params()),
        "listings": listings(document, own),
        "classes": own["classes"],
        "disagreements": 1,
        "hearing": None,
        "provenance": {"device": "a CPU"},
    }
    colours = dict.fromkeys(NORM, "#222222")
    return page.render(document, changes.pop("pictures", {"accuracy": PICTURE}), colours, **found | changes)


class Words(HTMLParser):
    """The text of a page, and the tags with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] and self.tags[-1][0] not in ("script", "style"):
            self._words.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self._words).split())


@pytest.mark.parametrize(
    ("state", "title", "code"),
    [
        ("decided", "Use global", True),
        ("undecided", "Until more is run, global loses least", True),
        ("nothing learned", "No mode is better than a guess", False),
    ],
)
def test_the_answer_stands_first(state: str, title: str, code: bool) -> None:
    document = made_up.document(MODES, decided="global", state=state)
    read = Words(rendered(document))
    assert read.words.index(title) < read.words.index("How good each mode is")
    assert document.decision.sentence in read.words
    assert ("The spectrogram is standardised." in read.words) == code
    assert ("sn.FrontEnd" in read.words) == code
    assert "not compared" in read.words  # the raw waveform's place beside global


def test_every_table_has_headers_a_caption_and_its_file() -> None:
    read = Words(rendered(made_up.document(MODES)))
    names = [tag for tag, _ in read.tags]
    assert names.count("table") == names.count("caption") == 7  # without the no-op check's, with the card's grid
    assert all(attributes.get("scope") in ("col", "row") for tag, attributes in read.tags if tag == "th")
    files = [attributes["download"] for tag, attributes in read.tags if tag == "a" and "download" in attributes]
    assert files == [
        f"{name}.csv" for name in ("summary", "differences", "classes", "disagreements", "confusion", "cells")
    ]


def test_headings_go_down_one_step_at_a_time_and_sections_can_be_linked_to() -> None:
    read = Words(rendered(made_up.document(MODES)))
    levels = [int(tag[1]) for tag, _ in read.tags if tag in ("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))
    targets = {attributes["href"] for tag, attributes in read.tags if tag == "a" and not attributes.get("download")}
    assert targets == {f"#{attributes['id']}" for tag, attributes in read.tags if tag in ("h2", "section")} - {
        "#verdict-words"
    }


def test_a_picture_for_a_phone_stands_beside_its_wide_one() -> None:
    narrow = page.Drawing("<svg><title>narrow</title></svg>", "Three modes")
    document = made_up.document(MODES)
    alone = Words(rendered(document))
    both = Words(rendered(document, pictures={"accuracy": PICTURE, "accuracy-narrow": narrow}))
    kinds = ("any", "wide", "narrow")
    assert [each["class"] for _, each in alone.tags if each.get("class") in kinds] == ["any"]
    assert [each["class"] for _, each in both.tags if each.get("class") in kinds] == ["wide", "narrow"]
    assert both.words.count("Three modes") == 1


def test_the_folded_matrices_of_many_classes_are_the_small_ones_and_name_the_whole() -> None:
    small, whole = page.Drawing("<svg><title>most</title></svg>", "Most"), page.Drawing("<svg/>", "Every class")
    read = Words(rendered(made_up.document(MODES), pictures={"confusion-none": whole, "confusion-none-narrow": small}))
    assert "Most" in read.words
    assert "Every class" not in read.words
    assert "figures/confusion-none.svg" in read.words


def test_one_mode_alone_has_no_differences() -> None:
    read = Words(rendered(made_up.document({"none": {}}, state="not compared")))
    assert "none alone: nothing was compared" in read.words
    assert "How sure the differences are" not in read.words
    assert "Where modes gain and lose" not in read.words


def test_what_chance_finds_by_class_is_told() -> None:
    looks = pd.DataFrame({"p": [0.01] * 3 + [0.5] * 97, "marked": [True] + [False] * 99})
    read = Words(rendered(made_up.document(MODES), classes=looks))
    assert "100 looks at few clips each: by chance alone some 5 of their p values would be below 0.05" in read.words
    assert "3 are, and 1 stands after correction" in read.words


def test_a_label_that_looks_like_markup_is_text_and_only_our_scripts_run() -> None:
    """What a browser makes of worse ones is in ``test_browser.py``."""
    label = "</script><script>alert(1)</script>"
    document = made_up.document(MODES, caveat=f"Fold 2 has no clip of {label!r}")
    own = frames(document, label=label)
    read = Words(rendered(document, listings=listings(document, own), provenance={"data set": label}))
    assert read.words.count(label) >= 5
    (nonce,) = [attributes["nonce"] for tag, attributes in read.tags if tag == "script"]
    (policy,) = [attributes["content"] for _, attributes in read.tags if "http-equiv" in attributes]
    assert f"script-src 'nonce-{nonce}'" in str(policy)
    assert nonce not in rendered(made_up.document(MODES))


def test_letters_that_turn_the_direction_or_cannot_be_seen_are_written_out() -> None:
    document = made_up.document(MODES, title="a \x1b[31mset\x00 \u202egnp")
    text = rendered(document, provenance={"data set": "\u202e\x07"})
    assert r"a \x1b[31mset\x00 \u202egnp" in text
    assert not [letter for letter in text if not letter.isprintable() and letter != "\n"]


def test_a_large_file_is_named_and_not_carried_along() -> None:
    document = made_up.document(MODES)
    own = frames(document)
    own["cells"] = pd.concat([own["cells"]] * 12_000)
    made = listings(document, own)
    assert made["cells"].link is None
    read = Words(rendered(document, listings=made | {"cells": dataclasses.replace(made["cells"], rows=[])}))
    assert "All of it is in cells.csv, beside this page" in read.words
