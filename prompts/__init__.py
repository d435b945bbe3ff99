"""The project's prompts and phrase tables: versioned YAML files beside this module, read through `load`.

Every file opens with a header: name, version, purpose, inputs. Code holds no prompt text of its own.
"""

from __future__ import annotations

from importlib import resources
from typing import Any

import yaml

HEADER = ("name", "version", "purpose", "inputs")


def load(name: str) -> dict[str, Any]:
    """Returns the file ``<name>.yaml`` of this folder as plain data.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file lacks a line of its header, or bears another name.
    """
    text = resources.files(__name__).joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    data = yaml.safe_load(text)
    missing = [key for key in HEADER if not isinstance(data, dict) or key not in data]
    if missing or data["name"] != name:
        raise ValueError(f"prompts/{name}.yaml: header lacks {', '.join(missing) or f'name: {name}'}")
    return dict(data)
