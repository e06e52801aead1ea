"""Every whole number in a path or a query is ASCII digits, whichever route takes it."""

from typing import Any
from urllib.parse import quote

import httpx
import pytest

from api.http.bodies import read_model
from api.routes.evidence.calibrations import NewCalibration
from tests.support.api.served import Api
from tierline.base.errors import InvalidInput

OTHERS = ["1_0", " 1", "1 ", "١", "１", "1.0", "²"]
UUID = "00000000-0000-0000-0000-000000000000"


def whole(parameter: dict[str, Any]) -> bool:
    schema = parameter["schema"]
    return "integer" in {one.get("type") for one in (schema, *schema.get("anyOf", ()))}


def test_no_route_reads_other_digits(api: Api) -> None:
    document = httpx.get(f"{api.url}/openapi.json").json()
    tried, read = 0, []
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            parameters = route.get("parameters", ())
            fit = {
                one["name"]: "1" if whole(one) else UUID
                for one in parameters
                if one["in"] == "path"
            }
            for parameter in filter(whole, parameters):
                tried += 1
                for text in OTHERS:
                    own = {parameter["name"]: quote(text)}
                    in_path = parameter["in"] == "path"
                    url = path.format(**(fit | own if in_path else fit))
                    url += "" if in_path else f"?{parameter['name']}={quote(text)}"
                    answer = api.http.request(method, f"{api.url}{url}")
                    if answer.status_code != 422 or parameter["name"] not in answer.text:
                        read.append((method, url, answer.status_code))
    assert tried > 20
    assert read == []


@pytest.mark.parametrize("text", ["0.0_5", " 0.05", "0.05\n", "٠.٠٥", "nan"])
def test_no_body_reads_other_digits(text: str) -> None:
    assert read_model(NewCalibration, {"max_error": 0.05}).max_error == 0.05
    with pytest.raises(InvalidInput):
        read_model(NewCalibration, {"max_error": text})
