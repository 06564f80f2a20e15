"""A case's file: the same bytes for the same case, and every altered byte refused by name."""

import copy
import io
import zipfile
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parts.case_bundle import evidence_of, pack
from parts.examples import examples

from renzheng.central.cases import bundle
from renzheng.central.cases.errors import BundleError
from renzheng.central.verify.checkpoint import path_to, root_by, root_of
from renzheng.contracts import keys

CENTRAL, DEVICE = keys.generate_key(), keys.generate_key()
DOCUMENT, PROOFS = evidence_of(DEVICE, CENTRAL)
MADE = pack(CENTRAL, DOCUMENT, PROOFS)
NAMES = sorted(zipfile.ZipFile(io.BytesIO(MADE)).namelist())


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("bundle") / "case.zip"


def check(place, content, by=(CENTRAL,)):
    place.write_bytes(content)
    return bundle.verify(place, list(by))


def repacked(change=lambda files: files):
    with zipfile.ZipFile(io.BytesIO(MADE)) as packed:
        files = {name: packed.read(name) for name in packed.namelist()}
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as packed:
        for name, content in sorted(change(files).items()):
            packed.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)
    return made.getvalue()


def test_a_bundle_is_checked_without_the_service_and_is_the_same_each_time(place):
    assert pack(CENTRAL, DOCUMENT, PROOFS) == MADE == repacked()
    found = check(place, MADE)
    assert (found.entries, found.evidence, found.pinned) == (3, 1, True)
    assert (found.judged, found.not_judged) == (1, 0)
    assert (found.log.entries, found.log.signed, found.log.covered, found.log.left_out) == (1, 1, 1, 0)
    assert not check(place, MADE, by=()).pinned
    with pytest.raises(BundleError, match="not signed by central"):
        check(place, MADE, by=[keys.generate_key()])


@settings(max_examples=examples(150), deadline=None)
@given(at=st.integers(0, len(MADE) - 1), bit=st.integers(0, 7))
def test_no_bit_of_the_file_can_be_turned(place, at, bit):
    turned = bytearray(MADE)
    turned[at] ^= 1 << bit
    with pytest.raises(BundleError):
        check(place, bytes(turned))


@settings(max_examples=examples(60), deadline=None)
@given(name=st.sampled_from(NAMES), share=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_bit_turned_in_a_file_names_the_file(place, name, share, bit):
    def turn(files):
        content = bytearray(files[name])
        content[int(share * len(content))] ^= 1 << bit
        return {**files, name: bytes(content)}

    with pytest.raises(BundleError, match=name.replace(".", r"\.")):
        check(place, repacked(turn))


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_a_file_that_is_missing_is_named(place, name):
    without = repacked(lambda files: {one: content for one, content in files.items() if one != name})
    with pytest.raises(BundleError, match=name.replace(".", r"\.")):
        check(place, without)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ["evidence/D2.json", "case.json", "../case.json"])
def test_a_file_that_was_added_or_is_there_twice_is_refused(place, name):
    place.write_bytes(MADE)
    with zipfile.ZipFile(place, "a") as written:
        written.writestr(name, "{}")
    with pytest.raises(BundleError):
        bundle.verify(place, [CENTRAL])


@pytest.mark.parametrize("around", [lambda made: made + b"\0", lambda made: b"\0" + made, lambda _: b"PK"])
def test_what_stands_around_a_bundle_is_refused(place, around):
    with pytest.raises(BundleError):
        check(place, around(MADE))


def changed(where):
    """Return the evidence with one change, packed anew by central's own key: only its content can speak."""
    document = copy.deepcopy(DOCUMENT)
    where(document)
    return document


@pytest.mark.parametrize(
    ("where", "says"),
    [
        (
            lambda of: of["lines"][0]["judged"].update(comes_to={"verdict": "supported", "reason": "x"}),
            "verdict",
        ),
        (lambda of: of["lines"][0]["judged"]["tables"].update(coverage=[]), "another verdict"),
        (lambda of: of["lines"][0]["judged"].update(parameters=[]), "were not frozen"),
        (
            lambda of: of["log"][0].update(line=of["log"][0]["line"].replace("P2", "P7")),
            "not what was signed",
        ),
        (lambda of: of["keys"][0].update(public_pem=keys.public_pem(CENTRAL)), "not signed by its key"),
        (lambda of: of["keys"][0].update(until_sequence=4), "key that may not"),
        (lambda of: of["covered"][0].update(head=5), "does not (cover|lead)"),
        (lambda of: of["covered"][0].update(index=0), "lacks the path"),
        (lambda of: of["batches"].pop(), "named by no evidence"),
        (lambda of: of.pop("log"), "cannot be read"),
    ],
)
def test_evidence_that_does_not_hold_is_refused_even_when_central_signs_it(place, where, says):
    with pytest.raises(BundleError, match=says):
        check(place, pack(CENTRAL, changed(where), PROOFS))


def test_batches_of_other_institutions_may_be_left_out_and_only_they(place):
    none = replace(PROOFS, batches={})
    with pytest.raises(BundleError, match=r"batches/.* is missing"):
        check(place, pack(CENTRAL, DOCUMENT, none))
    elsewhere, _ = evidence_of(DEVICE, CENTRAL, institution="H2")
    found = check(place, pack(CENTRAL, elsewhere, none)).log
    assert (found.entries, found.signed, found.covered, found.left_out) == (1, 0, 0, 1)


@pytest.mark.parametrize("size", range(1, 12))
def test_the_path_of_each_leaf_leads_to_the_root(size):
    hashes = [bytes([one]) * 32 for one in range(size)]
    for index in range(size):
        path = path_to(hashes, index)
        assert root_by(hashes[index], index, size, path) == root_of(hashes)
        assert root_by(hashes[index], index, size, [*path, b"\0" * 32]) is None
        assert root_by(b"\1" * 31 + b"\0", index, size, path) != root_of(hashes)
