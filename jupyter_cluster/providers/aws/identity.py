"""The head's role in IAM: made for one cluster, deleted with it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from jupyter_cluster.config import ClusterConfig
from jupyter_cluster.errors import ProviderError
from jupyter_cluster.providers.aws import policies, tags
from jupyter_cluster.providers.aws.needs import needs_of
from jupyter_cluster.providers.aws.service import Service, code_of, settled
from jupyter_cluster.providers.aws.tags import Owner

_POLICY = "head"


class HeadRole:
    """A role with its instance profile, both named after the cluster."""

    def __init__(self, service: Service, owner: Owner, config: ClusterConfig) -> None:
        self._service, self._owner = service, owner
        self._config = config
        self._provider: Any = config.provider
        self.name = owner.label

    def make(
        self, worker_profiles: Iterable[str] = (), templates: Iterable[Mapping[str, Any]] = ()
    ) -> None:
        """Make it where it is not there yet, and give it the policy as it is now.

        Parameters
        ----------
        worker_profiles
            Names or ARNs of the instance profiles that the head gives to workers.
        templates
            What the launch templates of its nodes say.

        Raises
        ------
        ProviderError
            The caller may not make roles, or a profile does not exist.
        """
        name, labels = self.name, tags.as_list(tags.for_iam(self._owner.tags()))
        made, partition = self._provider.head_role, self._service.partition
        bounds = made.permissions_boundary
        roles = [role for profile in worker_profiles for role in self._roles_of(profile)]
        self._once(
            "create_role",
            RoleName=name,
            Path=made.path,
            AssumeRolePolicyDocument=json.dumps(policies.trust_policy(partition)),
            **({"PermissionsBoundary": bounds} if bounds else {}),
            Description=f"Head of jupyter_cluster {self._owner.name}",
            Tags=labels,
        )
        needs = replace(needs_of(self._config, templates), passed_roles=tuple(sorted(roles)))
        document = json.dumps(policies.head_policy(self._owner, needs, partition))
        self._new("put_role_policy", RoleName=name, PolicyName=_POLICY, PolicyDocument=document)
        self._once("create_instance_profile", InstanceProfileName=name, Path=made.path, Tags=labels)
        profile = self._new("get_instance_profile", InstanceProfileName=name)["InstanceProfile"]
        if not profile["Roles"]:
            self._new("add_role_to_instance_profile", InstanceProfileName=name, RoleName=name)

    def _roles_of(self, profile: str) -> list[str]:
        name = profile.rpartition("/")[2]
        found = self._iam("get_instance_profile", InstanceProfileName=name)
        return [role["Arn"] for role in found["InstanceProfile"]["Roles"]]

    def delete(self) -> None:
        """Delete it; what is gone already is no error."""
        name = self.name
        self._gone("remove_role_from_instance_profile", InstanceProfileName=name, RoleName=name)
        self._gone("delete_instance_profile", InstanceProfileName=name)
        self._gone("delete_role_policy", RoleName=name, PolicyName=_POLICY)
        self._gone("delete_role", RoleName=name)

    def left(self) -> list[str]:
        """What of it is there still, for people."""
        found = []
        for kind, operation, key in (
            ("role", "get_role", "RoleName"),
            ("instance profile", "get_instance_profile", "InstanceProfileName"),
        ):
            try:
                self._iam(operation, **{key: self.name})
                found.append(f"{kind} {self.name}")
            except ProviderError as error:
                if code_of(error) != "NoSuchEntity":
                    raise
        return found

    def _iam(self, operation: str, **parameters: Any) -> Any:
        return self._service.ask(operation, "iam", **parameters)

    def _new(self, operation: str, **parameters: Any) -> Any:
        """About what was made a moment ago, which IAM does not know everywhere at once."""
        return settled(
            lambda: self._iam(operation, **parameters), lambda e: code_of(e) == "NoSuchEntity"
        )

    def _once(self, operation: str, **parameters: Any) -> None:
        try:
            self._iam(operation, **parameters)
        except ProviderError as error:
            if code_of(error) != "EntityAlreadyExists":
                raise

    def _gone(self, operation: str, **parameters: Any) -> None:
        try:
            # What was taken out of something a moment ago may still be seen in it.
            settled(
                lambda: self._iam(operation, **parameters), lambda e: code_of(e) == "DeleteConflict"
            )
        except ProviderError as error:
            if code_of(error) != "NoSuchEntity":
                raise
