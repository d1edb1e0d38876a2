"""What instances cost: from the pricing service, or estimated from a dated table.

The table holds on-demand prices of Linux in us-east-1 in USD per hour, as AWS's public price list
had them in 2024; other regions are estimated by what m5.large costs there. The service is asked
first; an estimate says that it is one.
"""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass
from typing import Any

from botocore.config import Config

from jupyter_cluster.errors import ProviderError
from jupyter_cluster.providers.aws.service import Service, code_of

TABLE_DATE = "2024-06"
# Of the smallest size "large", from which the others follow: xlarge costs twice as much.
_LARGE = {
    "m5": 0.096,
    "m5a": 0.086,
    "m6i": 0.096,
    "m6a": 0.0864,
    "m6g": 0.077,
    "m7i": 0.1008,
    "m7g": 0.0816,
    "c5": 0.085,
    "c5a": 0.077,
    "c6i": 0.085,
    "c6a": 0.0765,
    "c6g": 0.068,
    "c7i": 0.08925,
    "c7g": 0.0725,
    "r5": 0.126,
    "r6i": 0.126,
    "r6g": 0.1008,
    "r7i": 0.1323,
    "t3": 0.0832,
    "t3a": 0.0752,
}
_SIZES = {"nano": 1 / 16, "micro": 1 / 8, "small": 1 / 4, "medium": 1 / 2, "large": 1, "xlarge": 2}
_SIZES |= {f"{n}xlarge": 2 * n for n in (2, 3, 4, 6, 8, 9, 12, 16, 18, 24, 32, 48)}
_EXACT = {
    "g4dn.xlarge": 0.526,
    "g4dn.2xlarge": 0.752,
    "g4dn.4xlarge": 1.204,
    "g4dn.8xlarge": 2.176,
    "g4dn.12xlarge": 3.912,
    "g4dn.16xlarge": 4.352,
    "g5.xlarge": 1.006,
    "g5.2xlarge": 1.212,
    "g5.4xlarge": 1.624,
    "g5.8xlarge": 2.448,
    "g5.12xlarge": 5.672,
    "g5.16xlarge": 4.096,
    "g5.24xlarge": 8.144,
    "g5.48xlarge": 16.288,
    "p3.2xlarge": 3.06,
    "p3.8xlarge": 12.24,
    "p3.16xlarge": 24.48,
}
_M5_LARGE = {
    "us-east-1": 0.096,
    "us-east-2": 0.096,
    "us-west-1": 0.112,
    "us-west-2": 0.096,
    "ca-central-1": 0.107,
    "eu-west-1": 0.107,
    "eu-west-2": 0.111,
    "eu-west-3": 0.112,
    "eu-central-1": 0.115,
    "eu-north-1": 0.102,
    "ap-south-1": 0.101,
    "ap-northeast-1": 0.124,
    "ap-northeast-2": 0.118,
    "ap-southeast-1": 0.12,
    "ap-southeast-2": 0.12,
    "sa-east-1": 0.153,
}
# The list of China is in its own money; as of 2024.
_CNY = 7.2
# The pricing service answers in one region of a partition, which a head in a private network may
# not reach: nobody waits long for a price that can be estimated.
_PATIENCE = Config(
    connect_timeout=3, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 2}
)
GP3_GB_MONTH = 0.08  # USD; dearer by up to a fifth outside the cheapest regions
ADDRESS_HOUR = 0.005  # a public IPv4 address, since February 2024
HOURS_OF_MONTH = 730.0


@dataclass(frozen=True)
class Price:
    """USD per hour, and where the number is from."""

    usd: float
    source: str
    is_estimate: bool = False


def on_demand(service: Service, kind: str) -> Price | None:
    """What an instance of this type costs; None where nobody knows."""
    known = service.prices
    if kind not in known:
        known[kind] = _asked(service, kind)
    return known[kind] or estimated(service.region, kind)


def _asked(service: Service, kind: str) -> Price | None:
    """From the pricing service; None where it cannot be asked, which is tried once."""
    if not service.partition.pricing_region or not service.has_pricing:
        return None
    wanted = {
        "instanceType": kind,
        "regionCode": service.region,
        "operatingSystem": "Linux",
        "tenancy": "Shared",
        "preInstalledSw": "NA",
        "capacitystatus": "Used",
    }
    filters = [{"Type": "TERM_MATCH", "Field": k, "Value": v} for k, v in wanted.items()]
    try:
        client = service.client("pricing", service.partition.pricing_region, _PATIENCE)
        answer = service.call(
            "the pricing service",
            lambda: client.get_products(ServiceCode="AmazonEC2", Filters=filters, MaxResults=20),
        )
    except ProviderError as error:
        if not code_of(error):  # no answer at all: the next question would wait as long
            service.has_pricing = False
        return None
    return listed(answer["PriceList"])


def listed(products: list[str]) -> Price | None:
    """The price in an answer of the pricing service."""
    for text in products:
        for term in json.loads(text)["terms"].get("OnDemand", {}).values():
            for dimension in term["priceDimensions"].values():
                if price := _in_usd(dimension["pricePerUnit"]):
                    return price
    return None


def _in_usd(amounts: dict[str, Any]) -> Price | None:
    usd, cny = float(amounts.get("USD", 0)), float(amounts.get("CNY", 0))
    if usd > 0:
        return Price(usd, "pricing service")
    if cny > 0:
        return Price(cny / _CNY, f"pricing service, at {_CNY} CNY per USD", True)
    return None


def estimated(region: str, kind: str) -> Price | None:
    """From the table.

    >>> estimated("us-west-1", "m5.4xlarge").usd
    0.896
    """
    family, _, size = kind.partition(".")
    base = _EXACT.get(kind)
    if base is None and family in _LARGE and size in _SIZES:
        base = _LARGE[family] * _SIZES[size]
    if base is None:
        return None
    factor = _M5_LARGE.get(region, 0.12) / _M5_LARGE["us-east-1"]
    return Price(round(base * factor, 6), f"estimated from prices of {TABLE_DATE}", True)


def spot(service: Service, kind: str) -> Price | None:
    """The lowest price of this type among the region's zones at this moment."""
    try:
        rows = service.pages(
            "describe_spot_price_history",
            "SpotPriceHistory",
            InstanceTypes=[kind],
            ProductDescriptions=["Linux/UNIX"],
            # Those that hold now; without it the answer is pages of history.
            StartTime=datetime.datetime.now(datetime.UTC),
        )
    except ProviderError:
        return None
    newest: dict[str, tuple[object, float]] = {}
    for row in rows:
        zone, at = row["AvailabilityZone"], row["Timestamp"]
        if zone not in newest or at > newest[zone][0]:
            newest[zone] = (at, float(row["SpotPrice"]))
    lowest = min((usd for _at, usd in newest.values()), default=None)
    return None if lowest is None else Price(lowest, "spot price history")


def extras(disk_gb: float, has_public_address: bool) -> float:
    """USD per hour of what comes with an instance: its disk and its public address."""
    return disk_gb * GP3_GB_MONTH / HOURS_OF_MONTH + ADDRESS_HOUR * has_public_address
