"""An account of moto's in this process, and what is asked of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto import mock_aws
from moto import settings as moto_settings
from moto.core import DEFAULT_ACCOUNT_ID
from moto.ec2 import ec2_backends

from jupyter_cluster.providers.aws import foundation
from jupyter_cluster.providers.aws import service as service_module
from jupyter_cluster.providers.aws.service import Service

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBz6nLIBHDCPRaFAYsTzWG8bbvPrRzpWxPjRkBHJuD2m x"


@contextmanager
def an_account() -> Iterator[None]:
    """An account with nothing in it; nobody waits, and nobody asks where this machine is."""
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.setattr(service_module, "_SETTLE_PAUSE", 0.0)
        patch.setattr(foundation, "caller_addresses", lambda: ["198.51.100.7"])
        patch.setattr(moto_settings, "ec2_load_default_amis", lambda: False)
        yield


class Recorder(Service):
    """Keeps what is asked of AWS, and may refuse the first calls of an operation.

    Its clients are made once for all tests: that takes most of a test's time.
    """

    _made: ClassVar[dict[tuple[Any, ...], Any]] = {}

    def __init__(self, region: str, credentials: dict[str, str] | None = None) -> None:
        super().__init__(region, credentials)
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self.refuse: dict[str, list[str]] = {}
        self._key = (region, *sorted((credentials or {}).items()))

    def client(self, name: str, region: str | None = None, config: Config | None = None) -> Any:
        key = (*self._key, name, region)
        if key not in self._made:
            self._made[key] = super().client(name, region, config)
        return self._made[key]

    def ask(self, operation: str, service: str = "ec2", **parameters: Any) -> Any:
        self.asked.append((self.region, operation, parameters))
        codes = self.refuse.get(operation)
        if codes:
            return self.call(operation, lambda: self._refuse(operation, codes.pop(0)))
        return super().ask(operation, service, **parameters)

    @staticmethod
    def _refuse(operation: str, code: str) -> Any:
        raise ClientError({"Error": {"Code": code, "Message": f"words of {code}"}}, operation)

    def of(self, *operations: str) -> list[dict[str, Any]]:
        """The parameters of these operations, in order."""
        return [parameters for _region, name, parameters in self.asked if name in operations]


def an_image(region: str) -> str:
    name = f"image {time.monotonic_ns()}"
    made = str(Recorder(region).ask("register_image", Name=name)["ImageId"])
    ec2_backends[DEFAULT_ACCOUNT_ID][region].amis[made].architecture = "x86_64"  # moto forgets it
    return made
