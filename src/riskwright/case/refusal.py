"""What a YAML that breaks its specification is told: the key, and the closest known one."""

from __future__ import annotations

from typing import get_args

from pydantic import BaseModel, ValidationError

from riskwright.errors import InputRefused, closest


def refusal(
    error: ValidationError, where: str, model: type[BaseModel], described: str
) -> InputRefused:
    """Turn pydantic's first complaint into ours, with the closest key for an unknown one.

    Parameters
    ----------
    error, where
        What broke the specification, and the file.
    model, described
        The specification, and where a person can read it.
    """
    # An unknown key explains the missing one that it was meant to be.
    unknown = [e for e in error.errors() if e["type"] == "extra_forbidden"]
    first = (unknown or error.errors())[0]
    path = [str(part) for part in first["loc"]]
    key = ".".join(path) or "the use case"
    rest = len(error.errors()) - 1
    more = f" (and {rest} more)" if rest else ""
    if first["type"] == "extra_forbidden":
        fields = _fields_at(model, path[:-1])
        return InputRefused(
            f"unknown key {path[-1]!r} in the use case{more}",
            where=f"{where}: {key}",
            expected=", ".join(fields),
            do=closest(path[-1], fields) or "remove it",
        )
    message = first["msg"].removeprefix("Value error, ")
    return InputRefused(
        f"the use case breaks its specification at {key}: {message}{more}",
        where=f"{where}: {key}",
        expected=f"see {described}",
        do="mend that key",
    )


def _fields_at(model: type[BaseModel], path: list[str]) -> list[str]:
    """Names of the fields of the part that a key path leads to."""
    for part in path:
        if part not in model.model_fields:
            continue  # a name inside a mapping, such as a column's
        for candidate in (
            annotation := model.model_fields[part].annotation,
            *get_args(annotation),
        ):
            if isinstance(candidate, type) and issubclass(candidate, BaseModel):
                model = candidate
    return list(model.model_fields)
