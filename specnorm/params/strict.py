"""Strict values: what every parameter is held to, and the numbers that several of them are."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
SEEDS = range(2**31)
Seed = Annotated[int, Field(ge=0, lt=SEEDS.stop)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Strict(BaseModel):
    """A frozen model that takes no unknown field and converts no type."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
