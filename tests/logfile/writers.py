"""Run as a program: several processes and threads that write numbered records of 100 bytes to one log.

    python -m tests.logfile.writers PATH '{"processes": 4, "threads": 1, "records": 1000, "preload": false,
                                           "acknowledge": false, "batched": false, "pack": false,
                                           "log": {LogFile options}}'

Prints the process ids, one on a line. With `acknowledge`, each process notes a record in PATH.ID.ack after its write
returned: the ids there are those that must be in the log, whatever happened to the process.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import sys
import threading
from pathlib import Path
from typing import Any

from dispatcher.logfile import BatchedLog, LogFile
from dispatcher.logfile import compression as _compression
from tests.logfile.records import record


def pack(source: str, target: str) -> None:
    """A rotator that copies: the one of Python's logging cookbook."""
    with Path(source).open("rb") as file, gzip.open(target, "wb") as packed:
        shutil.copyfileobj(file, packed)
    Path(source).unlink()


def main(path: str, options: dict[str, Any]) -> None:
    if options.get("pack"):
        options["log"] |= {"name": "{}.gz".format, "move": pack}
    log = LogFile(path, **options["log"])
    if options.get("preload"):
        log.write(record(0))
    children = []
    for process in range(options["processes"]):
        child = os.fork()
        if child == 0:
            write(log if options.get("preload") else LogFile(path, **options["log"]), path, process, options)
        children.append(child)
    print(*children, sep="\n", flush=True)
    for child in children:
        os.waitpid(child, 0)


def write(log: LogFile, path: str, process: int, options: dict[str, Any]) -> None:
    target = BatchedLog(log, seconds=0.01) if options.get("batched") else log
    acknowledgements = (
        os.open(f"{path}.{process}.ack", os.O_WRONLY | os.O_CREAT) if options.get("acknowledge") else None
    )
    threads, count = options.get("threads", 1), options["records"]

    def run(thread: int) -> None:
        begin = 1 + (process * threads + thread) * count
        for number in range(begin, begin + count):
            target.write(record(number))
            if acknowledgements is not None:
                os.write(acknowledgements, f"{number}\n".encode())

    running = [threading.Thread(target=run, args=(thread,)) for thread in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    target.close()
    while _compression._running:
        threading.Event().wait(0.01)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
