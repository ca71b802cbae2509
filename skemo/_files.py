"""Files that are never left half written if a program is interrupted."""

import errno
import os
import uuid
from pathlib import Path

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def make_folder(folder: Path) -> None:
    """Create a folder unless it exists; if that fails, the error says what to do."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise with_remedy(error, "Could not create the folder", folder) from error


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file under a temporary name in the same folder, then rename it.

    Parameters
    ----------
    path : pathlib.Path
        Where to write; the folder is created if missing.
    content : str or bytes
        Text is written in UTF-8. What UTF-8 cannot represent, such as a byte of a file name that
        is not valid text, is written as an escape sequence.

    Raises
    ------
    OSError
        If the folder cannot be created or the file cannot be written; `path` and the old file
        there, if any, are as before.
    """
    if isinstance(content, str):
        content = content.encode("utf-8", "backslashreplace")
    part = path.with_name(f".{path.stem}-{uuid.uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(part, "xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise with_remedy(error, "Could not write", path) from error
    except UnicodeEncodeError as error:
        raise ValueError(f"Files cannot be called {str(path)!r}: choose another name.") from error


def with_remedy(error: OSError, problem: str, path: Path) -> OSError:
    """Return an error of the same kind that says what failed, and what to do.

    Parameters
    ----------
    error : OSError
    problem : str
        What could not be done to the file or folder.
    path : pathlib.Path
        The file or folder that the caller asked for.
    """
    remedy = "Choose another folder"
    if error.errno in _FULL:
        remedy = "Free some space or choose another folder"
    elif os.path.isdir(path):
        remedy = "Add the name of a file"
    return OSError(error.errno, f"{problem}: {error.strerror}. {remedy}", str(path))
