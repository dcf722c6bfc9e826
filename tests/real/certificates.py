"""Certificates for the mail servers of the tests: an authority of our own, what it vouches for, and a stranger."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_SIGNS_CERTIFICATES = x509.KeyUsage(False, False, False, False, False, True, True, False, False)


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files in PEM; those of servers hold the key, then the chain."""

    authority: Path  # what a client trusts
    server: Path  # for localhost and 127.0.0.1
    elsewhere: Path  # from the same authority, for another host
    stranger: Path  # for localhost and 127.0.0.1, from nobody


def make_certificates(folder: Path) -> Certificates:
    folder.mkdir()
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority of the tests")])
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    authority = _unsigned(name, key, name)
    authority = authority.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    authority = authority.add_extension(_SIGNS_CERTIFICATES, critical=True).add_extension(own, critical=False)
    trusted = folder / "authority.pem"
    trusted.write_bytes(authority.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    here = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))])
    away = x509.SubjectAlternativeName([x509.DNSName("mail.elsewhere.example")])
    return Certificates(
        authority=trusted,
        server=_server(folder / "server.pem", here, name, key),
        elsewhere=_server(folder / "elsewhere.pem", away, name, key),
        stranger=_server(folder / "stranger.pem", here, None, None),
    )


def _server(
    path: Path, names: x509.SubjectAlternativeName, issuer: x509.Name | None, signs: ec.EllipticCurvePrivateKey | None
) -> Path:
    """A server's certificate; without an issuer it signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, path.stem)])
    signer = signs or key
    made = _unsigned(subject, key, issuer or subject)
    made = made.add_extension(names, critical=False)
    made = made.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    made = made.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    )
    return path


def _unsigned(subject: x509.Name, key: ec.EllipticCurvePrivateKey, issuer: x509.Name) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=2))
    )
