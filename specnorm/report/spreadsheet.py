"""Tables as CSV that does nothing in a spreadsheet and nothing in a page that DVC makes of it."""

from __future__ import annotations

import re

import pandas as pd

# What a spreadsheet takes for a formula at the start of a cell, and what it may take for the end of the one before.
# https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA = re.compile(r"(^|[;\t\r\n])(?='*[=+\-@\t\r\n＝＋－＠])")
_LESS, _LIKE_IT = "<", "＜"


def csv(table: pd.DataFrame) -> str:
    """A table as CSV, its texts :func:`inert`; numbers stay numbers, a negative one, too."""
    shown = table.copy()
    for name in table.columns:
        if not pd.api.types.is_numeric_dtype(table[name]):
            shown[name] = [inert(value) if isinstance(value, str) else value for value in table[name]]
    text: str = shown.to_csv(index=False, lineterminator="\n")
    return text


def inert(text: str) -> str:
    """A label or a file's name as a cell: an apostrophe stands before what would be a formula, and ``<`` is ``＜``.

    The apostrophe is what a person types there for the same purpose. A spreadsheet of another country ends cells at a
    semicolon, so it stands also behind those. The wide sign, because DVC writes a plot's data into a script of its page
    as they are, where ``</script>`` ends it and the rest is HTML.

    >>> inert("=HYPERLINK(0)"), inert("-3 dB"), inert("a;+b"), inert("</script>"), inert("rain - hail")
    ("'=HYPERLINK(0)", "'-3 dB", "a;'+b", '＜/script>', 'rain - hail')
    """
    return _FORMULA.sub(r"\1'", text).replace(_LESS, _LIKE_IT)
