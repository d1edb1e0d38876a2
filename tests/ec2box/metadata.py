"""The instance metadata service, version 2: who asks is known by the address asked from."""

from __future__ import annotations

import json
import secrets
import time
from http.server import BaseHTTPRequestHandler
from typing import Any

from moto.sts.models import sts_backends

from ec2box.cloud import ACCOUNT, Cloud
from ec2box.network import METADATA
from ec2box.web import serve

_ROOT = "/latest/"


def serve_metadata(cloud: Cloud) -> None:
    """Listen at the address that every instance asks."""
    handler = type("Handler", (_Handler,), {"cloud": cloud, "tokens": set()})
    serve(METADATA, 80, handler)


class _Handler(BaseHTTPRequestHandler):
    cloud: Cloud
    tokens: set[str]

    def do_PUT(self) -> None:
        if self.path != "/latest/api/token":
            self._answer(404)
            return
        token = secrets.token_hex(16)
        self.tokens.add(token)
        self._answer(200, token, {"X-aws-ec2-metadata-token-ttl-seconds": "21600"})

    def do_GET(self) -> None:
        instance = self.cloud.by_address.get(self.client_address[0])
        if self.headers.get("X-aws-ec2-metadata-token") not in self.tokens:
            self._answer(401)
        elif instance is None or not self.path.startswith(_ROOT):
            self._answer(404)
        else:
            self._look_up(instance, [part for part in self.path[len(_ROOT) :].split("/") if part])

    def _look_up(self, instance: Any, path: list[str]) -> None:
        found: Any = _tree(self.cloud, instance)
        for part in path:
            if not isinstance(found, dict) or part not in found:
                self._answer(404)
                return
            found = found[part]
        if isinstance(found, dict):
            found = "\n".join(name + "/" * isinstance(v, dict) for name, v in found.items())
        self._answer(200, found() if callable(found) else found)

    def _answer(self, status: int, text: str = "", headers: dict[str, str] | None = None) -> None:
        content = text.encode()
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_args: Any) -> None:
        pass


def _tree(cloud: Cloud, instance: Any) -> dict[str, Any]:
    data: dict[str, Any] = {
        "instance-id": instance.id,
        "instance-type": instance.instance_type,
        "local-ipv4": instance.private_ip,
        "ami-id": instance.image_id,
        "placement": {
            "availability-zone": instance.availability_zone,
            "region": instance.region_name,
        },
    }
    if instance.public_ip:
        data["public-ipv4"] = instance.public_ip
    if notice := cloud.notices.get(instance.id):
        data["spot"] = {"instance-action": json.dumps(notice), "termination-time": notice["time"]}
    associations = instance.ec2_backend.iam_instance_profile_associations
    if association := associations.get(instance.id):
        role = association.iam_instance_profile.roles[0]
        data["iam"] = {"security-credentials": {role.name: lambda: _credentials(instance, role)}}
    document = {
        "instanceId": instance.id,
        "instanceType": instance.instance_type,
        "region": instance.region_name,
        "availabilityZone": instance.availability_zone,
        "privateIp": instance.private_ip,
        "accountId": ACCOUNT,
    }
    return {
        "meta-data": data,
        "dynamic": {"instance-identity": {"document": json.dumps(document)}},
    }


def _credentials(instance: Any, role: Any) -> str:
    taken = sts_backends[ACCOUNT]["aws"].assume_role(
        instance.region_name,
        role_session_name=instance.id,
        role_arn=role.arn,
        policy=None,
        duration=3600,
        external_id=None,
    )
    return json.dumps(
        {
            "Code": "Success",
            "Type": "AWS-HMAC",
            "LastUpdated": _moment(0),
            "AccessKeyId": taken.access_key_id,
            "SecretAccessKey": taken.secret_access_key,
            "Token": taken.session_token,
            "Expiration": _moment(3600),
        }
    )


def _moment(later: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + later))
