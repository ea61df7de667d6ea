"""How far long work has come, for whoever sits at a terminal and would see nothing else."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress as Bar

from chatbot_erp.eventstore.walk import Progress


@contextmanager
def progress(what: str, *, hidden: bool) -> Iterator[Progress]:
    """A bar on stderr while the block runs; nothing where that is no terminal, or `hidden`.

    Call what it gives with how much is done and how much there is in all. Before that the bar only moves.
    """
    # What the block prints belongs on stdout, also where that is a file.
    with Bar(
        console=Console(stderr=True), transient=True, redirect_stdout=False, disable=hidden or not sys.stderr.isatty()
    ) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
