"""Addresses of downloads: which are followed, and how they are shown."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit, urlunsplit

from specnorm.errors import ConfigurationError, IntegrityError


def visible_url(url: str) -> str:
    """The URL without user, password, query and fragment, fit for messages and files.

    Example:
        >>> visible_url("https://me:secret@example.org/a.zip?token=1")
        'https://example.org/a.zip'
    """
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def refuse_url(url: str) -> None:
    """Refuse an address that is not on the web.

    Raises:
        ConfigurationError: the URL is not http or https, or names no host.
    """
    try:
        good = _on_the_web(url)
    except ValueError:
        good = False
    if not good:
        raise ConfigurationError(
            "bad URL", expected="http://... or https://...", got=repr(url.split("?")[0].rpartition("@")[2])
        )


def next_url(url: str, location: str) -> str:
    """Where a redirect leads.

    Raises:
        IntegrityError: it leads off the web, or from https to an address that anyone on the way can change.
    """
    before = urlsplit(url).scheme
    try:
        following = urljoin(url, location)
        shown, good = visible_url(following), _on_the_web(following)
    except ValueError:
        following, shown, good = "", "an address that cannot be read", False
    if not good or (before == "https" and urlsplit(following).scheme != "https"):
        raise IntegrityError("unsafe redirect", where=visible_url(url), expected=f"{before}://...", got=shown)
    return following


def _on_the_web(url: str) -> bool:
    """Whether an address is http or https and names a host; raises ValueError where it cannot be read."""
    parts = urlsplit(url)
    _ = parts.port  # which is read when it is asked for
    return parts.scheme in ("http", "https") and bool(parts.hostname)
