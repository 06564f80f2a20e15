"""A device joins a site: one code, once, in time, and nobody in between."""

import datetime as dt
import ssl
import subprocess
import urllib.error
import urllib.request
from dataclasses import replace

import pytest
import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from parts.central import OnWire, running_central
from parts.devices import LogWriter

from renzheng.central.errors import RegistrationError
from renzheng.central.site import joining
from renzheng.central.site.authority import Authority
from renzheng.central.site.joining import BrokerAddress, Joining
from renzheng.central.site.setup import make_site
from renzheng.central.store import devices, schema
from renzheng.central.store.devices import Device, Institution
from renzheng.contracts import keys, provisioning
from renzheng.contracts.events import Purpose, utc_now
from renzheng.contracts.provisioning import JoinCode, JoinRequest, ProvisioningError

NOW = dt.datetime(2026, 3, 2, 8, tzinfo=dt.UTC)
DEVICE = Device("kiosk-1", "H1", "0", Purpose.DIALYSIS)


def new_request(signing_key=None, curve=None):
    key = ec.generate_private_key(curve or ec.SECP256R1())
    name = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, "central")]
    )  # what it wishes for does not matter
    asked = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return JoinRequest(
        certificate_request=asked.public_bytes(serialization.Encoding.PEM).decode(),
        signing_key=keys.public_pem(signing_key or keys.generate_key()),
        nonce="0123456789abcdef",
        software="renzheng 0.1.0",
    )


class Site:
    def __init__(self, database, folder):
        self.now = NOW
        self.database = database
        make_site(folder, "test", ["localhost", "127.0.0.1"], NOW)
        broker = BrokerAddress("broker.example", 8883)
        central_key = keys.public_pem(keys.generate_key())
        self.authority = Authority.load(folder)
        self.joining = Joining(database, self.authority, central_key, broker, lambda: self.now)
        with database.writing() as connection:
            devices.put_institution(connection, Institution("H1", "x", "1"))

    def provision(self, device=DEVICE, **told):
        with self.database.writing() as connection:
            return joining.provision(connection, device, self.now, **told)

    def join(self, code, request):
        answer = self.joining.answer(provisioning.seal_request(request, code))
        return provisioning.open_answer(answer, code, request)


@pytest.fixture
def site(database, tmp_path):
    return Site(database, tmp_path / "site")


def test_a_device_joins_and_gets_its_name_from_central(site):
    key = keys.generate_key()
    answer = site.join(site.provision(), new_request(key))
    certificate = x509.load_pem_x509_certificate(answer.certificate.encode())
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(answer.ca_certificate.encode()))
    assert certificate.subject.rfc4514_string() == "CN=kiosk-1"
    assert (answer.broker_host, answer.broker_port, answer.purpose) == ("broker.example", 8883, "dialysis")
    with site.database.reading() as connection:
        (kept,) = connection.execute(sa.select(schema.device_keys)).all()
        (issued,) = connection.execute(sa.select(schema.device_certificates)).all()
    assert (kept.device_id, kept.key_id) == ("kiosk-1", keys.key_id(key))
    assert (issued.device_id, int(issued.serial, 16)) == ("kiosk-1", certificate.serial_number)


def test_a_code_works_once(site):
    code = site.provision()
    site.join(code, new_request())
    with pytest.raises(ProvisioningError):
        site.join(code, new_request())


def test_a_code_dies_after_fifteen_minutes(site):
    code = site.provision()
    site.now += dt.timedelta(minutes=15)
    with pytest.raises(ProvisioningError, match="lets nobody in"):
        site.join(code, new_request())


def test_a_newer_code_kills_the_older_one(site):
    old, new = site.provision(), site.provision()
    with pytest.raises(ProvisioningError):
        site.join(old, new_request())
    assert site.join(new, new_request()).device_id == "kiosk-1"


def test_a_code_dies_after_five_wrong_answers(site):
    code = site.provision()
    wrong = JoinCode(code.lookup + "0" * 10)
    for _ in range(provisioning.MAX_WRONG_ANSWERS):
        with pytest.raises(ProvisioningError, match="do not know each other"):
            site.join(wrong, new_request())
    with pytest.raises(ProvisioningError, match="lets nobody in"):
        site.join(code, new_request())


def test_the_store_never_holds_the_code(site):
    code = site.provision()
    with site.database.reading() as connection:
        (row,) = connection.execute(sa.select(schema.join_codes)).all()
    assert code.text.replace("-", "")[4:] not in str(row)
    assert code.text[5:] not in repr(code)


@pytest.mark.parametrize("body", [b"", b"a.b.c", b"\xff", b"{}", b"." * 5000])
def test_nonsense_at_the_door(site, body):
    with pytest.raises(ProvisioningError):
        site.joining.answer(body)


