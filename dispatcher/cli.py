"""The command line: ``dispatcher serve``, ``check``, ``routes``, ``status``, ``reload``.

Exit codes: 0 all is well, 1 something is wrong with the site (printed to stderr), 2 the command line is wrong, 3 the
site is not being served.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import click
from rich.console import Console
from rich.table import Table

from dispatcher import (
    catalog,
    checks,
    compose,
    config,
    owner,
    reloading,
    routes,
    server,
    serversettings,
    starting,
    status,
)
from dispatcher.config import Config
from dispatcher.errors import DispatcherError, Problem
from dispatcher.routes import Route
from dispatcher.version import __version__

_SORT: Final = ("file", "path", "endpoint", "methods")

config_option = click.option(
    "-c",
    "--config",
    "file",
    type=click.Path(path_type=Path),
    default=None,
    help="The config file; else $DISPATCHER_CONFIG, else config.yaml.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="dispatcher")
def cli() -> None:
    """Several WSGI apps, one config.yaml, one gunicorn."""


@cli.command()
@config_option
@click.option("-b", "--bind", multiple=True, help="Listen here, HOST:PORT or unix:PATH; overrides server.bind.")
@click.option("-w", "--workers", type=click.IntRange(min=1), help="Worker processes; overrides server.workers.")
def serve(file: Path | None, bind: tuple[str, ...], workers: int | None) -> int:
    """Serve the site with gunicorn.

    \b
    dispatcher serve
    dispatcher serve --bind 127.0.0.1:9000 --workers 4
    """
    overrides = _listening_on(bind)
    if workers is not None:
        overrides["workers"] = workers
    server.Server(file, overrides).run()
    return 0


def _listening_on(bind: tuple[str, ...]) -> dict[str, Any]:
    """`--bind` as gunicorn's setting, under the same rules as in the file; paths start at the working directory."""
    settings, mistakes = serversettings.read_server({"bind": list(bind)} if bind else {}, root=Path.cwd())
    for mistake in mistakes or serversettings.find_obstacles(settings):
        raise click.BadParameter(mistake.what, param_hint="'--bind'")
    return settings


@cli.command()
@config_option
def check(file: Path | None) -> int:
    """Say everything about the site that can be known without serving it."""
    with _site(file) as site:
        problems = server.obstacles(site)
        texts, rest = _try(site)
        try:
            problems += checks.check(compose.build(rest)) if rest is not None else []
        except DispatcherError as error:
            problems += error.problems
    for text in texts:
        click.echo(text, err=True)
    for problem in sorted(problems, key=_line):
        click.echo(problem, err=True)
    if problems or texts:
        return 1
    click.echo(f"{site.file.name}: ok, {_count(len(site.mounts), 'mount')}")
    return 0


def _try(site: Config) -> tuple[Sequence[str], Config | None]:
    """What in the site would end this process as it is loaded here, or never end; and what is left without that."""
    found = starting.try_mounts(replace(site, strict=True))  # so that each app is waited for
    if found.fatal:
        return found.fatal, None
    bad = {key: failure for key, failure in found.failed.items() if failure.ends_process}
    rest = tuple(mount for mount in site.mounts if mount.key not in bad)
    texts = [text for failure in bad.values() for text in failure.problems]
    return texts, replace(site, mounts=rest) if rest or not bad else None


def _line(problem: Problem) -> int:
    return problem.place.line if problem.place else 0


@cli.command("routes")
@config_option
@click.option("--json", "as_json", is_flag=True, help="One JSON array of objects.")
@click.option("--mount", help="Only the routes of this mount, as it is written in the file.")
@click.option("--sort", type=click.Choice(_SORT), default="file", show_default=True, help="The order of the rows.")
def list_routes(file: Path | None, as_json: bool, mount: str | None, sort: str) -> int:
    """List every route of every app.

    \b
    dispatcher routes --mount /todos
    dispatcher routes --json | jq '.[].path'
    """
    with _site(file) as site:
        stack = compose.build(site)
        found = _sorted(_of_mount(stack, routes.list_routes(stack), mount), sort)
    if as_json:
        click.echo(json.dumps([asdict(route) for route in found], indent=2))
    else:
        _print_table(found)
    failed = [problem for one in stack.mounts if one.error is not None for problem in one.error.problems]
    for problem in failed:
        click.echo(problem, err=True)
    return 1 if failed else 0


