"""What stands before moto: faults, corrections of requests, prices, and the tests' own calls."""

from __future__ import annotations

import io
import json
import random
import threading
import time
import traceback
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from moto import settings

from ec2box.cloud import Cloud
from ec2box.laws import conflict
from ec2box.network import GATEWAY, limit_gateway
from ec2box.prices import answer_prices, answer_quota

Start = Callable[[str, list[tuple[str, str]]], Any]
_ERROR = (
    '<?xml version="1.0" encoding="UTF-8"?><Response><Errors><Error><Code>{code}</Code>'
    "<Message>{message}</Message></Error></Errors><RequestID>box</RequestID></Response>"
)


@dataclass
class Fault:
    """Calls that fail.

    Attributes
    ----------
    action : str
        The call's name, or ``*``.
    times : int
        How many calls at most; -1 for no end.
    share : float
        The chance of each call.
    match : dict
        Parameters that the call must have, by their name in the request.
    """

    action: str
    code: str = ""
    message: str = ""
    status: int = 400
    times: int = 1
    share: float = 1.0
    delay: float = 0.0
    match: dict[str, str] = field(default_factory=dict)

    def applies(self, query: dict[str, str]) -> bool:
        """Whether it strikes this call."""
        return (
            self.action in ("*", query.get("Action"))
            and self.times != 0
            and all(query.get(name) == value for name, value in self.match.items())
            and random.random() < self.share
        )


class Front:
    """A WSGI application around moto's."""

    def __init__(self, moto: Callable[[dict[str, Any], Start], Iterable[bytes]], cloud: Cloud):
        self._moto, self._cloud = moto, cloud
        self._faults: list[Fault] = []
        self._calls: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.pricing_seconds = 0.0

    def __call__(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length) if length else b""
        path, target = environ.get("PATH_INFO", ""), environ.get("HTTP_X_AMZ_TARGET", "")
        if path.startswith("/box/"):
            return self._control(path[5:], json.loads(body or b"{}"), start)
        if target.startswith("AWSPriceListService."):
            if environ.get("REMOTE_ADDR") != GATEWAY:  # a host, maybe one without a way to it
                time.sleep(self.pricing_seconds)
            content = json.dumps(answer_prices(json.loads(body or b"{}"))).encode()
            return _reply(start, "200 OK", "application/x-amz-json-1.1", content)
        if target == "ServiceQuotasV20190624.GetServiceQuota":
            content = json.dumps(answer_quota(json.loads(body), self._cloud.vcpus)).encode()
            return _reply(start, "200 OK", "application/x-amz-json-1.1", content)
        query = dict(urllib.parse.parse_qsl(body.decode())) if _is_form(environ) else {}
        action = query.get("Action") or target.rpartition(".")[2]
        with self._lock:
            self._calls[action] += 1
        if fault := self._strikes({**query, "Action": action}):
            time.sleep(fault.delay)
            if fault.code:
                text = _ERROR.format(code=fault.code, message=fault.message or fault.code)
                return _reply(start, f"{fault.status} Error", "text/xml", text.encode())
        if action == "RunInstances" and (message := conflict(query)):
            text = _ERROR.format(code="InvalidParameterCombination", message=message)
            return _reply(start, "400 Error", "text/xml", text.encode())
        if action == "RunInstances" and query.get("MaxCount") != query.get("MinCount"):
            query["MinCount"] = query["MaxCount"]  # moto makes the minimum, EC2 what it has
            body = urllib.parse.urlencode(query).encode()
        environ["CONTENT_LENGTH"], environ["wsgi.input"] = str(len(body)), io.BytesIO(body)
        self._cloud.asked.action = action
        answer = b"".join(self._moto(environ, start))
        if "SecurityGroup" in action:
            self._cloud.apply_rules()
        return [answer]

    def _strikes(self, query: dict[str, str]) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                if fault.applies(query):
                    fault.times -= 1
                    return fault
        return None

    # -- the tests' own calls -----------------------------------------------------------------

    def _control(self, name: str, options: dict[str, Any], start: Start) -> Iterable[bytes]:
        try:
            content, status = getattr(self, f"do_{name}")(**options), "200 OK"
        except Exception:
            content, status = traceback.format_exc(), "500 Error"
        return _reply(start, status, "application/json", json.dumps(content).encode())

    def do_fault(self, **options: Any) -> None:
        with self._lock:
            self._faults.append(Fault(**options))

    def do_no_faults(self) -> None:
        with self._lock:
            self._faults.clear()
        self._cloud.behave_as_usual()
        self.pricing_seconds = 0.0
        self._cloud.firewall.parted = frozenset()
        self._cloud.firewall.bastion = ""
        self._cloud.apply_rules()

    def do_clear(self) -> None:
        self._cloud.clear()

    def do_authorise(self, is_on: bool) -> None:
        settings.INITIAL_NO_AUTH_ACTION_COUNT = 0.0 if is_on else float("inf")

    def do_quota(self, vcpus: float, spot: float) -> None:
        self._cloud.vcpus = {False: vcpus, True: spot}

    def do_pricing(self, seconds: float) -> None:
        self.pricing_seconds = seconds

    def do_calls(self) -> dict[str, int]:
        with self._lock:
            return dict(self._calls)

    def do_behave(self, **options: float | str) -> None:
        for name, value in options.items():
            setattr(self._cloud, name, value)

    def do_limit(self, megabits: float) -> None:
        limit_gateway(megabits)
        for host in self._cloud.hosts.values():
            host.cable.limit(megabits)

    def do_power_cut(self, instance: str, then: str) -> None:
        self._cloud.power_cut(instance, then)

    def do_plug(self, instance: str, is_in: bool) -> None:
        self._cloud.hosts[instance].cable.plug(is_in)

    def do_freeze(self, instance: str, is_frozen: bool) -> None:
        self._cloud.hosts[instance].freeze(is_frozen)

    def do_part(self, pairs: list[list[str]]) -> None:
        self._cloud.firewall.parted = frozenset((one, other) for one, other in pairs)
        self._cloud.apply_rules()

    def do_only_through(self, address: str) -> None:
        self._cloud.firewall.bastion = address
        self._cloud.apply_rules()

    def do_reclaim(self, instance: str, seconds: float) -> None:
        self._cloud.reclaim(instance, seconds)

    def do_run(self, instance: str, command: str) -> str:
        return self._cloud.hosts[instance].run(command)


def _is_form(environ: dict[str, Any]) -> bool:
    kind = environ.get("CONTENT_TYPE") or ""
    return bool(kind.startswith("application/x-www-form-urlencoded"))


def _reply(start: Start, status: str, kind: str, content: bytes) -> list[bytes]:
    start(status, [("Content-Type", kind), ("Content-Length", str(len(content)))])
    return [content]
