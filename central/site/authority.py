"""The site's certificate authority: one P-256 key that certifies the broker, central and the devices.

P-256 because every TLS library of every broker takes it. A device certificate lives two years and names the
device; revocation does not wait for that (`renzheng device revoke` is asked at every message).
"""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from renzheng.central.errors import SiteError
from renzheng.common.files import write_whole
from renzheng.contracts.ids import topic_level

CA_YEARS = 20
CERTIFICATE_YEARS = 2
CALLER_PREFIX = "adt:"
"""Begins the common name of a hospital's system; no device's can begin so."""
CLOCK_SLACK = timedelta(hours=1)
_YEAR = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Pair:
    """A private key and its certificate, both PEM."""

    key: bytes
    certificate: bytes


class Authority:
    """The CA, with its private key."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self._key = key
        self._certificate = certificate

    @classmethod
    def make(cls, site: str, now: datetime) -> "Authority":
        """Make a new authority for a site."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"renzheng site {site}"[:64])])
        builder = _builder(name, name, key.public_key(), now, CA_YEARS)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_key_usage(ca=True), critical=True)
        subject_key = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        return cls(key, builder.add_extension(subject_key, critical=False).sign(key, hashes.SHA256()))

    @classmethod
    def load(cls, folder: Path) -> "Authority":
        """Read the authority from its folder.

        Raises:
            SiteError: there is none, or it cannot be read.
        """
        try:
            key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
            certificate = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
        except (OSError, ValueError, UnsupportedAlgorithm) as error:
            raise SiteError(
                f"The site's CA in {folder} cannot be read: {type(error).__name__}.",
                why="Without it no device can join.",
                do="Make one with: renzheng central init",
            ) from error
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return cls(key, certificate)

    def save(self, folder: Path) -> None:
        """Write key (mode 600) and certificate."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(folder / "ca.key", _key_pem(self._key))
        (folder / "ca.pem").write_bytes(self.certificate)

    @property
    def certificate(self) -> bytes:
        """The CA's certificate (PEM)."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def issue_server(self, names: Sequence[str], now: datetime) -> Pair:
        """Make a key and certificate for a server known by these host names and addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._issue(names[0], key.public_key(), now, ExtendedKeyUsageOID.SERVER_AUTH)
        builder = builder.add_extension(
            x509.SubjectAlternativeName([_general_name(n) for n in names]), critical=False
        )
        return Pair(_key_pem(key), self._signed(builder))

    def issue_client(self, common_name: str, now: datetime) -> Pair:
        """Make a key and certificate for a client of our own, such as central itself."""
        key = ec.generate_private_key(ec.SECP256R1())
        return Pair(_key_pem(key), self._signed(self._client(common_name, key.public_key(), now)))

    def issue_caller(self, name: str, now: datetime) -> Pair:
        """Make a key and certificate for a hospital's system, which delivers ADT messages only."""
        key = ec.generate_private_key(ec.SECP256R1())
        common_name = f"{CALLER_PREFIX}{topic_level(name, 'name of a caller')}"
        builder = self._issue(common_name, key.public_key(), now, ExtendedKeyUsageOID.CLIENT_AUTH)
        return Pair(_key_pem(key), self._signed(builder))

    def certify(self, certificate_request: bytes, device_id: str, now: datetime) -> bytes:
        """Certify a device's own key; only the key is taken from its request, the name is ours.

        Raises:
            SiteError: it is no certificate request, not signed by its own key, or not a P-256 key.
        """
        try:
            asked = x509.load_pem_x509_csr(certificate_request)
            public = asked.public_key()
            right = asked.is_signature_valid
        except (ValueError, UnsupportedAlgorithm, InvalidSignature):
            right, public = False, None
        if not right or not isinstance(public, ec.EllipticCurvePublicKey):
            raise SiteError("That is no certificate request with a P-256 key.", do="Update the device.")
        if not isinstance(public.curve, ec.SECP256R1):
            raise SiteError("The certificate request has another curve than P-256.", do="Update the device.")
        return self._signed(self._client(device_id, public, now))

    def revoke(self, serials: Iterable[int], now: datetime) -> bytes:
        """Make the list of revoked certificates (PEM).

        It holds as long as the CA does: a broker turns *everybody* away once its list is too old, and nothing
        here may stop for that.
        """
        builder = x509.CertificateRevocationListBuilder(
            issuer_name=self._certificate.subject,
            last_update=now - CLOCK_SLACK,
            next_update=now + CA_YEARS * _YEAR,
        )
        for serial in serials:
            one = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now)
            builder = builder.add_revoked_certificate(one.build())
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _client(self, name: str, public: ec.EllipticCurvePublicKey, now: datetime) -> x509.CertificateBuilder:
        return self._issue(
            topic_level(name, "certificate name"), public, now, ExtendedKeyUsageOID.CLIENT_AUTH
        )

    def _issue(
        self, name: str, public: ec.EllipticCurvePublicKey, now: datetime, usage: x509.ObjectIdentifier
    ) -> x509.CertificateBuilder:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
        builder = _builder(subject, self._certificate.subject, public, now, CERTIFICATE_YEARS)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_key_usage(ca=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return builder.add_extension(issuer, critical=False)

    def _signed(self, builder: x509.CertificateBuilder) -> bytes:
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def names_of(path: Path) -> list[str]:
    """Read the host names and addresses of a server's certificate, in its own order."""
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    named = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(name.value) for name in named]


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, now: datetime, years: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SLACK)
        .not_valid_after(now + years * _YEAR)
    )


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
