"""Every case of bad input and crashes has a test, or says why it has none, and the page lists them as they are."""

from __future__ import annotations

from tests import cases


def test_every_case_has_a_test_or_a_reason() -> None:
    listed, covered = cases.cases(), cases.covered()
    assert len(listed) == 112
    assert set(covered) <= set(listed.index), "a test is marked with a case that there is not"
    without = [case for case, reason in listed["not_covered"].items() if not reason and case not in covered]
    assert not without
    assert not [case for case in covered if listed.loc[case, "not_covered"]], "covered, and said not to be"


def test_the_page_lists_them_as_they_are() -> None:
    assert cases.PAGE.read_text(encoding="utf-8") == cases.page(), "run `python -m tests.cases`"
    assert {case[0] for case in cases.cases().index} == set(cases.GROUPS)
