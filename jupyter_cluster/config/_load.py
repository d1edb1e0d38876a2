"""From a file or text to a checked `ClusterConfig`."""

from __future__ import annotations

import os
import select
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from jupyter_cluster.config._checks import check, resolve_paths
from jupyter_cluster.config._document import MOST_CHARACTERS, Document, read_yaml
from jupyter_cluster.config._ec2 import ec2_notices
from jupyter_cluster.config._fill import fill
from jupyter_cluster.config._messages import problems_of
from jupyter_cluster.config._models import ClusterConfig
from jupyter_cluster.config._problems import KeyPath, Problem, fail
from jupyter_cluster.config._ray import translate
from jupyter_cluster.described import class_name
from jupyter_cluster.errors import ConfigError
from jupyter_cluster.formats import printable_line, shortened

# How long a pipe may keep us waiting, e.g. that of `config check <(make-yaml)`.
_PATIENCE_SECONDS = 10.0


def load(path: str | Path, source: str | None = None) -> ClusterConfig:
    """Read and check a cluster YAML.

    Parameters
    ----------
    source
        What messages call the file; by default as it was named.

    Raises
    ------
    ConfigError
        The file cannot be read, or has problems; all of them are named.
    """
    said = shortened(printable_line(str(path)), 300)
    try:
        file = Path(path).expanduser()
    except TypeError:
        kind = class_name(path)
        fail(Problem("cluster YAML", None, "", f"give the path of a file, not a {kind}"))
    except RuntimeError:  # ~name, and nobody has that name
        fail(Problem(said, None, "", "there is no such user; name the folder"))
    config = parse(_read(file, said), source=source or str(path), base_dir=file.parent)
    if source is not None and file.is_file():
        config._source = str(file.resolve())
    return config


def parse(
    text: str, source: str = "cluster.yaml", base_dir: str | Path | None = None
) -> ClusterConfig:
    """Check the text of a cluster YAML.

    Parameters
    ----------
    source
        What messages call the text.
    base_dir
        The folder from which relative paths are meant; the working directory by default.

    Raises
    ------
    ConfigError
        The text has problems; all of them are named.
    """
    document = read_yaml(text, source)
    origins = {path: f"{source}:{there.line}" for path, there in document.places.items()}
    config = build(document, origins, Path(base_dir or "."))
    file = Path(base_dir or ".") / Path(source).name
    if base_dir is not None and file.is_file():  # text is of no file, a pipe has a name for once
        config._source = str(file.resolve())
    return config


def build(document: Document, origins: dict[KeyPath, str], base_dir: Path) -> ClusterConfig:
    """The configuration that a document describes; `origins` is for `explain`."""
    found = _examined(document, base_dir)
    if found.config is None:
        fail(*found.problems)
    found.config._origins, found.config._notices = origins, found.notices
    return found.config


@dataclass(frozen=True)
class Examined:
    """What an editor shows of a text: all that is wrong, and what has no meaning here.

    Attributes
    ----------
    config
        None where there are problems.
    """

    config: ClusterConfig | None
    problems: tuple[Problem, ...]
    notices: tuple[Problem, ...] = ()


def examine(text: str, source: str, base_dir: Path) -> Examined:
    """What `parse` finds in a text, as values: a text that is being typed is wrong most times."""
    try:
        return _examined(read_yaml(text, source), base_dir)
    except ConfigError as error:
        return Examined(None, error.problems)


def _examined(document: Document, base_dir: Path) -> Examined:
    document, notices = translate(document)
    notices = (*notices, *ec2_notices(document))
    paths, missing = resolve_paths(document, base_dir)
    data = fill(document.data)
    for path, resolved in paths.items():
        data = _with(data, path, resolved)
    document = replace(document, data=data)
    problems = [*document.problems, *missing, *check(document)]
    try:
        config = ClusterConfig.model_validate(data)
    except ValidationError as error:
        return Examined(None, (*problems, *problems_of(error, document)), notices)
    return Examined(None if problems else config, tuple(problems), notices)


def _with(data: Any, path: KeyPath, value: Any) -> Any:
    """A copy of nested maps with one value changed."""
    if not path:
        return value
    return {**data, path[0]: _with(data[path[0]], path[1:], value)}


def _read(file: Path, source: str) -> str:
    try:
        return _content(file).decode("utf-8-sig")
    except (OSError, ValueError) as error:
        line, message = _unreadable(error, file)
        fail(Problem(source, line, "", message))


def _content(file: Path) -> bytes:
    """What can be a cluster YAML of it: a device, say, never ends, and a pipe may never begin."""
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
    with open(descriptor, "rb", buffering=0) as opened:
        waiting, content = select.poll(), b""
        waiting.register(opened, select.POLLIN)
        # A character has four bytes at most.
        while len(content) <= 4 * MOST_CHARACTERS:
            if not waiting.poll(_PATIENCE_SECONDS * 1000):
                raise TimeoutError(0, f"nothing came for {_PATIENCE_SECONDS:.0f} s")
            more = opened.read(2**16)
            if not more:
                break
            content += more
    return content


def _unreadable(error: OSError | ValueError, file: Path) -> tuple[int | None, str]:
    if isinstance(error, UnicodeDecodeError):
        byte, line = error.object[error.start], error.object.count(b"\n", 0, error.start) + 1
        return line, f"byte {byte:#x} is not UTF-8; save the file as UTF-8"
    if isinstance(error, ValueError):
        return None, "there can be no file of this name"
    if isinstance(error, FileNotFoundError):
        return None, f"there is no such file (looked for {file.absolute()})"
    if isinstance(error, IsADirectoryError):
        return None, "is a folder; name the YAML file in it"
    return None, f"cannot be read: {error.strerror}"
