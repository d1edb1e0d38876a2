"""From a bare host to a running head or agent: SSH, files, container, environment, the steps.

Used by the client for the head and by the head's provisioning process for the workers, alike.
"""

from __future__ import annotations

import sys
import types
from typing import NoReturn


class _Room(types.ModuleType):
    """This package, which has the name of a function of Ray's."""

    def __call__(self) -> NoReturn:
        from jupyter_cluster.ray_names import missing

        raise AttributeError(missing("nodes"))


sys.modules[__name__].__class__ = _Room
