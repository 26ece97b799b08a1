"""Reading the fields of control data; what is wrong is a BadValue with a sentence."""

from __future__ import annotations

import re
from typing import Any

from sandbox.amounts import BadValue

Data = dict[str, Any]
_ASSET_LENGTH = 20
_ASSET = re.compile(r"(?=[0-9]*[A-Z])[A-Z0-9]+(\.[A-Z])?")


def only(data: Data, *known: str) -> None:
    """Refuse fields that nobody reads."""
    for name in data:
        if name not in known:
            raise BadValue(f"unknown field {name!r}; known: {', '.join(known)}")


def text(data: Data, name: str, default: str) -> str:
    """Return a string."""
    value = data.get(name, default)
    if not isinstance(value, str):
        raise BadValue(f"{name} must be a string")
    return value


def boolean(data: Data, name: str, default: bool) -> bool:
    """Return true or false."""
    value = data.get(name, default)
    if not isinstance(value, bool):
        raise BadValue(f"{name} must be true or false")
    return value


def integer(data: Data, name: str) -> int:
    """Return a whole number that must be there."""
    value = data.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadValue(f"{name} must be an integer")
    return value


def mapping(data: Data, name: str) -> Data:
    """Return an object; nothing is an empty one."""
    value = data.get(name, {})
    if not isinstance(value, dict):
        raise BadValue(f"{name} must be an object")
    return value


def asset(name: str) -> str:
    """Return the name of an asset, such as DOT, or DOT.S in an earn product."""
    if not (len(name) <= _ASSET_LENGTH and _ASSET.fullmatch(name)):
        raise BadValue(f"{name!r} is not the name of an asset")
    return name
