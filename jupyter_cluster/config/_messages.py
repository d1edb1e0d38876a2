"""What pydantic found, as sentences about the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from jupyter_cluster.config._document import Document
from jupyter_cluster.config._fill import as_map
from jupyter_cluster.config._kinds import wrong_kind
from jupyter_cluster.config._models import ClusterConfig
from jupyter_cluster.config._problems import KeyPath, Problem, did_you_mean, nearest, show_path
from jupyter_cluster.config._ray import refusal
from jupyter_cluster.config._sections import PROVIDERS, Auth, Docker, NodeTypeConfig
from jupyter_cluster.formats import shortened

# What must stand there, by pydantic's name of the error.
_KINDS = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "tuple_type": "a list, e.g. [a, b]",
    "dict_type": "a map (key: value)",
    "model_type": "a map (key: value)",
    "union_tag_not_found": "a map (key: value)",
}
_WITH_ALTERNATIVES = (("provider",), ("idle_timeout_minutes",))

# Where a key may belong that stands in the wrong section.
_PLACES: dict[str, type[BaseModel]] = {
    "the top level": ClusterConfig,
    "auth": Auth,
    "docker": Docker,
    "a node type": NodeTypeConfig,
    **{f"provider {name}": model for name, model in PROVIDERS.items()},
}


def problems_of(error: ValidationError, document: Document) -> Iterator[Problem]:
    """One problem for each of pydantic's errors."""
    for details in error.errors(include_url=False):
        path = _path(details["loc"])
        # An empty value has its own sentence already.
        if details["input"] is not None or document.words.get(path) != "":
            yield _problem(path, details, document)


def _path(loc: tuple[int | str, ...]) -> KeyPath:
    """The key path, without the step that says which alternative pydantic took."""
    return (loc[0], *loc[2:]) if loc[:1] in _WITH_ALTERNATIVES else loc


def _problem(path: KeyPath, details: ErrorDetails, document: Document) -> Problem:
    kind, value, limits = details["type"], details["input"], details.get("ctx", {})
    if kind in _KINDS:
        message, instead = wrong_kind(_KINDS[kind], value, document.words.get(path), path)
        return document.problem(path, message, instead=instead)
    if kind == "extra_forbidden":
        refused = refusal(path, document.data)
        return document.problem(path, refused, "key") if refused else _unknown_key(path, document)
    word = shortened(document.words.get(path, repr(value)))
    message = _other(kind, word, limits) or f"{details['msg'][:1].lower()}{details['msg'][1:]}"
    return document.problem(path, message)


def _other(kind: str, word: str, limits: Mapping[str, Any]) -> str | None:
    sentences = {
        "missing": "is required",
        "greater_than_equal": f"must be at least {limits.get('ge', 0):g}, not {word}",
        "greater_than": f"must be more than {limits.get('gt', 0):g}, not {word}",
        "less_than_equal": f"must be at most {limits.get('le', 0):g}, not {word}",
        "finite_number": f"must be a finite number, not {word}",
        "string_pattern_mismatch": "may have only letters, digits, _ and -, 100 at most, "
        f"and does not start with -; {word} does not fit",
        "literal_error": f"must be a number or {limits.get('expected')}, not {word}",
        "too_short": "must name at least one node type",
    }
    return sentences.get(kind)


def _unknown_key(path: KeyPath, document: Document) -> Problem:
    key = str(path[-1])
    provider_type = as_map(as_map(document.data).get("provider")).get("type")
    allowed = list(model_at(path[:-1], provider_type).model_fields)
    near = nearest(key, allowed)
    suggestion = did_you_mean(near) if near else _elsewhere(key, path)
    message = f"unknown key{suggestion} Allowed: {', '.join(allowed)}"
    return document.problem(path, message, "key", near)


def _elsewhere(key: str, path: KeyPath) -> str:
    """The end of a clause about a key that another section knows."""
    if key[:1].isupper() and path[0] == "available_node_types":
        return f"; arguments of EC2 belong in {show_path((*path[:-1], 'node_config'))}."
    for place, model in _PLACES.items():
        if near := nearest(key, model.model_fields):
            return f"; did you mean {near}, a key of {place}?"
    return "."


def model_at(path: KeyPath, provider_type: Any) -> type[BaseModel]:
    """The model of the section at a path; `provider_type` says which provider is meant."""
    match path:
        case ("provider", *inner):
            model = PROVIDERS[provider_type]
        case ("available_node_types", _, *inner):
            model = NodeTypeConfig
        case _:
            model, inner = ClusterConfig, list(path)
    for step in inner:
        model = _model_in(model.model_fields[str(step)].annotation) or model
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model in an annotation such as ``dict[str, NodeTypeConfig]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)
