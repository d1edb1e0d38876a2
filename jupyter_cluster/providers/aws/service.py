"""boto3's clients, and AWS's errors as sentences."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from jupyter_cluster.config import ClusterConfig
from jupyter_cluster.errors import CredentialsError, ProviderError
from jupyter_cluster.providers.aws import partitions
from jupyter_cluster.providers.aws.refusals import NOT_TRANSIENT
from jupyter_cluster.providers.aws.sentences import Place, code_of, translated

__all__ = ["SETTLE_SECONDS", "Service", "code_of", "service_of", "settled"]

T = TypeVar("T")

# Throttled calls are repeated after random pauses that double up to 20 s, by botocore: at a third
# of all calls refused, ten attempts fail once in 60,000 times.
_RETRIES = {"mode": "standard", "total_max_attempts": 10}
# AWS is eventually consistent: what was made a moment ago is not known everywhere at once.
SETTLE_SECONDS = 60.0
_SETTLE_PAUSE = 1.0
# Who has made this machine, as Linux knows it.
_VENDOR = Path("/sys/class/dmi/id/sys_vendor")


class Service:
    """AWS of one region, with the credentials of the environment or of the cluster YAML.

    Clients are made once and are safe to share between threads.

    Attributes
    ----------
    prices : dict
        What the pricing service has answered so far, by instance type.
    has_pricing : bool
        Whether it can be reached, as far as is known.
    """

    def __init__(self, region: str | None, credentials: dict[str, str] | None = None) -> None:
        self._session = _called(
            "the AWS settings",
            lambda: boto3.Session(
                botocore_session=_core(), region_name=region, **(credentials or {})
            ),
            Place(),
        )
        if not self._session.region_name:
            raise CredentialsError("the AWS settings name no region: give one by --region")
        self.region = str(self._session.region_name)
        self.partition = partitions.of_region(self.region)
        self.prices: dict[str, Any] = {}
        self.has_pricing = True
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    def client(self, name: str, region: str | None = None, config: Config | None = None) -> Any:
        """The client of a service, e.g. ``ec2``; `config` counts where it is made."""
        with self._lock:
            key = f"{name} {region}"
            if key not in self._clients:
                usual = Config(retries=_RETRIES, connect_timeout=10, read_timeout=60)
                made = self._called(
                    f"the AWS service {name}",
                    lambda: self._session.client(
                        name, region_name=region or self.region, config=config or usual
                    ),
                )
                # Before botocore's own handler, which decides by the status.
                made.meta.events.register_first("needs-retry.ec2.*", _take_no_for_an_answer)
                self._clients[key] = made
            return self._clients[key]

    @property
    def ec2(self) -> Any:
        """The client of EC2."""
        return self.client("ec2")

    def ask(self, operation: str, service: str = "ec2", **parameters: Any) -> Any:
        """Call an operation, by its name in boto3.

        Raises
        ------
        ProviderError
            It failed; in a sentence.
        """
        client = self.client(service)
        return self.call(operation, lambda: getattr(client, operation)(**parameters))

    def caller(self) -> str:
        """The ARN of who these credentials are of."""
        return str(self.ask("get_caller_identity", "sts")["Arn"])

    def pages(self, operation: str, key: str, service: str = "ec2", **parameters: Any) -> list[Any]:
        """All rows of an operation that answers in pages."""
        client = self.client(service)

        def read() -> list[Any]:
            answers = client.get_paginator(operation).paginate(**parameters)
            return [row for answer in answers for row in answer[key]]

        return self.call(operation, read)

    def call(self, what: str, function: Callable[[], T]) -> T:
        """Do something with boto3; its errors become ours.

        Raises
        ------
        CapacityError, QuotaError, CredentialsError, ProviderError
            It failed; the cause is the error of boto3.
        """
        return _called(what, function, self._place)

    def _called(self, what: str, function: Callable[[], T]) -> T:
        return _called(what, function, Place(self.region))

    # -- for sentences ------------------------------------------------------------------------

    @cached_property
    def _place(self) -> Place:
        known = self._session.get_available_regions("ec2", self.partition.name)
        return Place(self.region, tuple(known), self._decode, self._is_valid_elsewhere)

    def _decode(self, message: str) -> str:
        """What an encoded authorization message says; empty where that may not be asked."""
        try:
            answer = self.client("sts").decode_authorization_message(EncodedMessage=message)
        except (ClientError, BotoCoreError):
            return ""
        return str(answer["DecodedMessage"])

    def _is_valid_elsewhere(self) -> bool:
        """Whether the partition's first region, which is always enabled, knows the credentials."""
        first = self.partition.first_region
        if self.region == first:
            return False
        try:
            self.client("sts", first).get_caller_identity()
        except (ClientError, BotoCoreError):
            return False
        return True


def _core() -> botocore.session.Session:
    """botocore's settings; on an EC2 instance the metadata service is asked more than once."""
    core = botocore.session.get_session()
    try:
        is_instance = _VENDOR.read_text().startswith("Amazon EC2")
    except OSError:
        is_instance = False
    if is_instance:
        core.set_config_variable("metadata_service_timeout", 5)
        core.set_config_variable("metadata_service_num_attempts", 5)
    return core


def service_of(config: ClusterConfig) -> Service:
    """AWS as the cluster YAML says."""
    provider: Any = config.provider
    return Service(provider.region, credentials_of(config))


def credentials_of(config: ClusterConfig) -> dict[str, str]:
    """Those that the cluster YAML names; empty where it leaves that to the environment."""
    provider: Any = config.provider
    return {name: one.get_secret_value() for name, one in provider.aws_credentials.items()}


def settled(
    function: Callable[[], T],
    is_unsettled: Callable[[ProviderError], bool],
    seconds: float = SETTLE_SECONDS,
) -> T:
    """Do something with what was made a moment ago, again as long as AWS does not know it yet."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return function()
        except ProviderError as error:
            if not is_unsettled(error) or time.monotonic() > deadline:
                raise
        time.sleep(_SETTLE_PAUSE)


def _called(what: str, function: Callable[[], T], place: Place) -> T:
    try:
        return function()
    except (ClientError, BotoCoreError) as error:
        raise translated(what, error, place) from error


def _take_no_for_an_answer(response: Any = None, **_others: Any) -> None:
    """EC2 answers 500 where it has no capacity, which botocore takes for a fault and repeats."""
    if response is not None:
        http, parsed = response
        if parsed.get("Error", {}).get("Code") in NOT_TRANSIENT:
            http.status_code = 400
