"""Who may talk to whom: a certificate authority per cluster, and roles in its certificates.

Every connection is mutual TLS; both ends check the other's certificate against the cluster's own
authority and then its role. The authority's key is forgotten when the certificates are made.
"""

from __future__ import annotations

import datetime
import os
import ssl
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

VALID_DAYS = 365


class Role(StrEnum):
    """What a certificate entitles its holder to."""

    HEAD = "head"
    AGENT = "agent"
    CLIENT = "client"


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    temporary.replace(path)


def make_certificates(folder: Path, cluster_id: str) -> None:
    """Make the cluster's authority and a certificate for each role in `folder` (0600 each).

    Writes ``ca.pem``, and ``<role>.pem`` and ``<role>.key`` for each role.
    """
    # Imported here: only making certificates needs it, reading them does not.
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    now = datetime.datetime.now(datetime.UTC)
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, "jupyter_cluster authority"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, cluster_id),
        ]
    )

    def certificate(
        subject: x509.Name, key: ec.EllipticCurvePublicKey, is_authority: bool
    ) -> x509.Certificate:
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=is_authority,
            crl_sign=is_authority,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(authority)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            # An hour back: the clocks of two hosts need not agree to the second.
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=VALID_DAYS))
            .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
            .add_extension(usage, critical=True)
            # Both are asked for by VERIFY_X509_STRICT, Python's default from 3.13 on.
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()),
                critical=False,
            )
        )
        if not is_authority:
            both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            builder = builder.add_extension(x509.ExtendedKeyUsage(both), critical=False)
        return builder.sign(authority_key, hashes.SHA256())

    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    pem = serialization.Encoding.PEM
    root = certificate(authority, authority_key.public_key(), True)
    write_private(folder / "ca.pem", root.public_bytes(pem))
    for role in Role:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.COMMON_NAME, role.value),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, cluster_id),
            ]
        )
        signed = certificate(subject, key.public_key(), False)
        write_private(folder / f"{role}.pem", signed.public_bytes(pem))
        write_private(
            folder / f"{role}.key",
            key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        )


def dask_security(folder: Path, role: Role) -> Any:
    """A `distributed.Security` with which this role may talk to the others."""
    from distributed.security import Security

    certificate, key = str(folder / f"{role}.pem"), str(folder / f"{role}.key")
    return Security(
        require_encryption=True,
        tls_ca_file=str(folder / "ca.pem"),
        tls_scheduler_cert=certificate,
        tls_scheduler_key=key,
        tls_worker_cert=certificate,
        tls_worker_key=key,
        tls_client_cert=certificate,
        tls_client_key=key,
    )


def server_context(folder: Path, role: Role) -> ssl.SSLContext:
    """For a server that asks its callers for a certificate of the cluster."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(folder / "ca.pem"))
    context.load_cert_chain(folder / f"{role}.pem", folder / f"{role}.key")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(folder: Path, role: Role) -> ssl.SSLContext:
    """For a caller of a server of the cluster; the caller then checks the server's role.

    Host names are not checked: a cluster's addresses change, and its authority signs nothing
    outside the cluster.
    """
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(folder / "ca.pem"))
    context.check_hostname = False
    context.load_cert_chain(folder / f"{role}.pem", folder / f"{role}.key")
    return context


def role_of(peer_certificate: Mapping[str, Any] | None) -> Role | None:
    """The role in a certificate as `ssl.SSLSocket.getpeercert` returns it; None where none."""
    for group in (peer_certificate or {}).get("subject", ()):
        for name, value in group:
            if name == "commonName" and value in list(Role):
                return Role(value)
    return None


def require_role(peer_certificate: Mapping[str, Any] | None, *allowed: Role) -> Role:
    """The peer's role.

    Raises
    ------
    PermissionError
        It is none of those allowed.
    """
    role = role_of(peer_certificate)
    if role not in allowed:
        wanted = " or ".join(allowed)
        raise PermissionError(f"this is for the role {wanted}; the caller's role is {role}")
    return role
