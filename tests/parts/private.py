"""What others than the owner may do with a folder's files."""

import stat


def open_to_others(folder, allowed=()):
    """Return the files and folders in here that others may read, write or enter, with their modes."""
    return {
        str(path.relative_to(folder)): oct(mode)
        for path in sorted(folder.rglob("*"))
        if not path.is_symlink()
        and not path.is_socket()
        and path.name not in allowed
        and (mode := stat.S_IMODE(path.stat().st_mode)) & 0o077
    }
