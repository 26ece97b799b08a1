"""The whole story over plain HTTP: links and forms work without script."""

import html
import re
from collections.abc import Iterator

import pytest
import requests

from positions.management import ports
from tests.journeys.processes import Up, eventually

pytestmark = pytest.mark.journey


class Reader:
    """A person without script: follows links, fills in forms, reads text."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.session = requests.Session()
        self.session.trust_env = False
        self.text = ""
        self.url = ""

    def open(self, path: str) -> str:
        return self._shown(self.session.get(self.base + path, timeout=30))

    def _shown(self, response: requests.Response, *, status: int = 200) -> str:
        assert response.status_code == status, (response.status_code, response.url)
        self.raw, self.url = response.text, response.url
        spaced = re.sub(r"<(script|style|svg).*?</\1>|<[^>]+>", " ", response.text, flags=re.S)
        self.text = re.sub(r"\s+", " ", html.unescape(spaced))
        return self.text

    def submit(self, action: str, *, status: int = 200, **fields: str) -> str:
        """Send the page's form with this action, its hidden fields included."""
        for attributes, body in re.findall(r"<form([^>]*)>(.*?)</form>", self.raw, flags=re.S):
            found = re.search(r'action="([^"]*)"', attributes)
            target = html.unescape(found.group(1)) if found else self.url.removeprefix(self.base)
            if target.split("?")[0] != action:
                continue
            hidden = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', body))
            return self._shown(
                self.session.post(
                    self.base + target,
                    data={**hidden, **fields},
                    headers={"Referer": self.url},
                    timeout=30,
                ),
                status=status,
            )
        raise AssertionError(f"no form for {action}")


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    up = Up(state=tmp_path_factory.mktemp("system"), port=ports.free_port(), demo=True)
    try:
        yield up.wait_until_ready()
    finally:
        up.close()


def test_the_whole_story_works_without_script(system: Up) -> None:
    found = re.search(r"with the password (\S+)", system.said())
    assert found
    reader = Reader(f"http://127.0.0.1:{system.port}")
    reader.open("/")
    assert "Sign in" in reader.text
    reader.submit("/auth/login/", login="admin", password=found.group(1))
    assert "Accounts" in reader.text

    assert "8 positions" in reader.open("/accounts/demo/")
    assert "0 of 8" in reader.open("/accounts/demo/?threshold=0.001")
    assert "6 of 8" in reader.open("/accounts/demo/?threshold=1.00")
    reader.submit("/accounts/demo/plans/", threshold="1.00")
    assert "This is a dry run. Nothing has been sent" in reader.text
    plan = re.sub(r"\?.*", "", reader.url.removeprefix(reader.base))
    reader.open(f"{plan}?confirm=start")
    reader.submit(f"{plan}start/")

    eventually(lambda: "6 of 6 positions closed" in reader.open(plan), seconds=60)
    eventually(lambda: "Waiting for the closing snapshot" not in reader.open(plan))
    assert "$2.1073" in reader.text
    assert "2 positions" in reader.open("/accounts/demo/")
    report = reader.session.get(reader.base + plan + "report.csv", timeout=30)
    assert report.text.count("FILLED") == 6
    assert "plan.completed" in reader.open("/admin/positions/auditevent/")
