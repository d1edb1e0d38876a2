"""What a test holds of the box: it is started, given faults by name, and looked at."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

from ec2box.network import GATEWAY

TESTS = Path(__file__).parent.parent
ENDPOINT = f"http://{GATEWAY}:5000"
# How moto is to behave; it reads this when it is imported.
_MOTO = {
    "MOTO_EC2_LOAD_DEFAULT_AMIS": "false",
    "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",
    "MOTO_ENABLE_AMI_VALIDATION": "true",
    "MOTO_ENABLE_KEYPAIR_VALIDATION": "true",
    "MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION": "true",
    "AWS_ACCESS_KEY_ID": "box",
    "AWS_SECRET_ACCESS_KEY": "box",
}


class Rig:
    """A running box."""

    def __init__(self, wheels: Path) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="ec2box-")
        self.log = Path(self._folder.name) / "box.log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    os.environ.get("EC2BOX_PYTHON", sys.executable),
                    "-m",
                    "ec2box",
                    str(wheels),
                    self._folder.name,
                ],
                env={**os.environ, **_MOTO, "PYTHONPATH": str(TESTS)},
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"ready\n":
            raise RuntimeError(f"the box did not start:\n{self.log.read_text()}")

    def close(self) -> None:
        """End it with all its hosts."""
        self._process.terminate()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._folder.cleanup()

    def _call(self, name: str, **options: Any) -> Any:
        request = urllib.request.Request(
            f"{ENDPOINT}/box/{name}", json.dumps(options).encode(), method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise RuntimeError(json.loads(error.read())) from None

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to find the box where it looks for AWS."""
        return {
            "AWS_ENDPOINT_URL": ENDPOINT,
            "AWS_ACCESS_KEY_ID": "box",
            "AWS_SECRET_ACCESS_KEY": "box",
            "AWS_CA_BUNDLE": f"{self._folder.name}/ca.pem",
        }

    # -- faults -------------------------------------------------------------------------------

    def fault(self, action: str, code: str = "", **options: Any) -> None:
        """Let calls of an action fail; options as those of `ec2box.front.Fault`."""
        self._call("fault", action=action, code=code, **options)

    def throttle(self, share: float) -> None:
        """Refuse this share of all EC2 calls with RequestLimitExceeded."""
        self.fault("*", "RequestLimitExceeded", share=share, times=-1, status=503)

    def no_capacity(self, times: int = -1, **match: str) -> None:
        """No instance is to be had, of those whose request matches; EC2 says 500 then."""
        code = "InsufficientInstanceCapacity"
        self.fault("RunInstances", code, times=times, match=match, status=500)

    def no_faults(self) -> None:
        """All is as it should be again."""
        self._call("no_faults")

    def behave(self, **how: float | str) -> None:
        """How instances come and go from now on; options as the attributes of `Cloud`."""
        self._call("behave", **how)

    def pricing(self, seconds: float) -> None:
        """Let the pricing service take so long for who asks from a host; 0 for at once."""
        self._call("pricing", seconds=seconds)

    def power_cut(self, instance: str, then: str = "stopped") -> None:
        """Cut a host's power; EC2 says `then` of its instance."""
        self._call("power_cut", instance=instance, then=then)

    def plug(self, instance: str, is_in: bool) -> None:
        """Pull a host's cable, or put it back."""
        self._call("plug", instance=instance, is_in=is_in)

    def freeze(self, instance: str, is_frozen: bool = True) -> None:
        """Let a host hang, or go on."""
        self._call("freeze", instance=instance, is_frozen=is_frozen)

    def part(self, *pairs: tuple[str, str]) -> None:
        """Let these pairs of addresses not hear one another; without any, all do again."""
        self._call("part", pairs=pairs)

    def only_through(self, address: str) -> None:
        """Let tests reach by SSH this host alone, until there are no faults any more."""
        self._call("only_through", address=address)

    def limit(self, megabits: float) -> None:
        """How much each host that runs now sends at most, a second, and the tests to all hosts.

        0 takes the limit away.
        """
        self._call("limit", megabits=megabits)

    def reclaim(self, instance: str, seconds: float) -> None:
        """Take a spot instance back: the notice now, the end so many seconds later."""
        self._call("reclaim", instance=instance, seconds=seconds)

    def quota(self, vcpus: float, spot: float | None = None) -> None:
        """How many vCPUs the account may run, on demand and as spot instances."""
        self._call("quota", vcpus=vcpus, spot=vcpus if spot is None else spot)

    def authorise(self, is_on: bool) -> None:
        """Let everybody do only what their policies allow, or all do all again."""
        self._call("authorise", is_on=is_on)

    def clear(self) -> None:
        """Terminate and delete what a test has left."""
        self._call("clear")

    # -- looking ------------------------------------------------------------------------------

    def calls(self) -> dict[str, int]:
        """How often each action was called so far."""
        return self._call("calls")  # type: ignore[no-any-return]

    def run(self, instance: str, command: str) -> str:
        """What a command prints as root on an instance's host."""
        return self._call("run", instance=instance, command=command)  # type: ignore[no-any-return]
