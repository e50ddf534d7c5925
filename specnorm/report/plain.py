"""Text that Markdown shows as it is written."""

from __future__ import annotations

import re

# What starts markup inside a line. An underscore between letters starts none, and neither does a sign before a number.
_MARKUP = re.compile(r"[`*\[\]~]|\\(?=[^\w\s])|<(?=[A-Za-z/!?])|&(?=#?\w+;)|(?<!\w)_|_(?!\w)")


def plain(text: str) -> str:
    """A line that may hold a label or a name of somebody's, for Markdown.

    >>> print(plain("[rain](javascript:0) <b>*loud*</b> &lt; global_raw, p < 0.001"))
    \\[rain\\](javascript:0) \\<b>\\*loud\\*\\</b> \\&lt; global_raw, p < 0.001
    """
    return _MARKUP.sub(r"\\\g<0>", text)
