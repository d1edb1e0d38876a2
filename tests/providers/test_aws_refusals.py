"""What AWS refuses: what is done about each code, and the sentences. No AWS."""

from __future__ import annotations

import email.utils
import time

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from jupyter_cluster.errors import CapacityError, CredentialsError, ProviderError, QuotaError
from jupyter_cluster.providers.aws.capacity import COOLDOWN, Capacity, Wish
from jupyter_cluster.providers.aws.foundation import Subnet
from jupyter_cluster.providers.aws.refusals import REFUSALS, Then, refusal, why_ended
from jupyter_cluster.providers.aws.sentences import Place, translated
from jupyter_cluster.providers.aws.service import Service

pytestmark = pytest.mark.unit

SUBNETS = [Subnet("subnet-1", "us-west-1a", "vpc-1"), Subnet("subnet-2", "us-west-1b", "vpc-1")]
NODES = [f"w-{number}" for number in range(30)]


def answer(code: str, message: str = "", **headers: str) -> ClientError:
    """An error of AWS's as boto3 raises it."""
    response = {"Error": {"Code": code, "Message": message or f"words of {code}"}}
    response["ResponseMetadata"] = {"HTTPHeaders": headers}
    return ClientError(response, "RunInstances")


HERE = Place("us-west-1")


def said(code: str, message: str = "", place: Place = HERE, **headers: str) -> str:
    return str(translated("run_instances", answer(code, message, **headers), place))


class Account:
    """Launches as EC2 does: up to a quota in each market, and what a zone has."""

    def __init__(self, on_demand: int = 99, spot: int = 99, **refusals: str) -> None:
        self.left = {False: on_demand, True: spot}
        self.refusals = {zone.replace("_", "-"): code for zone, code in refusals.items()}
        self.made: list[tuple[str, bool, list[str]]] = []
        self.asked = 0

    def run(self, nodes: list[str], subnet: Subnet, spot: bool) -> int:
        self.asked += 1
        code = self.refusals.get(subnet.zone, "")
        if not code and len(nodes) > self.left[spot]:
            code = "MaxSpotInstanceCountExceeded" if spot else "VcpuLimitExceeded"
        if code:
            cause = answer(code)
            raise translated("run_instances", cause, Place()) from cause
        self.left[spot] -= len(nodes)
        self.made.append((subnet.zone, spot, nodes))
        return len(nodes)

    @property
    def names(self) -> list[str]:
        return [name for _zone, _spot, nodes in self.made for name in nodes]


def capacity(now: list[float], notices: list[str]) -> Capacity:
    return Capacity(lambda: now[0], notices.append)


def wish(*markets: bool) -> Wish:
    return Wish("worker", "m5.large", SUBNETS, markets or (False,))


def test_what_is_more_than_the_quota_is_launched_in_parts_as_far_as_it_goes() -> None:
    account = Account(on_demand=5)
    with pytest.raises(QuotaError, match=r"quota of vCPUs.*VcpuLimitExceeded"):
        capacity([0.0], []).launch(wish(), NODES, account.run)
    assert account.names == NODES[:5]
    assert account.asked < 12


def test_a_used_up_spot_quota_is_followed_by_on_demand_ones_and_not_asked_again_soon() -> None:
    now, notices, account = [0.0], list[str](), Account(spot=0)
    there = capacity(now, notices)
    there.launch(wish(True, False), NODES[:4], account.run)
    assert account.made == [("us-west-1a", False, NODES[:4])]
    assert "no spot instances to be had, taking on-demand ones" in notices[-1]
    assert "quota of vCPUs for spot instances is used up" in notices[-1]
    asked = account.asked
    there.launch(wish(True, False), NODES[4:8], account.run)
    assert account.asked == asked + 1
    now[0] += COOLDOWN + 1
    account.left[True] = 9
    there.launch(wish(True, False), NODES[8:12], account.run)
    assert account.made[-1] == ("us-west-1a", True, NODES[8:12])


ZONES = [code for code, one in REFUSALS.items() if one.then is Then.ELSEWHERE]


@pytest.mark.parametrize("code", ZONES)
def test_where_a_zone_has_none_the_next_is_taken_and_the_first_left_alone(code: str) -> None:
    notices, account = list[str](), Account(us_west_1a=code)
    there = capacity([0.0], notices)
    there.launch(wish(), NODES[:2], account.run)
    there.launch(wish(), NODES[2:3], account.run)
    assert [zone for zone, _spot, _nodes in account.made] == ["us-west-1b", "us-west-1b"]
    assert account.asked == 3
    assert "us-west-1a" in notices[0]
    assert code in notices[0]


def test_none_anywhere_is_a_lack_of_capacity_that_names_the_zones() -> None:
    account = Account(us_west_1a="InsufficientInstanceCapacity", us_west_1b="Unsupported")
    with pytest.raises(CapacityError, match=r"us-west-1a has no m5\.large now; us-west-1b has no"):
        capacity([0.0], []).launch(wish(), NODES, account.run)


@pytest.mark.parametrize("code", [c for c, one in REFUSALS.items() if one.then is Then.STOP])
def test_what_no_other_place_helps_against_stops_at_once(code: str) -> None:
    account = Account(us_west_1a=code)
    with pytest.raises(ProviderError, match=code):
        capacity([0.0], []).launch(wish(True, False), NODES, account.run)
    assert account.asked == 1


