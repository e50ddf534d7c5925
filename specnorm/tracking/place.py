"""Where MLflow keeps what it is told, and how that place is spoken of; known without MLflow."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote, unquote_plus, urlsplit

from specnorm.datasets.urls import visible_url
from specnorm.errors import ResourceError

VIEW = "specnorm"  # what the link to an experiment's page calls the way that it is shown

_SQLITE = "sqlite:///"
_HIDDEN = "***"


@dataclass(frozen=True)
class Store:
    """Where MLflow keeps runs.

    Args:
        uri: the tracking URI.
        artifacts: folder for a local store's artefacts; ``None`` leaves it to the server.
        experiment: the experiment's name.
    """

    uri: str
    artifacts: Path | None
    experiment: str

    @classmethod
    def at(cls, uri: str, experiment: str) -> Store:
        """The store of a tracking URI, a local one with its artefacts beside its database."""
        path = _database(uri)
        return cls(uri, None if path is None else path.parent / "mlartifacts", experiment)

    @property
    def database(self) -> Path | None:
        """The file of a SQLite store; ``None`` for any other."""
        return _database(self.uri)

    @property
    def shown(self) -> str:
        """The URI without user, password and query.

        Raises:
            ResourceError: it is no URI.
        """
        if self.database is not None:
            return self.masked(self.uri)
        try:
            _ = urlsplit(self.uri).port
        except ValueError:  # which quotes what it cannot read, a part of a password perhaps
            raise ResourceError("bad MLflow tracking URI", expected="a URI", got="one that cannot be read") from None
        return self.masked(visible_url(self.uri))

    def masked(self, text: str) -> str:
        """A text of MLflow's or of what it uses, fit for a log: no part of the URI that lets somebody in, no home.

        Example:
            >>> Store("http://me:p%40ss@host/?token=abc", None, "").masked("/?token=abc of me: p@ss")
            '/?token=*** of ***: ***'
        """
        for secret in sorted(_secrets(self.uri), key=len, reverse=True):
            # A short one is taken only where it stands alone: every `a` of a sentence is no password.
            bounds = (r"(?<!\w)", r"(?!\w)") if len(secret) < 4 else ("", "")
            text = re.sub(re.escape(secret).join(bounds), _HIDDEN, text)
        home = str(Path.home())
        return text if home == "/" else re.sub(rf"(?<![\w.-]){re.escape(home)}(?![\w.-])", "~", text)


def page(number: str) -> str:
    """The address of an experiment's page below the UI's own: its training runs, shown as the tracking left it."""
    return f"#/experiments/{number}/runs?workflowType=machine_learning&viewStateShareKey={VIEW}"


def _database(uri: str) -> Path | None:
    return Path(uri.removeprefix(_SQLITE).partition("?")[0]) if uri.startswith(_SQLITE) else None


def _secrets(uri: str) -> set[str]:
    """User, password and the query's values, in every spelling that a message may give them."""
    if uri.startswith(_SQLITE):
        return set()
    parts = urlsplit(uri)
    raw = {pair.partition("=")[2] or pair for part in (parts.query, parts.fragment) for pair in part.split("&")}
    raw |= set(parts.netloc.rpartition("@")[0].partition(":")[::2])  # user and password
    plain = {text for each in raw for text in (each, unquote(each), unquote_plus(each))}
    return {text for each in plain for text in (each, quote(each, safe=""), quote_plus(each))} - {""}
