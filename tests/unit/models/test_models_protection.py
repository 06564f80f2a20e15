"""Template protection: each claim, shown."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from renzheng.models.comparison import Space, compare, plain_space
from renzheng.models.errors import TemplateDamagedError, TemplateKeyError, TemplateMismatchError
from renzheng.models.protection import (
    TemplateKey,
    new_key_file,
    orthogonal,
    read_key_file,
    reissue,
    seal,
    transform,
    unseal,
)
from renzheng.models.templates import NO_KEY, ModelId, Template

MODEL = ModelId("dlib-resnet:aaaaaaaaaaaa:128+mobilefacenet:bbbbbbbbbbbb:128")
KEY, NEW = TemplateKey(b"k" * 32), TemplateKey(b"n" * 32)


def template(seed: int) -> Template:
    """A face as dlib gives it: far from the origin, near to other faces."""
    rng = np.random.default_rng(seed)
    shared = np.random.default_rng(7).normal(0, 0.1, 256)
    return Template((shared + rng.normal(0, 0.03, 256)).astype(np.float32), MODEL)


seeds = st.integers(0, 10_000)


@settings(deadline=None, max_examples=8)
@given(seeds, seeds, st.binary(min_size=32, max_size=32))
def test_scores_stay_the_same_under_any_key(one: int, other: int, secret: bytes) -> None:
    key = TemplateKey(secret)
    before = compare([template(one)], [template(other)], plain_space(MODEL))
    after = compare([transform(template(one), key)], [transform(template(other), key)], plain_space(MODEL))
    assert after == pytest.approx(before, abs=1e-5)


def test_scores_stay_the_same_with_a_centre_under_the_same_key() -> None:
    centre = template(1)
    moved = transform(centre, KEY)
    plain, keyed = (Space(MODEL, each.values, (0.3, 0.7)) for each in (centre, moved))
    before = compare([template(2)], [template(3)], plain)
    after = compare([transform(template(2), KEY)], [transform(template(3), KEY)], keyed)
    assert after == pytest.approx(before, abs=1e-5)


def test_the_same_face_under_two_keys_scores_like_a_stranger() -> None:
    """Were the keys' ids forged to be equal, the numbers still would not match."""
    scores = []
    for seed in range(12):
        one = transform(template(seed), KEY)
        other = transform(template(seed), NEW)
        forged = Template(other.values, MODEL, KEY.id)
        scores.append(compare([one], [forged], plain_space(MODEL)))
    assert max(map(abs, scores)) < 0.3
    assert compare([template(1)], [template(2)], plain_space(MODEL)) > 0.8


def test_templates_under_two_keys_refuse_to_compare() -> None:
    with pytest.raises(TemplateMismatchError):
        compare([transform(template(1), KEY)], [transform(template(1), NEW)], plain_space(MODEL))


def test_reissuing_revokes_the_old_key_and_needs_no_photograph() -> None:
    old = transform(template(1), KEY)
    renewed = reissue(old, KEY, NEW)
    assert renewed.key == NEW.id
    np.testing.assert_allclose(renewed.values, transform(template(1), NEW).values, atol=1e-6)
    with pytest.raises(TemplateMismatchError):
        reissue(renewed, KEY, NEW)
    with pytest.raises(TemplateMismatchError):
        transform(renewed, NEW)


@pytest.mark.parametrize("length", [1, 2, 128])
def test_the_transform_is_orthogonal(length: int) -> None:
    matrix = orthogonal(b"seed", length)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(length), atol=1e-12)
    np.testing.assert_array_equal(matrix, orthogonal(b"seed", length))
    assert length == 1 or not np.allclose(matrix, orthogonal(b"other", length))


def test_the_transform_of_a_key_never_changes() -> None:
    """Templates that sites have stored would be lost if it did."""
    np.testing.assert_allclose(orthogonal(KEY.derive(b"transform.0"), 128)[0, :3], PINNED_ROW, atol=1e-9)
    assert KEY.id == PINNED_ID


PINNED_ROW = (-0.023373427719, 0.005134115195, -0.083623275464)
PINNED_ID = "ca92167840005331"


def test_a_sealed_template_opens_for_its_person_and_key_alone() -> None:
    sealed = seal(template(1), KEY, "person-1")
    assert unseal(sealed, KEY, "person-1") == template(1)
    for key, person in ((KEY, "person-2"), (NEW, "person-1")):
        with pytest.raises(TemplateDamagedError):
            unseal(sealed, key, person)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_no_altered_byte_of_a_sealed_template_passes(data: st.DataObject) -> None:
    sealed = bytearray(seal(template(1), KEY, "person-1"))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(TemplateDamagedError):
        unseal(bytes(sealed), KEY, "person-1")


@given(st.binary(max_size=40))
def test_other_bytes_do_not_open(data: bytes) -> None:
    with pytest.raises(TemplateDamagedError):
        unseal(data, KEY, "person-1")


def test_sealing_twice_gives_different_bytes_that_hide_the_template() -> None:
    one, other = (seal(template(1), KEY, "person-1") for _ in range(2))
    assert one != other
    assert template(1).values.tobytes()[:16] not in one
    assert b"person-1" not in one


def test_a_key_file_is_its_owner_s_alone_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "key"
    made = new_key_file(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_key_file(path) == made
    with pytest.raises(TemplateKeyError, match="exists already"):
        new_key_file(path)
    path.chmod(0o644)
    with pytest.raises(TemplateKeyError, match="read by others"):
        read_key_file(path)
    with pytest.raises(TemplateKeyError, match="cannot be read"):
        read_key_file(tmp_path / "none")
    with pytest.raises(TemplateKeyError, match="32 bytes"):
        TemplateKey(b"short")


def test_a_key_does_not_print_itself() -> None:
    assert "kkk" not in repr(KEY)
    assert KEY.id != NO_KEY
