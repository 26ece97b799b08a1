"""What benchmarks measure against: the pages over an account with 2,000 positions, a browser."""

from collections.abc import Iterator

import pytest

from tests.browser.conftest import browser
from tests.panel_process import PanelProcess
from tests.web.conftest import operator, web

__all__ = ["browser", "operator", "panel", "web"]

POSITIONS = 2000


@pytest.fixture(scope="session")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PanelProcess]:
    """Serve the pages over one account with 2,000 holdings."""
    state = tmp_path_factory.mktemp("panel")
    with PanelProcess(state=state, sizes=[POSITIONS]) as process:
        yield process
