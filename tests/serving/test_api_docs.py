"""docs/api.md's own lines, run as they stand, and the answers that it shows."""

import json
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from serving.instance import Instance
from tests.conftest import ROOT
from tests.serving.test_readme import beside_server as beside_server

PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.mark.serving
def test_each_curl_line_answers_what_the_page_shows(
    beside_server: Path, instance: Instance
) -> None:
    [script] = blocks("sh")
    lines = script.splitlines()
    assert [line.split("=")[0] for line in lines[:2]] == ["url", "key"]
    # Here the server is the tests' own, not the checkout's.
    lines[:2] = [f"url={instance.inference}", f"key={instance.key('inference')}"]
    lines = [line.replace("curl ", "curl -sS --fail-with-body ") + "; echo" for line in lines]
    done = subprocess.run(
        ["bash", "-euc", "\n".join(lines)], cwd=beside_server, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    plain, own, several, explained = [json.loads(line) for line in done.stdout.splitlines() if line]
    answer, explanation = map(json.loads, blocks("json"))
    assert shape(plain) == shape(answer)
    assert own["request_id"] == "mine"
    assert [result["status"] for result in several["results"]] == [200, 200]
    assert shape(explained)["hashtags"] == shape(explanation)["hashtags"]
    assert explained.keys() == explanation.keys()


def shape(value: Any) -> Any:
    """Names and types; of a list its first item's."""
    if isinstance(value, dict):
        return {name: shape(held) for name, held in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value else type(value).__name__


def test_the_html_is_whole() -> None:
    class Whole(HTMLParser):
        opened: list[str] = []  # noqa: RUF012

        def handle_starttag(self, tag: str, attrs: Any) -> None:
            if tag != "img":
                self.opened.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert self.opened.pop() == tag

    for text in blocks("html"):
        parser = Whole()
        parser.feed(text)
        assert parser.opened == []
