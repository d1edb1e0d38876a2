"""The SSH key of a cluster, as EC2 knows it."""

from __future__ import annotations

from collections.abc import Callable

from jupyter_cluster.errors import ProviderError
from jupyter_cluster.providers.aws import tags
from jupyter_cluster.providers.aws.service import Service, code_of
from jupyter_cluster.providers.aws.tags import Owner

# Of the forms in which EC2 takes a key, the one in which it tells it.
_AS_EC2_TELLS = "ssh-"


class KeyPair:
    """The cluster's own; its private half never leaves the user's machine and the head.

    Attributes
    ----------
    name : str
        As EC2 has it.
    """

    def __init__(self, service: Service, owner: Owner) -> None:
        self._service, self._owner = service, owner
        self.name = owner.label

    def make(self, public_key: str, is_used: Callable[[], bool]) -> None:
        """Make EC2 know a key.

        Parameters
        ----------
        is_used
            Whether there are machines that were launched with the one that is there.

        Raises
        ------
        ProviderError
            There are, and it is another key: none of them would let us in.
        """
        try:
            self._import(public_key)
            return
        except ProviderError as error:
            if code_of(error) != "InvalidKeyPair.Duplicate":
                raise
        if self._is_there(public_key):
            return
        if is_used():
            raise ProviderError(
                f"auth.ssh_public_key is another key than that with which cluster"
                f" {self._owner.name!r} was made, and its machines let in the former only: write"
                " that, or take the cluster down first"
            )
        self._service.ask("delete_key_pair", KeyName=self.name)
        self._import(public_key)

    def _import(self, public_key: str) -> None:
        self._service.ask(
            "import_key_pair",
            KeyName=self.name,
            PublicKeyMaterial=public_key.encode(),
            TagSpecifications=[tags.made_with("key-pair", self._owner)],
        )

    def _is_there(self, public_key: str) -> bool:
        """Whether the key of this name is this one, as far as that can be told."""
        if not public_key.startswith(_AS_EC2_TELLS):
            return True
        rows = self._service.ask(
            "describe_key_pairs", Filters=self._owner.filters(), IncludePublicKey=True
        )["KeyPairs"]
        there = next((row.get("PublicKey") for row in rows if row["KeyName"] == self.name), None)
        return not there or there.split()[:2] == public_key.split()[:2]  # the third is a comment

    def delete(self) -> None:
        """Delete it."""
        for name in self._names():
            self._service.ask("delete_key_pair", KeyName=name)

    def left(self) -> list[str]:
        """What of it is there still, for people."""
        return [f"key pair {name}" for name in self._names()]

    def _names(self) -> list[str]:
        rows = self._service.ask("describe_key_pairs", Filters=self._owner.filters())["KeyPairs"]
        return [str(row["KeyName"]) for row in rows]