def test_no_role_for_spot_instances_is_said_with_the_command_that_makes_it() -> None:
    notices, code = list[str](), "AuthFailure.ServiceLinkedRoleCreationNotPermitted"

    def run(nodes: list[str], subnet: Subnet, spot: bool) -> int:
        return Account(**({"us_west_1a": code} if spot else {})).run(nodes, subnet, spot)

    capacity([0.0], notices).launch(wish(True, False), NODES, run)
    assert "create-service-linked-role" in notices[-1]


class Body:
    """What EC2 answers, as botocore reads it."""

    def __init__(self, code: str) -> None:
        errors = f"<Errors><Error><Code>{code}</Code><Message>m</Message></Error></Errors>"
        self._content = f"<Response>{errors}<RequestID>1</RequestID></Response>".encode()

    def stream(self, **_options: object) -> list[bytes]:
        return [self._content]


@pytest.mark.parametrize(
    ("code", "attempts"), [("InsufficientInstanceCapacity", 1), ("InternalError", 10)]
)
def test_a_lack_of_capacity_is_not_repeated_for_minutes_though_ec2_answers_500(
    code: str, attempts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    service = Service("us-west-1", {"aws_access_key_id": "a", "aws_secret_access_key": "b"})
    asked = list[object]()

    def send(**request: object) -> AWSResponse:
        asked.append(request)
        return AWSResponse("https://ec2", 500, {}, Body(code))

    service.ec2.meta.events.register("before-send.ec2.RunInstances", send)
    with pytest.raises(ProviderError, match=code):
        service.ask("run_instances", ImageId="ami-1", MinCount=1, MaxCount=1)
    assert len(asked) == attempts


def test_what_is_short_is_a_lack_and_what_is_a_quota_is_one() -> None:
    for code, one in REFUSALS.items():
        error = translated("run_instances", answer(code), Place("us-west-1"))
        assert code in str(error)
        assert isinstance(error, QuotaError) == one.is_quota
        assert isinstance(error, CapacityError) == (
            one.then in (Then.ELSEWHERE, Then.FEWER) and not one.is_quota
        )
    assert refusal("SomethingNew").then is Then.STOP
    assert said("SomethingNew", "of tomorrow").endswith("(SomethingNew): of tomorrow")


def test_a_wrong_clock_is_not_called_expired_credentials() -> None:
    ahead = email.utils.formatdate(time.time() - 3600, usegmt=True)
    for code in ("RequestExpired", "SignatureDoesNotMatch", "AuthFailure", "RequestTimeTooSkewed"):
        assert "clock of this machine is wrong by 60 minutes (ahead)" in said(code, date=ahead)
    right = email.utils.formatdate(time.time(), usegmt=True)
    assert "have expired" in said("RequestExpired", date=right)
    assert "have expired" in said("ExpiredToken")
    assert "does not know these credentials" in said("AuthFailure", date=right)


def test_a_region_that_is_not_enabled_is_named_where_others_take_the_credentials() -> None:
    place = Place("ap-east-1", is_valid_elsewhere=lambda: True)
    for code in ("AuthFailure", "InvalidClientTokenId", "UnrecognizedClientException"):
        assert "region ap-east-1 is not enabled for this account" in said(code, place=place)
    assert "enable it under Account" in said("OptInRequired")


def test_a_region_that_there_is_not_is_named_with_the_one_that_may_be_meant() -> None:
    error = EndpointConnectionError(endpoint_url="https://ec2.us-wets-1.amazonaws.com/")
    text = str(translated("x", error, Place("us-wets-1", ("us-west-1", "eu-west-1"))))
    assert "none named us-wets-1; did you mean us-west-1?" in text
    text = str(translated("x", error, Place("us-west-1", ("us-west-1",))))
    assert text.endswith("check the network")


DENIED = "You are not authorized to perform this operation. Encoded authorization failure message: "
DECODED = (
    '{"allowed": false, "explicitDeny": false, "context": {"action": "ec2:RunInstances",'
    ' "resource": "arn:aws:ec2:us-west-1:1:placement-group/near"}}'
)


def test_an_encoded_denial_is_decoded_or_left_out() -> None:
    place = Place("us-west-1", decode=lambda text: DECODED if text == "abcXYZ" * 100 else "")
    text = said("UnauthorizedOperation", DENIED + "abcXYZ" * 100, place)
    assert "no policy allows ec2:RunInstances on arn:aws:ec2:us-west-1:1:placement-group" in text
    for other in (text, said("UnauthorizedOperation", DENIED + "abcXYZ" * 100)):
        assert "abcXYZ" not in other
        assert "docs/aws.md has the policy" in other


def test_an_instance_without_credentials_is_told_of_the_metadata_service() -> None:
    error = translated("x", NoCredentialsError(), Place())
    assert isinstance(error, CredentialsError)
    assert "MetadataOptions" in str(error)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("Client.VolumeLimitExceeded", "quota of EBS volume storage is used up"),
        ("Client.InvalidSnapshot.NotFound", "the snapshot of one of its disks does not exist"),
        ("Server.InsufficientInstanceCapacity", "no capacity for it in its zone"),
        ("Client.InternalError", "KMS key"),
        ("Server.SpotInstanceTermination", "taken the spot instance back"),
        ("Client.InstanceInitiatedShutdown", "shut itself down"),
    ],
)
def test_why_an_instance_has_ended_is_said_in_words_and_with_its_code(
    code: str, words: str
) -> None:
    text = why_ended({"StateReason": {"Code": code, "Message": f"{code}: in AWS's words"}})
    assert words in text
    assert text.endswith(f"({code})")
