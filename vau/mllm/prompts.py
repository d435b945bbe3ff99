"""Prompt templates as messages: inputs are checked and quoted by their declared type, then put in by sandboxed Jinja2.

The templates stand in `prompts/*.md`: a YAML header and sections ``[system]``, ``[user]``, ``[assistant]``, with
``[frames]`` and ``[plot]`` on lines of their own where pictures go. A template may choose by ``if`` and list by ``for``
over an input declared as a list, and nothing else; that foreign text is quoted lies in its input's type, so that no
template can forget it.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, cast

import jinja2
from jinja2 import meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from vau import prompts
from vau.mllm.interface import Message, Part, Picture, Speaker, Text, TimedFrame
from vau.mllm.quote import fence, inline, neutral

MAX_RENDERED = 60_000  # characters of one prompt
MAX_FRAMES = 128
InputKind = Literal["quote", "line", "words", "labels", "number", "seconds", "flag", "frames", "plot"]
_KINDS = frozenset({"quote", "line", "words", "labels", "number", "seconds", "flag", "frames", "plot"})
_CAPS = {"quote": 4000, "line": 200, "words": 80, "labels": 64, "frames": MAX_FRAMES}
_SECTION = re.compile(r"^\[(system|user|assistant|frames|plot)\][ \t]*$", re.MULTILINE)
# All that a template may do.
_ALLOWED = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.If, nodes.For, nodes.Not, nodes.And, nodes.Or,
    nodes.Compare, nodes.Operand, nodes.Const,
)  # fmt: skip


@dataclass(frozen=True)
class Shown:
    """A frame with what is known of it, such as ``during event E1``."""

    frame: TimedFrame
    note: str = ""


@dataclass(frozen=True)
class Input:
    """One input of a prompt.

    Kinds: ``quote`` foreign text, fenced; ``line`` foreign text of one line, in quotes; ``words`` a name of ours,
    cleaned; ``labels`` a list of such names; ``number``; ``seconds``; ``flag``; ``frames`` pictures with times;
    ``plot`` a picture of the score curve.
    """

    name: str
    kind: InputKind
    most: int  # characters, or items of a list
    title: str  # of a fenced block
    optional: bool
    least: float = -math.inf
    greatest: float = math.inf


@dataclass(frozen=True)
class Prompt:
    """One template, ready to be rendered."""

    name: str
    version: int
    purpose: str
    source: str  # the paper whose step it takes
    inputs: tuple[Input, ...]
    output: Mapping[str, Any]  # kind: text, json, choice or tags; with schema, choices or pattern
    digest: str  # of the file: two prompts of one digest ask the same
    _sections: tuple[tuple[str, jinja2.Template | None], ...]

    @property
    def tag(self) -> str:
        """Name and version as reports and caches show them: ``eventvad_judge/1``."""
        return f"{self.name}/{self.version}"

    def render(self, **inputs: Any) -> tuple[Message, ...]:
        """Returns the conversation.

        Args:
            inputs: all declared inputs; optional ones may be left out or None. Foreign text is cut at its cap.

        Raises:
            ValueError: an input is unknown, missing, of another kind, too long a list, or the text becomes too long.
        """
        values, pictures, quoted = self._take(inputs)
        turns: list[tuple[Speaker, list[Part]]] = []
        if quoted:
            turns.append(("system", [Text(_notice())]))
        for role, template in self._sections:
            if template is None:
                turns[-1][1].extend(pictures.get(role, ()))
                continue
            speaker, _, rest = role.partition("/")
            text = template.render(values).strip()
            if not rest and (not turns or turns[-1][0] != speaker):
                turns.append((cast(Speaker, speaker), []))
            if text:
                turns[-1][1].append(Text(("\n\n" if turns[-1][1] else "") + text + ("\n" if speaker == "user" else "")))
        size = sum(len(part.text) for _, parts in turns for part in parts if isinstance(part, Text))
        if size > MAX_RENDERED:
            raise ValueError(
                f"prompt {self.tag} has {size} characters, more than {MAX_RENDERED}: give it less evidence"
            )
        return tuple(Message(role, _tidy(parts)) for role, parts in turns if parts)

    def schema(self, **inputs: Any) -> dict[str, Any] | None:
        """Returns the JSON schema of the reply, None where it is not JSON; ``enum_from`` is filled from an input."""
        form = self.output.get("schema")
        return None if form is None else _fill(form, {key: self._labels(key, inputs) for key in inputs})

    def choices(self, **inputs: Any) -> tuple[str, ...] | None:
        """Returns the texts of which the reply must be one, None where it is free."""
        if "choices_from" in self.output:
            return self._labels(self.output["choices_from"], inputs)
        listed = self.output.get("choices")
        return None if listed is None else tuple(str(item) for item in listed)

    def _labels(self, name: str, inputs: Mapping[str, Any]) -> tuple[str, ...]:
        spec = next((item for item in self.inputs if item.name == name and item.kind == "labels"), None)
        if spec is None:
            return ()
        return tuple(cast(list[str], _value(spec, inputs[name])))

    def _take(self, inputs: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, list[Part]], bool]:
        known = {item.name for item in self.inputs}
        if unknown := sorted(set(inputs) - known):
            raise ValueError(
                f"prompt {self.name} knows no input {', '.join(unknown)}; it takes {', '.join(sorted(known))}"
            )
        values: dict[str, Any] = {}
        pictures: dict[str, list[Part]] = {}
        quoted = False
        for spec in self.inputs:
            value = inputs.get(spec.name)
            if value is None:
                if not spec.optional:
                    raise ValueError(f"prompt {self.name} needs the input {spec.name} ({spec.kind})")
                values[spec.name] = [] if spec.kind == "labels" else None
            elif spec.kind == "frames":
                pictures["frames"] = _frames(spec, value)
                values[spec.name] = len(value)
            elif spec.kind == "plot":
                pictures["plot"] = [_plot(spec, value)]
                values[spec.name] = True
            else:
                values[spec.name] = _value(spec, value)
                quoted |= spec.kind in ("quote", "line")
        return values, pictures, quoted


@cache
def load_prompt(name: str) -> Prompt:
    """Returns the template of this name, read once.

    Raises:
        FileNotFoundError: there is no such template.
        ValueError: its header or its body is not as it must be.
    """
    header, body = prompts.load_template(name)
    inputs = tuple(_input(name, key, spec) for key, spec in (header["inputs"] or {}).items())
    return Prompt(
        name=name,
        version=int(header["version"]),
        purpose=str(header["purpose"]),
        source=str(header["source"]),
        inputs=inputs,
        output=header["output"],
        digest=hashlib.sha256(f"{sorted(header.items())}{body}".encode()).hexdigest()[:16],
        _sections=_compile(name, body, inputs),
    )


def _compile(name: str, body: str, inputs: Sequence[Input]) -> tuple[tuple[str, jinja2.Template | None], ...]:
    """Cuts a body at its section lines and compiles each piece; the pieces are cut before anything is put in."""
    environment = _environment()
    pieces = _SECTION.split(body)
    if pieces[0].strip() or len(pieces) < 3:
        raise ValueError(f"prompts/{name}.md: the body must begin with [system] or [user]")
    lists = {item.name for item in inputs if item.kind == "labels"}
    used: set[str] = set()
    sections: list[tuple[str, jinja2.Template | None]] = []
    speaker = ""
    for role, text in zip(pieces[1::2], pieces[2::2], strict=True):
        if role in ("frames", "plot"):
            if speaker != "user":
                raise ValueError(f"prompts/{name}.md: [{role}] may stand in a user's section alone")
            sections.append((role, None))
            used |= {item.name for item in inputs if item.kind == role}
        speaker = speaker if role in ("frames", "plot") else role
        tree = environment.parse(text)
        _check(name, tree, lists)
        used |= meta.find_undeclared_variables(tree)
        sections.append((f"{speaker}/more" if role in ("frames", "plot") else speaker, environment.from_string(text)))
    declared = {item.name for item in inputs}
    if used != declared:
        raise ValueError(
            f"prompts/{name}.md: declared {sorted(declared - used)} unused, used {sorted(used - declared)} undeclared"
        )
    return tuple(sections)


def _check(name: str, tree: nodes.Template, lists: set[str]) -> None:
    for node in tree.find_all(nodes.Node):
        if not isinstance(node, _ALLOWED):
            raise ValueError(f"prompts/{name}.md: {type(node).__name__} is not allowed in a template")
        loops_over = node.iter if isinstance(node, nodes.For) else None
        if loops_over is not None and not (isinstance(loops_over, nodes.Name) and loops_over.name in lists):
            raise ValueError(f"prompts/{name}.md: a loop may go over an input of kind labels alone")


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    # Plain text for a model, never HTML: escaping would show it entities.
    environment = ImmutableSandboxedEnvironment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
    )  # fmt: skip
    environment.globals.clear()
    environment.filters.clear()
    return environment


def _input(prompt: str, name: str, spec: Mapping[str, Any]) -> Input:
    kind = spec.get("kind")
    if kind not in _KINDS or set(spec) - {"kind", "most", "title", "optional", "least", "greatest"}:
        raise ValueError(
            f"prompts/{prompt}.md: input {name} must be of a kind among {sorted(_KINDS)}, got {dict(spec)}"
        )
    return Input(
        name,
        kind,
        int(spec.get("most", _CAPS.get(kind, 0))),
        str(spec.get("title", name.replace("_", " "))),
        bool(spec.get("optional", False)),
        float(spec.get("least", -math.inf)),
        float(spec.get("greatest", math.inf)),
    )


def _value(spec: Input, value: Any) -> Any:
    """Returns an input as its template gets it."""
    wrong = ValueError(f"input {spec.name} must be of kind {spec.kind}, got {str(value)[:80]!r}")
    if spec.kind in ("quote", "line", "words"):
        if not isinstance(value, str):
            raise wrong
        if spec.kind == "quote":
            return fence(value, spec.title, spec.most)
        return inline(value, spec.most) if spec.kind == "line" else _name(value, spec.most)
    if spec.kind == "labels":
        if (
            isinstance(value, str)
            or not isinstance(value, Sequence)
            or not all(isinstance(item, str) for item in value)
        ):
            raise wrong
        if len(value) > spec.most:
            raise ValueError(f"input {spec.name} may have {spec.most} items, got {len(value)}")
        return [_name(item, _CAPS["line"]) for item in value]
    if spec.kind == "flag":
        if not isinstance(value, bool):
            raise wrong
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not spec.least <= value <= spec.greatest:
        raise wrong
    return f"{value:.2f}".rstrip("0").rstrip(".") if math.isfinite(value) else str(value)


def _name(text: str, most: int) -> str:
    return " ".join(neutral(text, most).split())


def _frames(spec: Input, value: Any) -> list[Part]:
    if not isinstance(value, Sequence) or not value or not all(isinstance(item, Shown | TimedFrame) for item in value):
        raise ValueError(f"input {spec.name} must be frames with their times, at least one")
    if len(value) > spec.most:
        raise ValueError(f"input {spec.name} may have {spec.most} frames, got {len(value)}")
    shown = [item if isinstance(item, Shown) else Shown(item) for item in value]
    parts: list[Part] = []
    for number, item in enumerate(shown, 1):
        # The backend writes the time itself between this line and the picture.
        parts.append(Text(f"\nFrame {number} of {len(shown)}{f', {_name(item.note, 80)}' if item.note else ''}: "))
        parts.append(item.frame)
    return parts


def _plot(spec: Input, value: Any) -> Picture:
    if not isinstance(value, bytes):
        raise ValueError(f"input {spec.name} must be a JPEG picture of a plot, see vau.mllm.curve")
    return Picture(value)


def _tidy(parts: Sequence[Part]) -> tuple[Part, ...]:
    """Joins neighbouring texts."""
    out: list[Part] = []
    for part in parts:
        if isinstance(part, Text) and out and isinstance(out[-1], Text):
            out[-1] = Text(out[-1].text + part.text)
        else:
            out.append(part)
    return tuple(out)


def _fill(form: Any, lists: Mapping[str, tuple[str, ...]]) -> Any:
    if isinstance(form, Mapping):
        out = {key: _fill(value, lists) for key, value in form.items() if key != "enum_from"}
        if "enum_from" in form:
            out["enum"] = list(lists[form["enum_from"]])
        return out
    return [_fill(item, lists) for item in form] if isinstance(form, list) else form


@cache
def _notice() -> str:
    return str(prompts.load("data_notice")["text"]).strip()
