"""The section `dataset`: addresses without secrets, sources that are places, names that name something."""

from __future__ import annotations

from typing import Any

import pytest

from specnorm import params
from tests.test_params import CSV, ESC, FOLDER, changed, message_of

OWN = [FOLDER, CSV, ESC]
SECRET = "hunter2"


@pytest.mark.case("X3")
@pytest.mark.parametrize(
    "url",
    [
        f"https://me:{SECRET}@example.org/a.zip",
        f"https://{SECRET}@example.org/a.zip",
        f"HTTPS://me:{SECRET}@example.org",
        f"https://me:{SECRET}@[::1/a.zip",
        f"me:{SECRET}@example.org/a.zip",
        f"//me:{SECRET}@example.org/a.zip",
        f"https://me:{SECRET}@a@example.org/a.zip?x=1",
    ],
)
def test_a_user_in_the_url_is_refused_and_not_repeated(url: str) -> None:
    message = message_of(changed("dataset.url", url))
    assert message.startswith("bad parameter dataset.url in params.yaml: expected an address without user and password")
    assert "~/.netrc" in message
    assert SECRET not in message
    assert "me:" not in message


@pytest.mark.case("X3")
@pytest.mark.parametrize("key", ["recipe", "dataset.url", "tracking.experiment", "train.epochs", "protocol.folds"])
def test_no_refusal_repeats_a_password_whatever_the_key_is_for(key: str) -> None:
    assert SECRET not in message_of(changed(key, [f"https://me:{SECRET}@example.org"]))


@pytest.mark.case("X3")
@pytest.mark.parametrize(
    "key",
    [
        "token",
        "access_token",
        "accessToken",
        "key",
        "api_key",
        "apikey",
        "sig",
        "signature",
        "X-Amz-Signature",
        "X-Amz-Security-Token",
        "X-Goog-Credential",
        "AWSAccessKeyId",
        "pw",
        "password",
        "auth",
        "rlkey",
        "t%6Fken",
    ],
)
@pytest.mark.parametrize(
    "form", ["?{}={}", "?download=1&{}={}", "#{}={}", "?a=b#{}={}", "?{}&x={}", "?a=1;{}={}", ";{}={}"]
)
def test_a_secret_in_the_query_is_refused_and_not_repeated(key: str, form: str) -> None:
    message = message_of(changed("dataset.url", "https://example.org/a.zip" + form.format(key, SECRET)))
    assert "an address without " in message
    assert "SPECNORM_DOWNLOAD_TOKEN" in message
    assert message.endswith("got 'https://example.org/...' (str)")


@pytest.mark.parametrize(
    "url",
    [
        "https://zenodo.example.org/records/1/files/a.zip?download=1",
        "https://example.org/a@b/keys/token.zip",
        "http://127.0.0.1:8000/a.zip?id=3&author=x&monkeys=2&design=1",
        "https://[::1]/a.zip",
        "https://example.org/a.zip#part",
    ],
)
def test_an_address_without_a_secret_is_taken(url: str) -> None:
    checked = params.check(changed("dataset.url", url)).dataset
    assert getattr(checked, "url", None) == url


@pytest.mark.case("X3")
@pytest.mark.parametrize("section", OWN, ids=lambda section: section["kind"])
@pytest.mark.parametrize(
    "source",
    [
        f"https://me:{SECRET}@example.org/a.zip",
        f"https://example.org/a.zip?token={SECRET}",
        f"https://example.org/{SECRET}",
        f"s3://me:{SECRET}@bucket/a",
        "file:///data/a.zip",
    ],
)
def test_an_address_is_no_source(section: dict[str, Any], source: str) -> None:
    message = message_of(changed("dataset.source", source, dataset=section))
    scheme = source.partition("://")[0]
    assert message.startswith(
        "bad parameter dataset.source in params.yaml: expected a zip or a folder on this machine, and no address, got "
        f"'{scheme}://"
    )
    assert SECRET not in message


@pytest.mark.parametrize("section", OWN, ids=lambda section: section["kind"])
@pytest.mark.parametrize("source", ["", " ", "\t", "???", "a\0b", "a\nb", "a\x1b[2Jb", "x" * 5000])
def test_a_source_must_be_a_place(section: dict[str, Any], source: str) -> None:
    message = message_of(changed("dataset.source", source, dataset=section))
    assert message.startswith("bad parameter dataset.source in params.yaml: expected a zip or a folder, got ")
    assert len(message) < 200


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("table", "a CSV's path inside the source"),
        ("audio", "a folder's path inside the source, . for its top"),
        ("filename_column", "a column's name"),
        ("label_column", "a column's name"),
        ("fold_column", "a column's name"),
        ("group_column", "a column's name"),
        ("table_sha256", "64 digits from 0 to f"),
    ],
)
@pytest.mark.parametrize("value", ["", " ", "\xa0", "a\0b"])
def test_a_name_of_nothing_is_refused(key: str, expected: str, value: str) -> None:
    assert message_of(changed(f"dataset.{key}", value, dataset=CSV)).startswith(
        f"bad parameter dataset.{key} in params.yaml: expected {expected}, got "
    )
