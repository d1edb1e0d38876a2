"""boto3's errors as sentences that say what is wrong and what to do. Pure, but for questions."""

from __future__ import annotations

import difflib
import email.utils
import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import (
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

from jupyter_cluster.errors import CapacityError, CredentialsError, ProviderError, QuotaError
from jupyter_cluster.providers.aws.refusals import Then, refusal

_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
_WRONG = {
    "AuthFailure",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "SignatureDoesNotMatch",
    "InvalidSignatureException",
    "IncompleteSignature",
    "InvalidAccessKeyId",
}
_CLOCK = {"RequestTimeTooSkewed", "RequestInTheFuture"}
FORBIDDEN = {"UnauthorizedOperation", "AccessDenied", "AccessDeniedException"}
_THROTTLED = {
    "RequestLimitExceeded",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "SlowDown",
}
_RENEW = "renew them (with single sign-on: `aws sso login`) and repeat the command"
# AWS takes requests whose time is up to five minutes from its own.
_SKEW_SECONDS = 240.0
_ENCODED = re.compile(r"\s*Encoded authorization failure message:\s*(\S+)")


def _not_decoded(_message: str) -> str:
    return ""


def _not_asked() -> bool:
    return False


@dataclass(frozen=True)
class Place:
    """What is known of where a call went, for its sentence.

    Attributes
    ----------
    region : str
        Empty where there is none yet.
    known_regions : sequence of str
        Those that this version of botocore knows.
    decode : callable
        Decodes an authorization failure message; empty where that is not allowed.
    is_valid_elsewhere : callable
        Whether another region takes the same credentials.
    """

    region: str = ""
    known_regions: Sequence[str] = ()
    decode: Callable[[str], str] = _not_decoded
    is_valid_elsewhere: Callable[[], bool] = _not_asked


def code_of(error: BaseException | None) -> str:
    """AWS's code of an error of boto3, or of one of ours that comes from one; empty where none."""
    if isinstance(error, ProviderError):
        error = error.__cause__
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", ""))
    return ""


def translated(what: str, error: Exception, place: Place) -> ProviderError:
    """An error of boto3 as one of ours, in a sentence with what to do."""
    if isinstance(error, ClientError):
        return _of_service(error, place)
    if isinstance(error, (SSOError, TokenRetrievalError, CredentialRetrievalError)):
        return CredentialsError(f"the AWS credentials cannot be used ({error}); {_RENEW}")
    if isinstance(error, (NoCredentialsError, PartialCredentialsError)):
        return CredentialsError(
            "there are no AWS credentials here; set them up with `aws configure`, or put"
            " AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY into the environment; an EC2 instance has"
            " them of its instance profile, unless its MetadataOptions switch the metadata service"
            " off"
        )
    if isinstance(error, (ProfileNotFound, NoRegionError)):
        return CredentialsError(f"the AWS settings do not fit: {error}")
    if isinstance(error, (EndpointConnectionError, ConnectionError)):
        return ProviderError(f"AWS cannot be reached ({what}): {error}; {_network(place)}")
    return ProviderError(f"AWS ({what}): {error}")


def _network(place: Place) -> str:
    """What to look at where an endpoint does not answer."""
    if not place.region or place.region in place.known_regions:
        return "check the network"
    near = difflib.get_close_matches(place.region, place.known_regions, 1)
    meant = f"did you mean {near[0]}?" if near else "is it one?"
    return f"check the network, and the region: botocore knows none named {place.region}; {meant}"


def _of_service(error: ClientError, place: Place) -> ProviderError:
    code, message = code_of(error), str(error.response.get("Error", {}).get("Message", ""))
    if code in _EXPIRED | _WRONG | _CLOCK:
        return _of_credentials(code, error, place)
    if code in FORBIDDEN:
        return ProviderError(_denied(error, message, place))
    if code in _THROTTLED:
        return ProviderError(
            f"AWS refuses more calls for now ({code}, {error.operation_name}); try again in a"
            " minute"
        )
    answer = refusal(code)
    if answer.is_quota:
        return QuotaError(
            f"{answer.words} is used up ({code}): {message}. Ask for a higher quota in the Service"
            " Quotas console, or lower max_workers"
        )
    if answer.then in (Then.ELSEWHERE, Then.FEWER):
        return CapacityError(f"{answer.words} ({code}): {message}")
    words = f"{answer.words} ({code}, {error.operation_name})" if answer.words else ""
    return ProviderError(
        f"{words}: {message}"
        if words
        else f"AWS refused {error.operation_name} ({code}): {message}"
    )


def _of_credentials(code: str, error: ClientError, place: Place) -> CredentialsError:
    """Expired, unknown, or good ones with a wrong clock or in a region that is not enabled."""
    offset = clock_offset(error)
    if abs(offset) > _SKEW_SECONDS or code in _CLOCK:
        return CredentialsError(
            f"the clock of this machine is wrong{_by(offset)}, and AWS takes no request from it"
            f" ({code}): set it, e.g. with `sudo timedatectl set-ntp true`, and repeat the command"
        )
    if code in _EXPIRED:
        return CredentialsError(f"the AWS credentials have expired; {_RENEW}")
    if place.is_valid_elsewhere():
        return CredentialsError(
            f"the region {place.region} is not enabled for this account ({code}; other regions take"
            " these credentials): enable it in the AWS console under Account, AWS Regions, or"
            " choose another provider.region"
        )
    return CredentialsError(f"AWS does not know these credentials ({code}); {_RENEW}")


def clock_offset(error: ClientError) -> float:
    """By how many seconds this machine's clock is ahead of AWS's; 0 where that is unknown."""
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    try:
        there = email.utils.parsedate_to_datetime(str(headers["date"])).timestamp()
    except (KeyError, ValueError):
        return 0.0
    return time.time() - there


def _by(offset: float) -> str:
    if abs(offset) <= _SKEW_SECONDS:
        return ""
    return f" by {abs(offset) / 60:.0f} minutes ({'ahead' if offset > 0 else 'behind'})"


def _denied(error: ClientError, message: str, place: Place) -> str:
    """Which action on what is not allowed; the encoded part is decoded, or left out."""
    encoded = _ENCODED.search(message)
    said = _ENCODED.sub("", message).rstrip(". ")
    if encoded and (decoded := denial(place.decode(encoded[1]))):
        said = decoded
    return (
        f"these credentials may not do {error.operation_name}: {said}. docs/aws.md has the policy"
        " that they need; `python -m jupyter_cluster.providers.aws.policies CLUSTER.yaml` prints"
        " what a cluster file needs"
    )


def denial(decoded: str) -> str:
    """A decoded authorization message in short; empty where it is none.

    >>> denial('{"allowed": false, "explicitDeny": true, "context": {"action":'
    ...        ' "ec2:RunInstances", "resource": "arn:aws:ec2:us-west-1:1:instance/*"}}')
    'a policy denies ec2:RunInstances on arn:aws:ec2:us-west-1:1:instance/*'
    """
    try:
        content: dict[str, Any] = json.loads(decoded)
        action, resource = content["context"]["action"], content["context"]["resource"]
    except (ValueError, KeyError, TypeError):
        return ""
    if content.get("explicitDeny"):
        return f"a policy denies {action} on {resource}"
    return f"no policy allows {action} on {resource}"
