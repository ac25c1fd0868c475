"""JSON schemas of `shared.contracts`. `python -m tests.architecture.contract_schemas` writes them to `contracts/`."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from tests.architecture.schemas import schema_components

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).with_name("contracts")


def modules() -> list[str]:
    return sorted(path.stem for path in (ROOT / "shared/contracts").glob("*.py") if path.stem != "__init__")


def schemas(module: str) -> str:
    """The schema of each struct that the module defines, as indented JSON."""
    contract = import_module(f"shared.contracts.{module}")
    shapes: dict[str, type[Any]] = {
        name: _describable(kind)
        for name, kind in vars(contract).items()
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind.__module__ == contract.__name__
    }
    found = schema_components(shapes.values(), ref_template="#/{name}")
    # What a struct refers to in another module is held still there.
    own = {name: schema for name, schema in sorted(found.items()) if name in shapes}
    return msgspec.json.format(msgspec.json.encode(own), indent=2).decode() + "\n"


def _describable(shape: type[Any]) -> type[Any]:
    """The struct; where its default is bytes, which no schema can spell, it only says that there is a default."""
    fields = msgspec.structs.fields(shape)
    if not any(isinstance(field.default, msgspec.Raw) for field in fields):
        return shape
    told = [(f.name, f.type, msgspec.field(default_factory=lambda: None) if not f.required else ...) for f in fields]
    spelled = [field if field[2] is not ... else field[:2] for field in told]
    return msgspec.defstruct(shape.__name__, spelled, kw_only=True, namespace={"__doc__": shape.__doc__})


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for each in modules():
        (FOLDER / f"{each}.json").write_text(schemas(each))
