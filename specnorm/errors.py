"""The errors a user can meet: one small tree, one exit code a class."""

from __future__ import annotations


class SpecnormError(Exception):
    """An error that is the input's or the machine's, not a bug.

    The message reads ``<what> in <where>: expected <x>, got <y>. <what to do>``; parts left out are skipped.

    Attributes:
        where: the file, key or place, as it was given.
        hint: what to do, where the message says it.
    """

    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        where: object | None = None,
        expected: object | None = None,
        got: object | None = None,
        hint: str | None = None,
    ) -> None:
        message = what if where is None else f"{what} in {where}"
        facts = [f"{name} {value}" for name, value in (("expected", expected), ("got", got)) if value is not None]
        if facts:
            message += ": " + ", ".join(facts)
        if hint is not None:
            message += f". {hint}"
        super().__init__(" ".join(message.split()))
        self.where = where
        self.hint = hint


class ConfigurationError(SpecnormError):
    """A parameter is unknown, of the wrong type, or out of range."""

    exit_code = 2


class DataError(SpecnormError):
    """The data set is not what its description says: a label, a fold, an audio file."""

    exit_code = 3


class IntegrityError(SpecnormError):
    """Bytes are not the bytes that were written or published: a digest, a size, a fingerprint."""

    exit_code = 4


class ResourceError(SpecnormError):
    """The machine or the network cannot do it: disk, memory, device, server, lock."""

    exit_code = 5


class DivergenceError(SpecnormError):
    """Training produced a loss that is not a number."""

    exit_code = 6
