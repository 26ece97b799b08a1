"""A request as it came over the wire."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request; `signature` is a header's, for protocols that sign there."""

    method: str
    path: str
    query: str
    body: str
    api_key: str | None
    address: str
    signature: str | None = None
