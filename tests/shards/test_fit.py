from __future__ import annotations

from specnorm.shards.fit import fit_of, fit_sentence


def test_cut_and_padded_clips_are_counted_with_how_much() -> None:
    fit = fit_of([0.5, 1.0, 1.25, 4.0, 1.5], samples=8000, sample_rate=8000)
    assert fit == {
        "clips": 5,
        "clip_seconds": 1.0,
        "cut": {"clips": 3, "median_seconds": 0.5, "largest_seconds": 3.0},
        "padded": {"clips": 1, "median_seconds": 0.5, "largest_seconds": 0.5},
    }
    assert fit_sentence(fit) == (
        "of 5 clips, fitted to 1 s, 3 were cut (by 0.5 s in the median and 3 s at most) "
        "and 1 was padded with zeros (by 0.5 s)"
    )


def test_less_than_half_a_sample_is_neither() -> None:
    """A clip of 220501 frames at 44.1 kHz is 5 s at 16 kHz for all that can be heard or seen."""
    fit = fit_of([220499 / 44100, 5.0, 220501 / 44100], samples=80000, sample_rate=16000)
    assert fit["cut"] == fit["padded"] == {"clips": 0, "median_seconds": None, "largest_seconds": None}
    assert fit_sentence(fit) == "none of 3 clips was cut or padded: all are 5 s long"
    assert fit_of([5.0 - 1 / 16000, 5.0 + 1 / 16000], samples=80000, sample_rate=16000)["cut"]["clips"] == 1


def test_a_sentence_says_none_where_there_is_none() -> None:
    fit = fit_of([2.0, 3.0], samples=1000, sample_rate=1000)
    assert fit_sentence(fit).endswith(
        "2 were cut (by 1.5 s in the median and 2 s at most) and none was padded with zeros"
    )
