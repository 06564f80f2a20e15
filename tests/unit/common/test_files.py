"""A file is whole or not there, its owner's alone, and leaves nothing beside it, whatever the disk does."""

import errno
import os
import stat

import pytest

from renzheng.common.files import put, shred, sync, sync_all, write_new, write_whole


@pytest.fixture
def no_mask():
    before = os.umask(0)
    yield
    os.umask(before)


def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def no_links(*_):
    raise PermissionError(errno.EPERM, "Operation not permitted")


def test_a_file_takes_the_place_of_the_one_before(tmp_path):
    path = tmp_path / "not yet there" / "one.json"
    write_whole(path, b"first")
    held = path.open("rb")
    write_whole(path, b"second")
    with held:
        assert held.read() == b"first", "who reads the old one goes on reading it"
    assert path.read_bytes() == b"second"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("step", ["fsync", "fchmod"])
def test_a_full_disk_leaves_what_was_there_and_nothing_beside_it(tmp_path, monkeypatch, step):
    path = tmp_path / "one.json"
    write_whole(path, b"first")
    monkeypatch.setattr(os, step, full)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, b"second", mode=0o640)
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_what_may_be_lost_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", full)
    write_whole(tmp_path / "crop", b"x", synced=False)
    assert (tmp_path / "crop").read_bytes() == b"x"


@pytest.mark.usefixtures("no_mask")
def test_a_file_is_its_owners_alone_unless_another_right_is_named(tmp_path):
    write_whole(tmp_path / "secret", b"x")
    write_new(tmp_path / "new", b"x")
    os.umask(0o077)
    write_whole(tmp_path / "group", b"x", mode=0o640)
    modes = {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in tmp_path.iterdir()}
    assert modes == {"secret": "0o600", "new": "0o600", "group": "0o640"}


@pytest.mark.parametrize("link", [os.link, no_links])
def test_a_new_file_replaces_none(tmp_path, monkeypatch, link):
    monkeypatch.setattr(os, "link", link)
    path = tmp_path / "device.key.pem"
    write_new(path, b"first")
    with pytest.raises(FileExistsError):
        write_new(path, b"second")
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_of_two_that_make_one_new_file_the_second_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "device.key.pem"
    real = os.link

    def overtaken(source, target):
        monkeypatch.setattr(os, "link", real)
        write_new(path, b"the other's")
        real(source, target)

    monkeypatch.setattr(os, "link", overtaken)
    with pytest.raises(FileExistsError):
        write_new(path, b"mine")
    assert path.read_bytes() == b"the other's"
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_that_the_disk_refuses_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_new(tmp_path / "key", b"x")
    assert list(tmp_path.iterdir()) == []


def test_a_finished_folder_gets_its_name_once_it_is_on_the_disk(tmp_path, monkeypatch):
    made = tmp_path / ".making"
    (made / "data").mkdir(parents=True)
    (made / "data" / "one").write_bytes(b"x")
    synced, real = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (synced.append(os.fstat(handle).st_ino), real(handle)))
    wanted = {path.stat().st_ino for path in (made, made / "data", made / "data" / "one")}
    sync_all(made)
    assert set(synced) == wanted
    put(made, tmp_path / "done")
    assert synced[-1] == tmp_path.stat().st_ino, "its name is on the disk too"
    assert (tmp_path / "done" / "data" / "one").read_bytes() == b"x"
    assert not made.exists()


def test_a_folder_of_a_share_that_syncs_none_is_passed_over_and_a_file_is_not(tmp_path, monkeypatch):
    def refused(_):
        raise OSError(errno.EINVAL, "Invalid argument")

    (tmp_path / "one").touch()
    monkeypatch.setattr(os, "fsync", refused)
    sync(tmp_path)
    with pytest.raises(OSError, match="Invalid"):
        sync(tmp_path / "one")


def test_a_shredded_file_is_zeros_on_the_disk_and_gone(tmp_path):
    path, other = tmp_path / "key", tmp_path / "another name of the same bytes"
    path.write_bytes(b"secret")
    os.link(path, other)
    shred(path)
    shred(path)
    assert not path.exists()
    assert other.read_bytes() == bytes(6)
