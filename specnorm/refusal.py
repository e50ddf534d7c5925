"""How a refused value is told: one line with the key's path, what was expected, what stood there."""

from __future__ import annotations

import difflib
import json
import re
import reprlib
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError

from specnorm.errors import ConfigurationError, IntegrityError

_Typed = TypeVar("_Typed")

_LIMITS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80
_LOGIN = re.compile(r"//[^/?#\s]*@")  # a user and a password in an address


def written(pattern: str, words: str) -> AfterValidator:
    """Holds a string to ``pattern``; a refusal says what is expected in ``words``."""

    def matched(value: str) -> str:
        if re.fullmatch(pattern, value) is None:
            raise PydanticCustomError("pattern", "{words}", {"words": words})
        return value

    return AfterValidator(matched)


def relation(key: str, expected: str, got: object) -> PydanticCustomError:
    """A field that is refused because of its neighbours."""
    return PydanticCustomError("relation", "{expected}", {"key": key, "expected": expected, "got": got})


def hidden(expected: str, got: object) -> PydanticCustomError:
    """A value that is refused and must not be repeated; ``got`` is what may be shown of it."""
    return PydanticCustomError("hidden", "{expected}", {"expected": expected, "got": got})


def sections_of(model: type[BaseModel]) -> dict[tuple[str, ...], type[BaseModel]]:
    """The models by key path in and below ``model``, as :func:`refusal` takes them; a union's member goes by its tag.

    What stands under a free name, as a mode does, is not walked into: its fields are not all known here.
    """
    found: dict[tuple[str, ...], type[BaseModel]] = {(): model}
    for name, field in model.model_fields.items():
        for place, member in _members(name, field):
            found |= {(*place, *path): inner for path, inner in sections_of(member).items()}
    return found


def refusal(
    error: ValidationError,
    *,
    where: object | None,
    section: str = "",
    sections: Mapping[tuple[str, ...], type[BaseModel]] = MappingProxyType({}),
) -> ConfigurationError:
    """The first fault of a validation as one line, with the key's path and the nearest known name.

    Args:
        error: what pydantic found.
        where: the file.
        section: the key path of what was validated; empty for all parameters.
        sections: what :func:`sections_of` says of the model that was validated, to suggest names from.
    """
    details = error.errors()
    # An unknown key says more than the missing one that it was meant to be.
    first = next((item for item in details if item["type"] == "extra_forbidden"), details[0])
    context = first.get("ctx", {})
    places = [str(part) for part in first["loc"] if part != "[key]"]
    beside = tuple(places[:-1])
    # A tag is no key of the file.
    places = [
        place
        for index, place in enumerate(places)
        if not (index > 0 and (*places[: index + 1],) in sections and (*places[:index],) not in sections)
    ]
    if first["type"] == "relation":
        places.append(context["key"])
    elif first["type"].startswith("union_tag"):
        places.append(context["discriminator"].strip("'"))
    key = ".".join([section, *places] if section else places)
    if first["type"] == "extra_forbidden":
        absent = [str(item["loc"][-1]) for item in details if item["type"] == "missing" and item["loc"][:-1] == beside]
        model = sections.get(beside)
        near = _nearest(places[-1], absent) or _nearest(places[-1], model.model_fields if model else [])
        return ConfigurationError(
            f"unknown parameter {key}", where=where, hint=f"Did you mean {near}?" if near else "Remove it"
        )
    if first["type"] in ("missing", "union_tag_not_found"):
        near = _nearest(places[-1], first["input"])
        hint = f"Did you write it as {near}?" if near else "Add it"
        return ConfigurationError(f"missing parameter {key}", where=where, hint=hint)
    what = f"bad parameter {key}" if key else "bad parameters"
    return ConfigurationError(what, where=where, expected=_expectation(first), got=shown(_refused(first)))


def typed(kind: type[_Typed], values: object, *, what: str, where: object) -> _Typed:
    """What a file says, ``values`` as JSON has them, as a ``kind``: a model or a data class, of exactly its types.

    Raises:
        IntegrityError: a field is missing, of another type or out of range; the message names it, and calls the file
            ``what``.
    """
    try:
        return TypeAdapter(kind).validate_json(json.dumps(values), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "the whole"
        raise IntegrityError(what, where=where, got=f"{key}: {first['msg']}") from error


def _members(name: str, field: FieldInfo) -> Iterator[tuple[tuple[str, ...], type[BaseModel]]]:
    """The models that may stand in a field, each with the key path that pydantic tells its faults under."""
    if isinstance(field.discriminator, str):
        for member in get_args(field.annotation):
            for tag in get_args(member.model_fields[field.discriminator].annotation):
                yield (name, tag), member
    elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
        yield (name,), field.annotation


def _nearest(name: str, names: Any) -> str | None:
    near = difflib.get_close_matches(name, [str(other) for other in names], n=1)
    return near[0] if near else None


def _refused(fault: ErrorDetails) -> object:
    if fault["type"] == "union_tag_invalid":
        return fault["input"].get(fault["ctx"]["discriminator"].strip("'"))
    if fault["type"] in ("relation", "hidden"):
        return fault["ctx"]["got"]
    return fault["loc"][-2] if fault["loc"][-1:] == ("[key]",) else fault["input"]


def _expectation(fault: ErrorDetails) -> str:
    if fault["type"] == "union_tag_invalid":
        return f"one of {fault['ctx']['expected_tags']}"
    if fault["type"] in ("dict_type", "model_type", "model_attributes_type"):
        return "a mapping"
    for limit, words in _LIMITS.items():
        if limit in (context := fault.get("ctx", {})):
            value = context[limit]
            return f"{words} {value:g}" if isinstance(value, float) else f"{words} {value}"
    message = re.sub(r"^(Input|String|List|Dictionary) should (be|have) ", "", fault["msg"])
    return re.sub(r" after validation, not \d+$", "", message)


def shown(value: object) -> str:
    """A refused value, short and as YAML writes it, with its type."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return f"a mapping of {len(value)}" if value else "an empty mapping"
    short = _LOGIN.sub("//", _SHORT.repr(value))
    return short if isinstance(value, list) else f"{short} ({type(value).__name__})"
