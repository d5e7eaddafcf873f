"""A log file that any number of processes and threads may write, and that is rotated without losing a record.

`LogFile` takes records as bytes, `BatchedLog` collects them first; `dispatcher.rotation` makes `logging` handlers of
them. Nothing in here knows of config, middleware or requests.
"""

from __future__ import annotations

from dispatcher.logfile.appending import LogFile
from dispatcher.logfile.batching import BatchedLog

__all__ = ["BatchedLog", "LogFile"]
