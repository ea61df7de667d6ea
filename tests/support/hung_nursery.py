"""A nursery of socket hosts that hangs while it loads, as one does for a while on a machine that has no time for it."""

from pathlib import Path


def hang_nurseries(directory: Path) -> Path:
    """The first nursery that has this directory in its `PYTHONPATH` hangs from its first line on, for three minutes.

    The file that this returns is written by it then, with its process id.
    """
    loading = directory / "loading"
    (directory / "sitecustomize.py").write_text(
        f"""
import os, sys, time
if "chatbot_erp.actors.host_nursery" in sys.orig_argv:
    try:
        file = open({str(loading)!r}, "x")
    except FileExistsError:
        pass
    else:
        with file:
            file.write(str(os.getpid()))
        time.sleep(180)
"""
    )
    return loading
