"""The guide for bots: its program runs, and it leaves out no address and no code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import dust_admin_client as client
import pytest
from django.conf import settings

from positions.api.version1 import api
from tests.examples.conftest import Desk


@pytest.fixture
def guide() -> str:
    return Path(settings.BASE_DIR / "docs" / "bots.md").read_text(encoding="utf-8")


@pytest.fixture
def program(guide: str, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return the names of the guide's program, started on the desk."""
    for name, value in desk.environment.items():
        monkeypatch.setenv(name, value)
    (text,) = re.findall(r"```python\n(.*?)```", guide, flags=re.DOTALL)
    names: dict[str, Any] = {}
    exec(text.replace('"demo"', f'"{desk.account.slug}"'), names)  # noqa: S102 - our own guide
    return names


@pytest.mark.parametrize(("bought", "free"), [(True, 5), (False, 6)])
def test_the_guides_program_opens_under_a_lease(
    desk: Desk, program: dict[str, Any], bought: bool, free: int
) -> None:
    program["buy"] = lambda asset: bought
    program["open_position"]("LINK")
    assert (desk.lease().opened, desk.free) == (bought, free)


def test_the_guides_program_leaves_unknown_what_it_does_not_know(
    desk: Desk, program: dict[str, Any]
) -> None:
    def lost(asset: str) -> bool:
        raise TimeoutError

    program["buy"] = lost
    with pytest.raises(TimeoutError):
        program["open_position"]("LINK")
    assert (desk.lease().opened, desk.free) == (None, 5)


def test_the_guides_program_opens_nothing_without_a_slot(
    desk: Desk, program: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    bought: list[str] = []
    program["buy"] = bought.append
    desk.fill(but=0)
    program["open_position"]("LINK")
    desk.make_unknown()
    program["open_position"]("LINK")
    desk.front.close()
    program["open_position"]("LINK")
    assert (bought, capsys.readouterr().out.count("Not opening LINK: ")) == ([], 3)


def test_every_address_stands_in_the_guide(guide: str) -> None:
    told = {
        (method.upper(), path.removeprefix("/api/v1/"))
        for path, methods in api.get_openapi_schema(path_prefix="/api/v1/")["paths"].items()
        for method in methods
    }
    listed = re.findall(r"\| `(GET|POST) ([^`]+)`", guide)
    named = {
        (method, path.replace("{account}", "{slug}").replace("{id}", "{pk}"))
        for method, path in listed
    }
    assert named == told


def test_every_code_stands_in_the_guide(guide: str) -> None:
    listed = set(re.findall(r"^\| \d{3} \| `([a-z_]+)` \|", guide, flags=re.MULTILINE))
    assert listed == {*client.REFUSALS, "broken", "unavailable"}
