"""How a store is spoken of: nothing of its address that lets somebody in."""

from __future__ import annotations

from pathlib import Path

import pytest

from specnorm.errors import ResourceError
from specnorm.tracking.place import Store

pytestmark = pytest.mark.case("X3")


def at(uri: str) -> Store:
    return Store.at(uri, "an experiment")


@pytest.mark.parametrize(
    ("uri", "text", "masked"),
    [
        ("http://me:s3cret@host", "no http://me:s3cret@host/api for me", "no http://***:***@host/api for ***"),
        ("https://host?token=a%2Fb%20c", "url: /?token=a%2Fb%20c", "url: /?token=***"),
        ("https://host?token=a%2Fb%20c", "the token a/b c, or a%2Fb+c", "the token ***, or ***"),
        ("https://host/?a-token-alone", "/?a-token-alone/api", "/?***/api"),
        ("https://host/#fragment-of-one", "host/#fragment-of-one", "host/#***"),
        ("https://host/?one=first&other=second", "second first", "*** ***"),
        ("https://host/?one=secret&other=secrets", "secrets, secret", "***, ***"),
        (
            "mysql+pymysql://root:a@host/db",
            "Access denied for root with a, and data",
            "Access denied for *** with ***, and data",
        ),
        ("http://host:5000", "http://host:5000 is away", "http://host:5000 is away"),
        ("sqlite:////data/mlflow.db?timeout=5", "5 errors", "5 errors"),
    ],
)
def test_what_lets_somebody_in_is_masked_in_every_spelling(uri: str, text: str, masked: str) -> None:
    assert at(uri).masked(text) == masked


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://me:secret@host:5000/mlflow?token=abc#d", "http://host:5000/mlflow"),
        ("foo://nowhere", "foo://nowhere"),
        ("sqlite:////data/mlflow.db", "sqlite:////data/mlflow.db"),
    ],
)
def test_a_store_is_shown_without_them(uri: str, shown: str) -> None:
    assert at(uri).shown == shown


def test_a_home_is_a_tilde_and_no_other_folder_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    store = at("sqlite:////home/me/project/mlflow.db")
    assert store.shown == "sqlite:///~/project/mlflow.db"
    assert store.masked("/home/me, /home/me2 and /mnt/home/me") == "~, /home/me2 and /mnt/home/me"
    monkeypatch.setenv("HOME", "/")
    assert store.masked("/home/me") == "/home/me"


@pytest.mark.parametrize("uri", ["http://[::1", "http://me:secret/@host", "http://host:port"])
def test_an_address_that_cannot_be_read_is_not_told(uri: str) -> None:
    with pytest.raises(ResourceError) as caught:
        _ = at(uri).shown
    assert str(caught.value) == "bad MLflow tracking URI: expected a URI, got one that cannot be read"


def test_a_local_store_has_its_artefacts_beside_it() -> None:
    store = at("sqlite:////data/my runs/mlflow.db")
    assert (store.database, store.artifacts) == (Path("/data/my runs/mlflow.db"), Path("/data/my runs/mlartifacts"))
    store = at("http://host")
    assert (store.database, store.artifacts) == (None, None)
