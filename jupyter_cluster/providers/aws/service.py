"""boto3's clients, and AWS's errors as sentences."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)

from jupyter_cluster.config import ClusterConfig
from jupyter_cluster.errors import CapacityError, CredentialsError, ProviderError, QuotaError

T = TypeVar("T")

# Throttled calls are repeated after random pauses that double up to 20 s, by botocore: at a third
# of all calls refused, ten attempts fail once in 60,000 times.
_RETRIES = {"mode": "standard", "total_max_attempts": 10}
_NO_CAPACITY = {
    "InsufficientCapacity",
    "InsufficientHostCapacity",
    "InsufficientInstanceCapacity",
    "InsufficientReservedInstanceCapacity",
    "SpotMaxPriceTooLow",
    "UnfulfillableCapacity",
    "Unsupported",  # the type is not offered in this zone
}
_QUOTAS = {
    "VcpuLimitExceeded": "the quota of vCPUs for running instances of this family",
    "InstanceLimitExceeded": "the quota of running instances",
    "MaxSpotInstanceCountExceeded": "the quota of vCPUs for spot instances",
    "VolumeLimitExceeded": "the quota of EBS volumes",
    "MaxIOPSLimitExceeded": "the quota of EBS throughput",
    "AddressLimitExceeded": "the quota of public addresses",
    "SecurityGroupLimitExceeded": "the quota of security groups",
}
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
_WRONG = {
    "AuthFailure",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "SignatureDoesNotMatch",
    "InvalidAccessKeyId",
}
_FORBIDDEN = {"UnauthorizedOperation", "AccessDenied", "AccessDeniedException"}
_THROTTLED = {"RequestLimitExceeded", "Throttling", "ThrottlingException", "SlowDown"}
_RENEW = "renew them (with single sign-on: `aws sso login`) and repeat the command"


class Service:
    """AWS of one region, with the credentials of the environment or of the cluster YAML.

    Clients are made once and are safe to share between threads.
    """

    def __init__(self, region: str | None, credentials: dict[str, str] | None = None) -> None:
        self._session = call(
            "the AWS settings",
            lambda: boto3.Session(region_name=region, **(credentials or {})),
        )
        if not self._session.region_name:
            raise CredentialsError("the AWS settings name no region: give one by --region")
        self.region = str(self._session.region_name)
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    def client(self, name: str, region: str | None = None) -> Any:
        """The client of a service, e.g. ``ec2``."""
        with self._lock:
            key = f"{name} {region}"
            if key not in self._clients:
                self._clients[key] = call(
                    f"the AWS service {name}",
                    lambda: self._session.client(
                        name,
                        region_name=region or self.region,
                        config=Config(retries=_RETRIES, connect_timeout=10, read_timeout=60),
                    ),
                )
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
        return call(operation, lambda: getattr(client, operation)(**parameters))

    def caller(self) -> str:
        """The ARN of who these credentials are of."""
        return str(self.ask("get_caller_identity", "sts")["Arn"])

    def pages(self, operation: str, key: str, service: str = "ec2", **parameters: Any) -> list[Any]:
        """All rows of an operation that answers in pages."""
        client = self.client(service)

        def read() -> list[Any]:
            answers = client.get_paginator(operation).paginate(**parameters)
            return [row for answer in answers for row in answer[key]]

        return call(operation, read)


def service_of(config: ClusterConfig) -> Service:
    """AWS as the cluster YAML says."""
    provider: Any = config.provider
    secrets = provider.aws_credentials.items()
    return Service(provider.region, {k: v.get_secret_value() for k, v in secrets})


def code_of(error: BaseException) -> str:
    """AWS's code of an error; empty where it has none."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", ""))
    return ""


def call(what: str, function: Callable[[], T]) -> T:
    """Do something with boto3; its errors become ours.

    Raises
    ------
    CapacityError, QuotaError, CredentialsError, ProviderError
        It failed; the cause is the error of boto3.
    """
    try:
        return function()
    except (ClientError, BotoCoreError) as error:
        raise translated(what, error) from error


def translated(what: str, error: Exception) -> ProviderError:
    """An error of boto3 as one of ours, in a sentence with what to do."""
    if isinstance(error, ClientError):
        return _of_service(what, error)
    if isinstance(error, (SSOError, TokenRetrievalError, CredentialRetrievalError)):
        return CredentialsError(f"the AWS credentials cannot be used ({error}); {_RENEW}")
    if isinstance(error, (NoCredentialsError, PartialCredentialsError)):
        return CredentialsError(
            "there are no AWS credentials here; set them up with `aws configure`, or put"
            " AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY into the environment"
        )
    if isinstance(error, (ProfileNotFound, NoRegionError)):
        return CredentialsError(f"the AWS settings do not fit: {error}")
    if isinstance(error, (EndpointConnectionError, ConnectionError)):
        return ProviderError(f"AWS cannot be reached ({what}): {error}; check the network")
    return ProviderError(f"AWS ({what}): {error}")


def _of_service(what: str, error: ClientError) -> ProviderError:
    code, message = code_of(error), error.response.get("Error", {}).get("Message", "")
    if code in _NO_CAPACITY:
        return CapacityError(f"EC2 has no capacity ({code}): {message}")
    if code in _QUOTAS:
        return QuotaError(
            f"{_QUOTAS[code]} is used up ({code}): {message}. Ask for a higher quota in the Service"
            " Quotas console, or lower max_workers"
        )
    if code in _EXPIRED:
        return CredentialsError(f"the AWS credentials have expired; {_RENEW}")
    if code in _WRONG:
        return CredentialsError(f"AWS does not know these credentials ({code}); {_RENEW}")
    if code in _FORBIDDEN:
        return ProviderError(
            f"these credentials may not do {error.operation_name}: {message}. docs/aws.md has the"
            " policy that they need"
        )
    if code in _THROTTLED:
        return ProviderError(
            f"AWS refuses more calls for now ({code}, {error.operation_name}); try again in a"
            " minute"
        )
    return ProviderError(f"AWS refused {error.operation_name} ({code}): {message}")
