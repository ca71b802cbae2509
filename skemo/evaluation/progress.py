"""A bar with the remaining time, on the standard error stream."""

import contextlib
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def progress_bar(
    description: str, total: int, completed: int = 0, drawn: bool = True
) -> Iterator[Callable[[], None]]:
    """Draw a bar while the context lasts, and give the function that advances it by one.

    Parameters
    ----------
    description : str
        What stands before the bar.
    total : int
        Number of steps.
    completed : int, default=0
        How many were done before; they say nothing of the time that the others take.
    drawn : bool, default=True
        False draws nothing.
    """
    if not drawn:
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(description, total=total, completed=completed)
        yield lambda: bar.advance(task)
