"""The pricing service and Service Quotas: what they answer, in their own form."""

from __future__ import annotations

import json
from typing import Any

# USD per hour, Linux, on demand; as us-west-1 had them in 2024.
PRICES = {"m5.large": 0.112, "m5.xlarge": 0.224, "m5.4xlarge": 0.896, "c5.xlarge": 0.212}
PRICES |= {"t3.small": 0.0248, "t3.medium": 0.0496, "g4dn.xlarge": 0.631}


def answer_prices(request: dict[str, Any]) -> dict[str, Any]:
    """What the service answers to a request with an ``instanceType`` among its filters."""
    wanted = {one["Field"]: one["Value"] for one in request.get("Filters", [])}
    kind = wanted.get("instanceType", "")
    if kind not in PRICES:
        return {"FormatVersion": "aws_v1", "PriceList": []}
    dimension = {"unit": "Hrs", "pricePerUnit": {"USD": f"{PRICES[kind]:.10f}"}}
    product = {
        "product": {"attributes": {"instanceType": kind}},
        "terms": {"OnDemand": {"term": {"priceDimensions": {"dimension": dimension}}}},
    }
    return {"FormatVersion": "aws_v1", "PriceList": [json.dumps(product)]}


# Of spot instances, of the standard families.
_SPOT = "L-34B43A08"


def answer_quota(request: dict[str, Any], allowed: dict[bool, float]) -> dict[str, Any]:
    """What Service Quotas answers about a quota of vCPUs, of spot instances or others."""
    code = request.get("QuotaCode", "")
    vcpus = allowed[code == _SPOT]
    quota = {"ServiceCode": "ec2", "QuotaCode": code, "Value": vcpus, "Unit": "None"}
    return {"Quota": quota}
