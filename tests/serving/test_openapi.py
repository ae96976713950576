"""The OpenAPI description, and that the live server does as it says."""

import json
from typing import Any
from urllib.parse import urlsplit

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from requests import PreparedRequest
from requests.auth import AuthBase
from schemathesis import checks

from serving.instance import ROOT, Instance

OPENAPI = json.loads((ROOT / "serving" / "openapi.json").read_text(encoding="utf-8"))
EXAMPLES = 30  # of each operation


@pytest.fixture(scope="session")
def api(instance: Instance) -> tuple[str, AuthBase]:
    """The base URL of what is tested, and what is done to each request before it goes there."""
    return instance.inference, AsTheFrontDoes(instance.key("inference"))


class AsTheFrontDoes(AuthBase):
    """Passes a request on as our front does, for a TorchServe that has none before it."""

    def __init__(self, key: str) -> None:
        self.key = key

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers["X-Content-Type"] = request.headers.get("Content-Type", "")
        request.headers["X-Query"] = urlsplit(request.url).query
        request.headers["Content-Type"] = "application/octet-stream"
        request.headers["Authorization"] = f"Bearer {self.key}"
        return request


schema = schemathesis.openapi.from_dict(OPENAPI).include(path="/predictions/hashtags")


@pytest.mark.serving
@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_the_server_does_as_described(case: Any, api: tuple[str, AuthBase]) -> None:
    url, auth = api
    answer = case.call(base_url=url, auth=auth)
    case.validate_response(
        answer,
        checks=[
            checks.not_a_server_error,
            checks.status_code_conformance,
            checks.content_type_conformance,
            checks.response_schema_conformance,
        ],
    )


def test_every_reference_leads_somewhere() -> None:
    def follow(node: Any) -> None:
        if isinstance(node, list):
            for each in node:
                follow(each)
        if isinstance(node, dict):
            if "$ref" in node:
                kind, name = node["$ref"].removeprefix("#/components/").split("/")
                assert name in OPENAPI["components"][kind]
            for each in node.values():
                follow(each)

    follow(OPENAPI)
