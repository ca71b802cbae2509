"""Files that are never left half written if a program is interrupted."""

import os
import uuid
from pathlib import Path


def make_folder(folder: Path) -> None:
    """Create a folder unless it exists; the error of a failure says what to do about it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _with_remedy(error, "Choose another folder; could not create", folder) from error


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
        remedy = "Free some space or choose another folder; could not write"
        raise _with_remedy(error, remedy, path) from error
    except UnicodeEncodeError as error:
        raise ValueError(f"Files cannot be called {str(path)!r}: choose another name.") from error


def _with_remedy(error, remedy, path):
    return OSError(error.errno, f"{error.strerror}. {remedy}", str(path))
