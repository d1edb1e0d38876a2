"""The notice that EC2 gives two minutes before it takes a spot instance back.

Source: AWS's "Spot Instance interruption notices" and "Use IMDSv2".
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request

_METADATA = "http://169.254.169.254/latest"
_TIMEOUT_SECONDS = 2.0


def reclaim_notice() -> str:
    """When this instance will be taken back, as EC2 writes it; empty where it will not.

    Raises
    ------
    OSError
        The metadata service does not answer.
    """
    try:
        token = _ask("PUT", "/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "60"})
        text = _ask("GET", "/meta-data/spot/instance-action", {"X-aws-ec2-metadata-token": token})
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return ""  # the usual answer
        raise
    return str(json.loads(text).get("time", "soon"))


def _ask(method: str, path: str, headers: dict[str, str]) -> str:
    request = urllib.request.Request(f"{_METADATA}{path}", method=method, headers=headers)
    with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:
        return str(answer.read().decode())
