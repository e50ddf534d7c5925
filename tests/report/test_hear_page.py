"""The clips of the page in a real browser: they play, the cursor goes with the sound, names are shown as text."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from specnorm.report import embedded, page
from specnorm.report.card import card
from specnorm.report.hearing import Guess, Heard, Hearing, View
from specnorm.report.listings import listings
from tests import made_up
from tests.builders import front_end_params
from tests.demo import browser as browsing
from tests.report.test_page import NORM, frames

MODES = ("none", "waveform", "global_raw", "channel_raw", "global", "channel")
HOSTILE = "</title></script><script>alert(1)</script><img src=x onerror=alert(2)>\"' & {{ 7 * 7 }} " + "x" * 200
SECONDS, RATE = 5.0, 16000


def hearing(clips: int) -> Hearing:
    """The largest there can be: noise, which neither a sound nor a picture can make smaller."""
    generator = np.random.default_rng(0)

    def view(mode: str) -> View:
        level = generator.standard_normal((201, 401)).astype(np.float32)
        guesses = tuple(Guess(HOSTILE, probability, probability == 0.5) for probability in (0.5, 0.3, 0.2))
        return View(mode, 1, embedded.picture(level, (-2.5, 2.5)), -2.5, 2.5, "normalised level", guesses)

    def sound() -> str:
        return embedded.sound((0.2 * generator.standard_normal(round(SECONDS * RATE))).astype(np.float32), RATE)

    heard = [Heard(f"{HOSTILE}.wav", HOSTILE, 1, sound(), -3.0, tuple(map(view, MODES))) for _ in range(clips)]
    return Hearing(tuple(heard), clips, 1, RATE, SECONDS, SECONDS, 0.0, RATE / 2)


def rendered(what: Hearing | None) -> str:
    """The whole page, for its policy on scripts holds for ours, too."""
    document = made_up.document({mode: {} for mode in NORM})
    own = frames(document)
    return page.render(
        document,
        {},
        dict.fromkeys(MODES, "#56B4E9"),
        card=card(document, NORM, front_end_params()),
        listings=listings(document, own),
        classes=own["classes"],
        disagreements=0,
        hearing=what,
        provenance={},
    )


@pytest.fixture(scope="module")
def html() -> str:
    return rendered(hearing(12))


def test_twelve_clips_and_six_modes_leave_room_on_a_page_of_ten_megabytes(html: str) -> None:
    assert html.count("<audio") == 12
    assert html.count('class="spectrogram"') == 72
    assert len(html) < 2.5e6  # twenty modes: 6 MB


def test_what_there_is_to_hear_is_told_in_so_many_words() -> None:
    one = hearing(1)
    said = " ".join(rendered(one).split())
    assert "Of 1 source recording a clip is right under one mode and wrong under another. Chosen for" in said
    assert "This page holds the sound of this clip:</b> whoever has the page can hear it." in said
    assert "with one seed some of them may differ by the draw of a training run alone" in said
    assert "peak −3 dB" in said

    silent = dataclasses.replace(one.clips[0], peak_db=None)
    more = dataclasses.replace(one, clips=(silent,), among=40, seeds=3, played_s=2.0)
    said = " ".join(rendered(more).split())
    assert (
        "Of 40 source recordings a clip is right under one mode and wrong under another, each with all 3 seeds." in said
    )
    assert "Here are the 1 clips" not in said
    assert "right with 1 of 3 seeds" in said
    assert "digital silence" in said
    assert "cut or padded to 5 s (the first 2 s can be heard)" in said
    assert "one seed" not in said


def test_where_nobody_disagrees_or_no_sound_is_wanted_there_is_none() -> None:
    nothing = rendered(dataclasses.replace(hearing(1), clips=(), among=0))
    assert "there is no disagreement to hear" in nothing
    assert "<audio" not in nothing
    assert "holds the sound" not in nothing
    assert not re.search(r'<audio|id="hear"|\.heard', rendered(None))


PLAYERS = "[...document.querySelectorAll('audio')]"


def test_they_play_by_the_keyboard_and_the_cursor_goes_with_the_sound(
    browser: Browser, html: str, tmp_path: Path
) -> None:
    (tmp_path / "page.html").write_text(html, encoding="utf-8")
    with browsing.watched(browser, width=390, height=844) as seen:
        shown = seen.page
        shown.on("dialog", lambda dialog: seen.complaints.append(dialog.message))
        shown.goto((tmp_path / "page.html").as_uri())
        shown.wait_for_function(f"() => {PLAYERS}.every(player => player.readyState >= 1)")
        durations = shown.evaluate(f"() => {PLAYERS}.map(player => player.duration)")
        assert durations == pytest.approx([SECONDS] * 12, abs=0.1)
        assert not shown.locator(".cursor").first.is_visible()

        # From the heading's link Tab comes to the first player, and Space starts it.
        shown.locator("#hear a").focus()
        shown.keyboard.press("Tab")
        assert shown.evaluate(f"() => document.activeElement === {PLAYERS}[0]")
        shown.keyboard.press("Space")
        shown.wait_for_function(f"() => {PLAYERS}[0].currentTime > 0.3")
        first = _cursors(shown)
        shown.wait_for_function(f"() => {PLAYERS}[0].currentTime > 0.8")
        shown.evaluate(f"() => {PLAYERS}[0].pause()")
        later = _cursors(shown)
        assert len(later) == len(MODES)
        assert all(0 < one < other for one, other in zip(first, later, strict=True))
        _holds_cursors_to_the_time(shown)

        # A click into a spectrogram goes there, and another player's start ends this one.
        picture = shown.locator(".spectrogram").first
        box = picture.bounding_box()
        assert box is not None
        picture.click(position={"x": box["width"] * 0.75, "y": 10})
        shown.wait_for_function(f"() => !{PLAYERS}[0].seeking && {PLAYERS}[0].currentTime > {0.7 * SECONDS}")
        _holds_cursors_to_the_time(shown)
        shown.evaluate(f"() => {{ {PLAYERS}[0].currentTime = 0; return {PLAYERS}[0].play(); }}")
        shown.evaluate(f"() => {PLAYERS}[1].play()")
        shown.wait_for_function(f"() => {PLAYERS}[0].paused && !{PLAYERS}[1].paused")
        assert shown.evaluate(f"() => {PLAYERS}[0].currentTime") < SECONDS / 2  # it was not simply over

        # Names are text, and nothing is wider than a telephone.
        heading = shown.locator(".heard").first.get_by_role("heading", level=3)
        assert HOSTILE.strip() in " ".join(heading.inner_text().split())
        assert shown.locator(".heard").first.get_by_role("img").first.get_attribute("alt") == (
            f"Spectrogram of {HOSTILE}, {HOSTILE}.wav, as none hands it over"
        )
        shown.evaluate("() => document.querySelectorAll('details').forEach(one => { one.open = true })")
        assert shown.evaluate("() => document.documentElement.scrollWidth") <= 390
        assert shown.evaluate("() => document.scripts.length") == 1
        assert seen.complaints == []
        assert not [url for url in seen.requests if not url.startswith(("file:", "data:"))]


def _cursors(page: Page) -> list[float]:
    """Where each cursor of the first clip is, in shares of its spectrogram."""
    found: list[float] = (
        page.locator(".heard")
        .first.locator(".spectrogram")
        .evaluate_all(
            """pictures => pictures.map(picture => {
          const box = picture.getBoundingClientRect(), line = picture.querySelector('.cursor').getBoundingClientRect();
          return line.width ? ((line.left + line.right) / 2 - box.left) / box.width : -1;
        })"""
        )
    )
    return found


def _holds_cursors_to_the_time(page: Page) -> None:
    """The next frame draws where a pause or a jump left the sound."""
    page.evaluate("() => new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
    time = page.evaluate(f"() => {PLAYERS}[0].currentTime")
    assert _cursors(page) == pytest.approx([time / SECONDS] * len(MODES), abs=0.01)
