"""The images that the demo works on, and how fast one process is with them."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.pool import Pool
from pathlib import Path
from typing import TypeVar

from jupyter_cluster.demo.palettes import find_images, get_palette, image_id
from jupyter_cluster.errors import UsageError

Item = TypeVar("Item")

# One process is measured until either is reached.
MEASURED_SECONDS = 5.0
MEASURED_IMAGES = 20


def images_of(folder: Path) -> list[Path]:
    """The files of a folder that a person named, as absolute paths.

    Raises
    ------
    UsageError
        There is no such folder, it cannot be read, or it holds no file.
    """
    try:
        found = find_images(folder.absolute())
    except OSError as error:
        raise UsageError(f"--images {folder}: {error.strerror}; name a folder of images") from None
    if not found:
        raise UsageError(f"--images {folder}: there is no file in it; name a folder of images")
    return found


def images_by_id(paths: Sequence[Path]) -> dict[str, Path]:
    """Images by id, which is the file's name without its ending.

    Files that would share an id, like ``a.jpg`` and ``a.png``, have their whole names as ids.
    """
    stems = Counter(map(image_id, paths))
    names = {path.name for path in paths}

    def unique_id(path: Path) -> str:
        stem = image_id(path)
        return stem if stems[stem] == 1 and stem not in names else path.name

    return {readable(unique_id(path)): path for path in paths}


def readable(text: str) -> str:
    """Text that can be written as UTF-8: bytes of a file's name that cannot are shown as such."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def make_missing_posters(folder: Path, count: int, processes: int) -> Iterator[Path]:
    """Make the posters of a folder that are not there yet; gives each path when it is there.

    Raises
    ------
    OSError
        The folder cannot be made or written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    work = [(folder / f"poster-{index:05}.jpg", index) for index in range(count)]
    missing = [item for item in work if not item[0].exists()]
    yield from (path for path, _index in work if path.exists())
    if missing:
        with _processes(min(processes, len(missing))) as pool:
            yield from pool.imap_unordered(_make_whole_poster, missing)


def _make_whole_poster(work: tuple[Path, int]) -> Path:
    from jupyter_cluster.demo.posters import make_poster

    path, index = work
    part = path.with_name(f".{path.name}.part")  # a poster is there whole or not at all
    make_poster(part, index)
    part.replace(path)
    return path


def measure_one_process(
    paths: Sequence[Path], seconds: float = MEASURED_SECONDS, most: int = MEASURED_IMAGES
) -> tuple[int, float] | None:
    """How fast one fresh process makes palettes.

    Parameters
    ----------
    paths
        What it may take; it takes images from all over the list.
    seconds, most
        It stops at the first image after so many seconds, or after so many images.

    Returns
    -------
    tuple or None
        Images and the seconds that they took, imports left out; None where no image could be
        read.
    """
    sample = spread(paths, most)
    with _processes(1) as pool:
        done, elapsed = pool.apply(_time_palettes, (sample, seconds))
    return (done, elapsed) if done else None


def spread(items: Sequence[Item], count: int) -> list[Item]:
    """Some of the items, at most `count`, from all over the list with its ends."""
    if len(items) <= count:
        return list(items)
    # A constant step would meet the same scene again and again: posters take turns in them.
    return [items[place * (len(items) - 1) // max(1, count - 1)] for place in range(count)]


def _time_palettes(paths: Sequence[Path], seconds: float) -> tuple[int, float]:
    import colorthief  # noqa: F401  # its import is not what is measured

    done, elapsed = 0, 0.0
    for path in paths:
        start = time.perf_counter()
        try:
            get_palette(path)
        except Exception:
            continue  # the job names it; here it is neither work nor time
        done, elapsed = done + 1, elapsed + time.perf_counter() - start
        if elapsed >= seconds:
            break
    return done, elapsed


@contextmanager
def _processes(count: int) -> Iterator[Pool]:
    """Fresh processes that Ctrl-C does not reach: they are ended from here, without a word."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        pool = get_context("spawn").Pool(count)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    with pool:
        yield pool
