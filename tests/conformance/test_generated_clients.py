"""Generators of clients take the OpenAPI document as it is, and lose no model of it.

`make clients` installs the one for Python; the one for TypeScript is installed by the test.
"""

import importlib
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.api.served import whole_contract
from tests.support.npm import attempt, install, needs_npm, run

GENERATOR = Path(sys.prefix) / "clients" / "bin" / "openapi-python-client"
EXAMPLE = Path(__file__).parents[2] / "examples" / "node" / "job.mjs"
UNSUPPORTED = {"application/x-ndjson", "application/yaml"}  # bodies that the generator cannot write
TYPES = ("openapi-typescript@7.13.0", "typescript@5.9.3", "@types/node@20.19.0")
CHECK = ("npx", "tsc", "--noEmit", "--checkJs", "--strict", "--types", "node")


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(whole_contract().document))
    return path


@pytest.mark.nightly
@pytest.mark.skipif(not GENERATOR.exists(), reason="`make clients` installs the generator")
def test_the_generator_for_python_makes_every_model(
    document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [str(GENERATOR), "generate", "--path", str(document), "--meta", "none"]
    output = run([*command, "--output-path", str(tmp_path / "generated")], tmp_path)
    kinds = set(re.findall(r"[Uu]nsupported content[ _]type (\S+?)\)?[,\s]", f"{output}\n"))
    assert kinds <= UNSUPPORTED, output
    for loss in ("Unable to", "removal of", "Could not find"):
        assert loss not in output

    monkeypatch.syspath_prepend(str(GENERATOR.parents[1] / site_packages()))
    monkeypatch.syspath_prepend(str(tmp_path))
    models: Any = importlib.import_module("generated.models")
    schemas = json.loads(document.read_text())["components"]["schemas"]
    objects = {name for name, schema in schemas.items() if schema.get("type") == "object"}
    assert len(objects) > 150
    assert not objects - set(dir(models))
    job = models.NewJob(feature="invoice-fields", input_={"text": "hi"})
    assert job.to_dict() == {"feature": "invoice-fields", "input": {"text": "hi"}}


def site_packages() -> str:
    return f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"


@pytest.mark.nightly
@needs_npm
def test_the_example_for_node_fits_the_types_made_for_typescript(
    document: Path, tmp_path: Path
) -> None:
    install(tmp_path, *TYPES)
    options = ("--default-non-nullable=false", "-o", "tierline.d.ts")
    run(("npx", "openapi-typescript", document.name, *options), tmp_path)
    check = (*CHECK, "--target", "es2022", "--module", "nodenext", "job.mjs")
    shutil.copy(EXAMPLE, tmp_path)
    run(check, tmp_path)

    wrong = EXAMPLE.read_text().replace("data.tier", "data.level")
    (tmp_path / "job.mjs").write_text(wrong.replace('feature: "invoice-fields"', "feature: 3"))
    refused = attempt(check, tmp_path)
    assert refused.returncode != 0
    assert "'level' does not exist" in refused.stdout
    assert "'number' is not assignable to type 'string'" in refused.stdout
