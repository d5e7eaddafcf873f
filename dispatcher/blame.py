"""Whose is an exception that came out of an app's code: the app's, or the server's, which was at work inside of it?"""

from __future__ import annotations

import signal
import threading
from typing import Final

_SERVERS: Final = frozenset({"gunicorn", "waitress", "greenlet"})  # greenlet: GreenletExit, how gevent ends a worker


def is_servers(error: BaseException) -> bool:
    """Whether the server raised `error`: for a request that it cannot read on, a response that it cannot send, or to
    end its worker (which gunicorn's signal handlers do in the middle of the app's code); or a person at the keyboard.
    """
    raised_in, raised_as = _module_of_last_frame(error), type(error).__module__
    return bool({raised_in.partition(".")[0], raised_as.partition(".")[0]} & _SERVERS) or _is_ctrl_c(error)


def _module_of_last_frame(error: BaseException) -> str:
    frame = error.__traceback__
    if frame is None:
        return ""
    while frame.tb_next is not None:
        frame = frame.tb_next
    name: str = frame.tb_frame.f_globals.get("__name__", "")
    return name


def _is_ctrl_c(error: BaseException) -> bool:
    """Whether it is Python's own Ctrl-C, in a process that leaves that as it is: it ends the process."""
    return (
        isinstance(error, KeyboardInterrupt)
        and threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
