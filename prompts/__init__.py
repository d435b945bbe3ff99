"""The project's prompts and phrase tables: versioned files beside this module, YAML tables and Markdown templates.

Every file opens with a header: name, version, purpose, inputs. Code holds no prompt text of its own; `vau.mllm.prompts`
renders the templates.
"""

from __future__ import annotations

from importlib import resources
from typing import Any

import yaml

HEADER = ("name", "version", "purpose", "inputs")
TEMPLATE_HEADER = (*HEADER, "source", "output", "words")


def load(name: str) -> dict[str, Any]:
    """Returns the file ``<name>.yaml`` of this folder as plain data.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file lacks a line of its header, or bears another name.
    """
    text = resources.files(__name__).joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    return _checked(yaml.safe_load(text), f"{name}.yaml", HEADER)


def load_template(name: str) -> tuple[dict[str, Any], str]:
    """Returns the header and the body of the template ``<name>.md`` of this folder.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file has no header between two lines of ``---``, lacks a line of it, or bears another name.
    """
    text = resources.files(__name__).joinpath(f"{name}.md").read_text(encoding="utf-8")
    parts = text.split("---\n", 2)
    if len(parts) != 3 or parts[0]:
        raise ValueError(f"prompts/{name}.md: a header between two lines of --- must come first")
    return _checked(yaml.safe_load(parts[1]), f"{name}.md", TEMPLATE_HEADER), parts[2]


def templates() -> tuple[str, ...]:
    """Returns the names of all templates, sorted."""
    files = (item.name for item in resources.files(__name__).iterdir())
    return tuple(sorted(name.removesuffix(".md") for name in files if name.endswith(".md")))


def _checked(data: object, file: str, header: tuple[str, ...]) -> dict[str, Any]:
    name = file.rpartition(".")[0]
    missing = [key for key in header if not isinstance(data, dict) or key not in data]
    if missing or not isinstance(data, dict) or data["name"] != name:
        raise ValueError(f"prompts/{file}: header lacks {', '.join(missing) or f'name: {name}'}")
    return dict(data)