def test_someone_in_between_cannot_put_an_own_answer_in(site):
    code, request = site.provision(), new_request()
    honest = site.joining.answer(provisioning.seal_request(request, code))
    forged = provisioning.seal_answer(provisioning.open_answer(honest, code, request), b"0" * 32, code.lookup)
    with pytest.raises(ProvisioningError):
        provisioning.open_answer(forged, code, request)
    with pytest.raises(ProvisioningError):
        provisioning.open_answer(honest, code, new_request().model_copy(update={"nonce": "another-nonce-00"}))


@pytest.mark.parametrize(
    "request_",
    [new_request(curve=ec.SECP384R1()), new_request().model_copy(update={"certificate_request": "x" * 50})],
)
def test_a_key_that_cannot_be_certified_leaves_the_code_alive(site, request_):
    code = site.provision()
    with pytest.raises(Exception, match="certificate request"):
        site.join(code, request_)
    assert site.join(code, new_request()).device_id == "kiosk-1"


def test_joining_again_with_another_key_revokes_the_first(site):
    first, second = keys.generate_key(), keys.generate_key()
    site.join(site.provision(), new_request(first))
    with pytest.raises(RegistrationError, match="joined before"):
        site.provision()
    site.join(site.provision(replaces=True), new_request(second))
    with site.database.reading() as connection:
        kept = {row.key_id: row.revoked_at for row in connection.execute(sa.select(schema.device_keys))}
    assert kept[keys.key_id(first)] is not None
    assert kept[keys.key_id(second)] is None


def test_a_revoked_device_does_not_come_back_under_its_name(site):
    site.provision()
    with site.database.writing() as connection:
        devices.revoke(connection, "kiosk-1", NOW)
    with pytest.raises(RegistrationError, match="revoked"):
        site.provision()


@pytest.mark.mosquitto
def test_a_revocation_kills_the_code_that_is_out(site):
    code = site.provision()
    with site.database.writing() as connection:
        devices.revoke(connection, "kiosk-1", NOW)
    with pytest.raises(ProvisioningError):
        site.join(code, new_request())
    with site.database.reading() as connection:
        assert connection.execute(sa.select(schema.join_codes)).all() == []
        assert connection.execute(sa.select(schema.device_certificates)).all() == []


def test_a_code_that_outlived_a_revocation_lets_nobody_in(site):
    code = site.provision()
    with site.database.writing() as connection:  # as an older version revoked
        connection.execute(sa.update(schema.devices).values(revoked_at=1))
    with pytest.raises(ProvisioningError, match="lets nobody in"):
        site.join(code, new_request())


def test_names_of_the_site_are_no_devices(site):
    with pytest.raises(RegistrationError, match="the site's own"):
        site.provision(replace(DEVICE, device_id="central-s1"))


def test_over_the_door_with_tls(tmp_path, broker):
    folder = tmp_path / "central"
    make_site(folder / "site", "test", ["127.0.0.1"], utc_now())
    told = {"site": {"listen_host": "127.0.0.1", "listen_port": 0, "broker_port": broker.port}}
    with running_central(folder, broker.port, shards=["0"], **told) as central:
        central.register_institution(Institution("H1", "x", "1"))
        with central.database.writing() as connection:
            code = joining.provision(connection, DEVICE, utc_now())
        writer = LogWriter("kiosk-1")
        request = new_request(writer.key)
        trust = ssl.create_default_context(cafile=folder / "site" / "ca.pem")

        def post(body):
            asked = urllib.request.Request(f"{central.door_url}/join", body)
            with urllib.request.urlopen(asked, context=trust) as answer:
                return answer.read()

        sealed = provisioning.seal_request(request, code)
        answer = provisioning.open_answer(post(sealed), code, request)
        assert answer.central_key == keys.public_pem(central.public_key)
        for body, status in ((sealed, 403), (b"x" * 40_000, 413)):
            with pytest.raises(urllib.error.HTTPError) as caught:
                post(body)
            assert caught.value.code == status
            caught.value.close()
        wire = OnWire(broker.port, central)
        writer.many(3)
        wire.send("kiosk-1", writer.batches(), shard="0")
        wire.wait_for("kiosk-1", 3)
        wire.close()


def test_openssl_accepts_the_chain(site, tmp_path):
    folder = tmp_path / "site"
    for name, purpose in (("server", "sslserver"), ("central", "sslclient")):
        command = ["openssl", "verify", "-purpose", purpose, "-attime", str(int(NOW.timestamp()))]
        done = subprocess.run(
            [*command, "-CAfile", folder / "ca.pem", folder / f"{name}.pem"], capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert (folder / "ca.key").stat().st_mode & 0o077 == 0
