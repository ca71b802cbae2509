"""A progress bar with the remaining time, on the standard error stream."""

import contextlib
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def progress_bar(
    description: str, total: int, completed: int = 0, drawn: bool = True
) -> Iterator[Callable[[], None]]:
    """Draw a progress bar as a context manager, which gives a function that advances it by one.

    Parameters
    ----------
    description : str
        Text before the bar.
    total : int
        Number of steps.
    completed : int, default=0
        Number of steps already done, which the remaining time is not estimated from.
    drawn : bool, default=True
        Whether to draw the bar.
    """
    if not drawn:
        yield lambda: None
        return
    from rich.console import Console
    from rich.markup import escape
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
        task = bar.add_task(escape(description), total=total, completed=completed)
        yield lambda: bar.advance(task)