@cli.command("status")
@config_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def show_status(file: Path | None, as_json: bool) -> int:
    """Say what the running server serves, and what it has not taken.

    Exit code 0: all workers serve what is on disk, every mount serves. 1: something is not so. 3: no server runs.
    """
    path = (file or server.config_file()).absolute()
    records = status.find(path)
    found = None if records is None else status.read(path, records)
    if found is None:
        return _not_served(path)
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=2))
    else:
        _print_status(found)
    return 1 if found.troubles() else 0


@cli.command("reload")
@config_option
@click.option("--wait", is_flag=True, help="Return when all workers are new, or say why they are not.")
def reload_site(file: Path | None, wait: bool) -> int:
    """Bring new code live: check the site, then have the server replace its workers.

    An edit of the config alone needs no command. Exit code 0: done, or asked for without --wait. 1: the site is wrong,
    or was not taken. 3: no server runs.
    """
    path = (file or server.config_file()).absolute()
    records = status.find(path)
    if records is None:
        return _not_served(path)
    problems = reloading.check(path, records)
    if not problems:
        problems = reloading.ask(path, records, wait=wait)
    for problem in problems:
        click.echo(problem, err=True)
    if not problems:
        click.echo("reloaded" if wait else f"asked the server (pid {records.master.pid}) to reload")
    return 1 if problems else 0


def _not_served(file: Path) -> int:
    click.echo(f"{file}: no server of this user serves it", err=True)
    return 3


def _print_status(found: status.Status) -> None:
    click.echo(f"{found.file}: {found.active}, for {_duration(found.age_seconds)}; server {found.master}")
    table = Table("worker", "serves", "for", box=None, pad_edge=False)
    for worker in found.workers:
        seconds = _duration(max(0.0, time.time() - worker.since)) if worker.is_alive else "gone"
        table.add_row(str(worker.pid), worker.digest, seconds)
    _echo_table(table)
    table = Table("mount", "state", "app", "reason", box=None, pad_edge=False)
    for mount in found.mounts:
        table.add_row(mount.key, mount.state, mount.app, mount.reason.partition("\n")[0])
    _echo_table(table)
    for line in (*found.troubles(), *(found.rejected.problems if found.rejected is not None else ())):
        click.echo(line)


def _duration(seconds: float) -> str:
    """The two largest of days, hours, minutes and seconds."""
    whole = int(seconds)
    parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "m"), (whole % 60, "s")]
    first = next((index for index, (number, _) in enumerate(parts) if number), len(parts) - 1)
    return " ".join(f"{number}{unit}" for number, unit in parts[first : first + 2])


@contextmanager
def _site(file: Path | None) -> Iterator[Config]:
    """The site to be built in this process, with the environment and, from root, the user that workers have. What is
    made in its runtime folder goes at the end, and what the apps print is kept out of the output."""
    with TemporaryDirectory(prefix="dispatcher-") as folder, redirect_stdout(sys.stderr):
        site = config.read(file or server.config_file(), options=catalog.OPTIONS, runtime_folder=Path(folder) / "site")
        os.environ.update(serversettings.environment(site.server))
        uid, gid, initgroups = serversettings.identity(site.server)
        if os.geteuid() == 0:
            os.chown(folder, uid, gid)
            owner.become(uid, gid, initgroups)
        yield site


def _of_mount(stack: compose.Stack, found: list[Route], mount: str | None) -> list[Route]:
    if mount is None:
        return found
    keys = [one.mount.key for one in stack.mounts]
    key = mount if mount in keys else mount.removesuffix("/")
    if key not in keys:
        raise click.BadParameter(f"no mount {mount!r}; there are {', '.join(keys)}", param_hint="'--mount'")
    return [route for route in found if route.mount == key]


def _sorted(found: list[Route], sort: str) -> list[Route]:
    return found if sort == "file" else sorted(found, key=lambda route: (getattr(route, sort), route.path))


def _print_table(found: Sequence[Route]) -> None:
    table = Table("path", "methods", "endpoint", "mount", "app", box=None, pad_edge=False)
    for route in found:
        table.add_row(route.path, ",".join(route.methods), route.endpoint, route.mount, route.app)
    _echo_table(table)


def _echo_table(table: Table) -> None:
    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        console.width = 10_000  # piped: no line is ever cut
    with console.capture() as printed:
        console.print(table)
    for line in printed.get().splitlines():
        click.echo(line.rstrip())


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def main() -> None:
    """The one edge where errors become text and an exit code."""
    try:
        code = cli(standalone_mode=False)
    except DispatcherError as error:
        click.echo(error, err=True)
        code = 1
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except click.Abort:
        code = 130
    sys.exit(code)
