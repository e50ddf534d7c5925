"""What a download shows a server that asks who it is: a token of the environment, or what `~/.netrc` has for the host.

Neither stands in a parameter, and so in no file, cache or log. What `~/.netrc` (or the file that ``NETRC`` names) holds
is found by `requests` itself, host by host.
"""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit

from requests import PreparedRequest
from requests.auth import AuthBase

from specnorm.errors import ConfigurationError

TOKEN = "SPECNORM_DOWNLOAD_TOKEN"  # noqa: S105 (its name)


class Bearer(AuthBase):
    """The token of the environment, for the address that was asked for and, over https alone, for its host alone.

    Args:
        first: the address before any redirect.

    Raises:
        ConfigurationError: what the environment holds is no token; the message does not repeat it.
    """

    def __init__(self, first: str) -> None:
        token = os.environ.get(TOKEN)
        if token and not re.fullmatch(r"[\x21-\x7e]+", token):
            raise ConfigurationError(
                "bad token", where=TOKEN, expected="ASCII without spaces", got=f"{len(token)} characters, not all such"
            )
        self._token = token
        self._place = _place(first)

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Add the header."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request

    def for_(self, url: str) -> AuthBase | None:
        """What `requests` is given for one request; with nothing, it looks into `~/.netrc`."""
        return self if self._token and self._place[0] == "https" and _place(url) == self._place else None


def _place(url: str) -> tuple[str, str | None, int]:
    parts = urlsplit(url)
    return parts.scheme.lower(), parts.hostname, parts.port or 443
