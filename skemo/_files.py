"""Files that are whole or not there, whenever a run is ended."""

import os
import uuid


def write_whole(path, text):
    """Write a text file beside its place, and then put it there.

    Parameters
    ----------
    path : pathlib.Path
        Its folder is made if there is none.
    text : str
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem}-{uuid.uuid4().hex}.part")
    try:
        with open(part, "x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
