"""The errors a user can meet: one small tree, one exit code a class."""

from __future__ import annotations


class SpecnormError(Exception):
    """An error that is the input's or the machine's, not a bug.

    The message reads ``<what> in <where>: expected <x>, got <y>. <what to do>``; parts left out are skipped. It is
    :func:`one_line`, whatever a file or a label that it names is called.

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
        super().__init__(one_line(message))
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


def one_line(text: object) -> str:
    """A text for one line of a terminal: white space becomes single spaces, and the rest is :func:`visible`.

    >>> print(one_line("a label\\nwith a bell\\a"))
    a label with a bell\\x07
    """
    return visible(" ".join(str(text).split()))


def visible(text: str) -> str:
    """A text whose every character can be seen: others than line ends are escaped as Python writes them.

    A terminal obeys control characters, and a character that turns the direction of writing reorders what stands around
    it; neither may come from a label or a file's name.

    >>> print(visible("café \\x1b[31m \\u202egnp"))
    café \\x1b[31m \\u202egnp
    """
    return "".join(
        letter if letter.isprintable() or letter == "\n" else letter.encode("unicode_escape").decode()
        for letter in text
    )
