"""AWS's partitions, which share neither accounts nor names: the usual one, China, GovCloud. Pure.

Source: AWS's "Amazon Resource Names" and "Getting Started with Amazon Web Services in China".
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Partition:
    """One of them.

    Attributes
    ----------
    name : str
        As ARNs have it.
    suffix : str
        Of its services' names.
    first_region : str
        One that is always enabled.
    pricing_region : str
        Where its pricing service answers; empty where it has none.
    """

    name: str
    suffix: str
    first_region: str
    pricing_region: str

    @property
    def ec2(self) -> str:
        """EC2 as a service principal, which may take roles."""
        return f"ec2.{self.suffix}"


AWS = Partition("aws", "amazonaws.com", "us-east-1", "us-east-1")
CHINA = Partition("aws-cn", "amazonaws.com.cn", "cn-north-1", "cn-northwest-1")
# GovCloud's prices are in the price list of the usual partition, for whose accounts alone.
GOVCLOUD = Partition("aws-us-gov", "amazonaws.com", "us-gov-west-1", "")
_BY_START = {"cn-": CHINA, "us-gov-": GOVCLOUD}
ALL = (AWS, CHINA, GOVCLOUD)


def of_region(region: str) -> Partition:
    """The partition of a region.

    >>> of_region("cn-north-1").ec2
    'ec2.amazonaws.com.cn'
    """
    found = (one for start, one in _BY_START.items() if region.startswith(start))
    return next(found, AWS)
