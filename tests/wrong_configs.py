"""Config files that are wrong, and what is said of each; config files that mean harm."""

# ruff: noqa: E501  # a message stands on one line, as it is printed

from __future__ import annotations

from typing import Final

# name, text of the file, first line of the one problem in it
WRONG: Final = [
    (
        "unknown section",
        "loging: {}\n",
        "config.yaml:1:1: loging: unknown key, did you mean 'logging'?",
    ),
    (
        "unknown section far from any",
        "colour: red\n",
        "config.yaml:1:1: colour: unknown key; known are load_timeout, logging, middleware, mounts, reload, server, strict",
    ),
    (
        "section in the wrong case",
        "Mounts: {}\n",
        "config.yaml:1:1: Mounts: unknown key, did you mean 'mounts'?",
    ),
    (
        "strict is text",
        "strict: no\n",
        "config.yaml:1:9: strict: expected true or false, got 'no'; write false",
    ),
    (
        "strict is a number",
        "strict: 1\n",
        "config.yaml:1:9: strict: expected true or false, got 1",
    ),
    (
        "server is a list",
        "server: [bind]\n",
        "config.yaml:1:9: server: expected a mapping, got a list; write lines of 'key: value' without '- '",
    ),
    (
        "server is text",
        "server: gunicorn\n",
        "config.yaml:1:9: server: expected a mapping, got 'gunicorn'",
    ),
    (
        "mounts is a list",
        "mounts:\n  - /: a:b\n",
        "config.yaml:2:3: mounts: expected a mapping, got a list; write lines of 'key: value' without '- '",
    ),
    (
        "middleware is a mapping",
        "middleware:\n  request_id: {}\n",
        "config.yaml:2:3: middleware: expected a list, got a mapping; write '- ' before each entry",
    ),
    (
        "middleware is text",
        "middleware: request_id\n",
        "config.yaml:1:13: middleware: expected a list, got 'request_id'; write [request_id]",
    ),
    (
        "extension with an underscore",
        "x_common: {}\n",
        "config.yaml:1:1: x_common: unknown key; known are load_timeout, logging, middleware, mounts, reload, server, strict",
    ),
    (
        "setting misspelled",
        "server:\n  worker: 2\n",
        "config.yaml:2:3: server.worker: no setting of gunicorn, did you mean 'workers'?",
    ),
    (
        "setting far from any",
        "server:\n  colour: red\n",
        "config.yaml:2:3: server.colour: no setting of gunicorn; see https://gunicorn.org/reference/settings/",
    ),
    (
        "setting is text for a number",
        "server:\n  workers: two\n",
        "config.yaml:2:12: server.workers: expected a whole number, got 'two'",
    ),
    (
        "setting is a quoted number",
        "server:\n  workers: '2'\n",
        "config.yaml:2:12: server.workers: expected a whole number, got '2'; write it without quotes",
    ),
    (
        "setting is a fraction",
        "server:\n  threads: 1.5\n",
        "config.yaml:2:12: server.threads: expected a whole number, got 1.5",
    ),
    (
        "setting is true for a number",
        "server:\n  threads: true\n",
        "config.yaml:2:12: server.threads: expected a whole number, got true",
    ),
    (
        "setting is negative",
        "server:\n  workers: -1\n",
        "config.yaml:2:12: server.workers: expected 0 or more, got -1",
    ),
    (
        "setting is empty",
        "server:\n  workers:\n",
        "config.yaml:2:3: server.workers: no value; write one, or remove the line to keep gunicorn's own",
    ),
    (
        "setting is text for true",
        "server:\n  daemon: yes\n",
        "config.yaml:2:11: server.daemon: expected true or false, got 'yes'; write true",
    ),
    (
        "octal of YAML 1.1",
        "server:\n  umask: 022\n",
        "config.yaml:2:10: server.umask: expected a whole number, got '022'; an octal number is written 0o22",
    ),
    (
        "bind is a port",
        "server:\n  bind: 8000\n",
        "config.yaml:2:9: server.bind: a port stands after its host, write 127.0.0.1:8000",
    ),
    (
        "bind is a quoted port",
        "server:\n  bind: '8000'\n",
        "config.yaml:2:9: server.bind: a port stands after its host, write 127.0.0.1:8000",
    ),
    (
        "bind with a port out of range",
        "server:\n  bind: 127.0.0.1:80000\n",
        "config.yaml:2:9: server.bind: the port of '127.0.0.1:80000' is out of range; write one up to 65535",
    ),
    (
        "bind with a port of letters",
        "server:\n  bind: localhost:http\n",
        "config.yaml:2:9: server.bind: 'localhost:http' is no address; write one such as 127.0.0.1:8000 or unix:run/site.sock",
    ),
    (
        "bind with a list of numbers",
        "server:\n  bind: [8000, 8001]\n",
        "config.yaml:2:9: server.bind: expected text or a list of texts, got a list",
    ),
    (
        "bind is empty text",
        "server:\n  bind: ''\n",
        "config.yaml:2:9: server.bind: '' is no address; write one such as 127.0.0.1:8000 or unix:run/site.sock",
    ),
    (
        "text setting is a number",
        "server:\n  proc_name: 5\n",
        "config.yaml:2:14: server.proc_name: expected text, got 5; put it in quotes",
    ),
    (
        "setting that gunicorn refuses",
        "server:\n  forwarded_allow_ips: 10.0.0.1/8\n",
        "config.yaml:2:24: server.forwarded_allow_ips: gunicorn does not take it: 10.0.0.1/8 has host bits set",
    ),
    (
        "unknown user",
        "server:\n  user: no-such-user-here\n",
        "config.yaml:2:9: server.user: gunicorn does not take it: No such user: 'no-such-user-here'",
    ),
    (
        "folder that is not there",
        "server:\n  chdir: nowhere\n",
        "config.yaml:2:10: server.chdir: gunicorn does not take it: can't chdir to '<folder>/nowhere'",
    ),
    (
        "hook",
        "server:\n  post_fork: my.module.hook\n",
        "config.yaml:2:3: server.post_fork: a hook is code and cannot stand in YAML, write it into gunicorn.conf.py",
    ),
    (
        "gunicorn's own config",
        "server:\n  config: other.py\n",
        "config.yaml:2:3: server.config: this file is the configuration, remove this line",
    ),
    (
        "gunicorn's own app",
        "server:\n  wsgi_app: a:b\n",
        "config.yaml:2:3: server.wsgi_app: the app is made from 'mounts:', remove this line",
    ),
    (
        "gunicorn's own reload",
        "server:\n  reload: true\n",
        "config.yaml:2:3: server.reload: edits of this file go live by 'reload:' at its top level, remove this line",
    ),
    (
        "gunicorn's pythonpath",
        "server:\n  pythonpath: lib\n",
        "config.yaml:2:3: server.pythonpath: code is found in the folder of this file; put it there, or set PYTHONPATH",
    ),
    (
        "gunicorn's check",
        "server:\n  check_config: true\n",
        "config.yaml:2:3: server.check_config: run 'dispatcher check' instead",
    ),
    (
        "reload is a number",
        "reload: 5\n",
        "config.yaml:1:9: reload: expected {watch: 500ms}, or true or false",
    ),
    (
        "reload is text",
        "reload: 500ms\n",
        "config.yaml:1:9: reload: expected {watch: 500ms}, or true or false",
    ),
    (
        "space missing after a colon",
        "server:\n  bind:127.0.0.1:8000\n",
        "config.yaml:2:3: server: expected a mapping, got 'bind:127.0.0.1:8000'; write a space after the colon",
    ),
    (
        "reload with a misspelled key",
        "reload: {wach: 1s}\n",
        "config.yaml:1:10: reload.wach: unknown key, did you mean 'watch'?",
    ),
    (
        "watch without a unit that is known",
        "reload: {watch: 5 fortnights}\n",
        "config.yaml:1:17: reload.watch: expected a duration such as 250ms, 10s, 5m, 1h or a number of seconds",
    ),
    (
        "watch is zero",
        "reload: {watch: 0s}\n",
        "config.yaml:1:17: reload.watch: expected more than 0, got '0s'",
    ),
    (
        "watch is infinite",
        "reload: {watch: .inf}\n",
        "config.yaml:1:17: reload.watch: '.inf' is no finite number; write a number, or put it in quotes if text is meant",
    ),
    (
        "logging is a list",
        "logging: [INFO]\n",
        "config.yaml:1:10: logging: expected a mapping, got a list; write lines of 'key: value' without '- '",
    ),
    (
        "level misspelled",
        "logging: {level: WARN}\n",
        "config.yaml:1:18: logging.level: expected 'DEBUG', 'INFO', 'WARNING', 'ERROR' or 'CRITICAL', got 'WARN', did you mean 'WARNING'?",
    ),
    (
        "level is a number",
        "logging: {level: 20}\n",
        "config.yaml:1:18: logging.level: expected 'DEBUG', 'INFO', 'WARNING', 'ERROR' or 'CRITICAL', got 20",
    ),
    (
        "size with a wrong unit",
        "logging: {max_bytes: 50MX}\n",
        "config.yaml:1:22: logging.max_bytes: expected a size such as 50MB, 64KiB or a number of bytes",
    ),
    (
        "size is negative",
        "logging: {max_bytes: -1}\n",
        "config.yaml:1:22: logging.max_bytes: expected a size such as 50MB, 64KiB or a number of bytes",
    ),
    (
        "size of half a byte",
        "logging: {max_bytes: 0.5}\n",
        "config.yaml:1:22: logging.max_bytes: expected a size such as 50MB, 64KiB or a number of bytes",
    ),
    (
        "backups is negative",
        "logging: {backups: -1}\n",
        "config.yaml:1:20: logging.backups: expected 0 or more, got -1",
    ),
    (
        "backups is text",
        "logging: {backups: many}\n",
        "config.yaml:1:20: logging.backups: expected a whole number, got 'many'",
    ),
    (
        "file is a number",
        "logging: {file: 5}\n",
        "config.yaml:1:17: logging.file: expected a path such as logs/app.log",
    ),
    (
        "file is a list",
        "logging: {file: [a.log]}\n",
        "config.yaml:1:17: logging.file: expected a path such as logs/app.log",
    ),
    (
        "file below an unknown home",
        "logging: {file: ~nobody-at-all/app.log}\n",
        "config.yaml:1:17: logging.file: no home folder is known for '~nobody-at-all', write the whole path",
    ),
    (
        "when is unknown",
        "logging: {when: nightly}\n",
        "config.yaml:1:17: logging.when: expected midnight, S, M, H, D, or W0 (Monday) to W6",
    ),
    (
        "at is no time",
        "logging: {when: midnight, at: '25:00'}\n",
        "config.yaml:1:31: logging.at: expected a time of day such as 03:30, got '25:00'",
    ),
    (
        "at is a number",
        "logging: {when: midnight, at: 3}\n",
        "config.yaml:1:31: logging.at: expected a time of day such as 03:30, got 3",
    ),
    (
        "at without a day",
        "logging: {at: 03:30}\n",
        "config.yaml:1:15: logging.at: a time of day goes with 'when: midnight' or W0 to W6, write one of them",
    ),
    (
        "at with hours",
        "logging: {when: H, at: 03:30}\n",
        "config.yaml:1:24: logging.at: a time of day goes with 'when: midnight' or W0 to W6, write one of them",
    ),
    (
        "compress with another format",
        "logging: {compress: zip}\n",
        "config.yaml:1:21: logging.compress: expected 'gzip', got 'zip', did you mean 'gzip'?",
    ),
    (
        "console is text",
        "logging: {console: off}\n",
        "config.yaml:1:20: logging.console: expected true or false, got 'off'; write false",
    ),
    (
        "format in braces",
        "logging: {format: '{message}'}\n",
        "config.yaml:1:19: logging.format: no format of log records, write one such as '%(levelname)s %(message)s'",
    ),
    (
        "format with an unknown field",
        "logging: {format: '%(mesage)s'}\n",
        "config.yaml:1:19: logging.format: a record has no field 'mesage', did you mean 'message'?",
    ),
    (
        "format is empty",
        "logging: {format: ''}\n",
        "config.yaml:1:19: logging.format: no format of log records, write one such as '%(levelname)s %(message)s'",
    ),
    (
        "middleware misspelled",
        "middleware:\n  - rate_limt\n",
        "config.yaml:2:5: middleware.rate_limt: unknown middleware, did you mean 'rate_limit'?",
    ),
    (
        "middleware with a dash",
        "middleware:\n  - rate-limit: {limits: [a]}\n",
        "config.yaml:2:5: middleware.rate-limit: unknown middleware, did you mean 'rate_limit'?",
    ),
    (
        "middleware of another world",
        "middleware:\n  - gzip\n",
        "config.yaml:2:5: middleware.gzip: unknown middleware; known are rate_limit, static, or name a class of yours as 'package.module:Class'",
    ),
    (
        "middleware is a number",
        "middleware:\n  - 5\n",
        "config.yaml:2:5: middleware[1]: expected a name such as request_id, or a name with options below it",
    ),
    (
        "middleware is empty",
        "middleware:\n  -\n",
        "config.yaml:2:4: middleware[1]: expected a name such as request_id, or a name with options below it",
    ),
    (
        "middleware is a list",
        "middleware:\n  - [static]\n",
        "config.yaml:2:5: middleware[1]: expected a name such as request_id, or a name with options below it",
    ),
    (
        "options not indented",
        "middleware:\n  - static:\n    root: s\n",
        "config.yaml:3:5: middleware.static.root: an entry has one name, got 'static' and 'root'; indent the options below 'static:'",
    ),
    (
        "options are a list",
        "middleware:\n  - static: [root]\n",
        "config.yaml:2:13: middleware.static: expected options as a mapping, got a list",
    ),
    (
        "options are text",
        "middleware:\n  - static: root\n",
        "config.yaml:2:13: middleware.static: expected options as a mapping, got 'root'",
    ),
    (
        "option misspelled",
        "middleware:\n  - static: {rot: s}\n",
        "config.yaml:2:14: middleware.static.rot: unknown key, did you mean 'root'?",
    ),
    (
        "option missing",
        "middleware:\n  - rate_limit\n",
        "config.yaml:2:5: middleware.rate_limit.limits: missing, write 'limits: …'",
    ),
    (
        "option of the wrong type",
        "middleware:\n  - rate_limit: {limits: 5/second}\n",
        "config.yaml:2:26: middleware.rate_limit.limits: expected a list, got '5/second'; write [5/second]",
    ),
    (
        "option in a list is wrong",
        "middleware:\n  - rate_limit: {limits: [5/second, often]}\n",
        "config.yaml:2:37: middleware.rate_limit.limits[2]: expected a rate such as 5/second",
    ),
    (
        "the second of two of a name",
        "middleware:\n  - rate_limit: {limits: [5/second]}\n  - static\n  - rate_limit: {limits: []}\n",
        "config.yaml:4:26: middleware.rate_limit[2].limits: expected 1 or more entries, got 0",
    ),
    (
        "import string of a middleware",
        "middleware:\n  - 'my-package:Class'\n",
        "config.yaml:2:5: middleware.my-package:Class: module 'my-package' holds 'my-package', which is no Python name",
    ),
    (
        "mount without an app",
        "mounts:\n  /: {}\n",
        "config.yaml:2:3: mounts./.app: missing, write 'app: …'",
    ),
    (
        "mount is empty",
        "mounts:\n  /:\n",
        "config.yaml:2:3: mounts./: expected an app as 'package.module:attribute', or 'app:' and more below it, got nothing",
    ),
    (
        "mount is a number",
        "mounts:\n  /: 5\n",
        "config.yaml:2:6: mounts./: expected an app as 'package.module:attribute', or 'app:' and more below it, got 5",
    ),
    (
        "mount is a list",
        "mounts:\n  /: [a:b]\n",
        "config.yaml:2:6: mounts./: expected an app as 'package.module:attribute', or 'app:' and more below it, got a list",
    ),
    (
        "app is a number",
        "mounts:\n  /: {app: 5}\n",
        "config.yaml:2:12: mounts./.app: expected text, got 5; put it in quotes",
    ),
    (
        "app is a file",
        "mounts:\n  /: apps/home.py\n",
        "config.yaml:2:6: mounts./: 'apps/home.py' is a file, write the module with dots: 'apps.home:app'",
    ),
    (
        "app without an attribute",
        "mounts:\n  /:\n    app: apps.home.create_app\n",
        "config.yaml:3:10: mounts./.app: 'apps.home.create_app' names no attribute, write 'apps.home:create_app'",
    ),
    (
        "app that runs code",
        "mounts:\n  /: a:b(open('x'))\n",
        "config.yaml:2:6: mounts./: \"open('x')\" is no literal, arguments are quoted text, numbers, True, False, None, lists or dicts",
    ),
    (
        "mount key misspelled",
        "mounts:\n  /todos:\n    app: a:b\n    midleware: []\n",
        "config.yaml:4:5: mounts./todos.midleware: unknown key, did you mean 'middleware'?",
    ),
    (
        "args is a list",
        "mounts:\n  /: {app: a:b, args: [1]}\n",
        "config.yaml:2:23: mounts./.args: expected a mapping, got a list; write lines of 'key: value' without '- '",
    ),
    (
        "factory is text",
        "mounts:\n  /: {app: a:b, factory: yes}\n",
        "config.yaml:2:26: mounts./.factory: expected true or false, got 'yes'; write true",
    ),
    (
        "static is a path",
        "mounts:\n  /: {app: a:b, static: /static}\n",
        "config.yaml:2:25: mounts./.static: expected true or false, got '/static'",
    ),
    (
        "mount's middleware misspelled",
        "mounts:\n  /: {app: a:b, middleware: [statik]}\n",
        "config.yaml:2:30: mounts./.middleware.statik: unknown middleware, did you mean 'static'?",
    ),
    (
        "mount's middleware option",
        "mounts:\n  /x:\n    app: a:b\n    middleware:\n      - rate_limit: {limits: [x]}\n",
        "config.yaml:5:31: mounts./x.middleware.rate_limit.limits[1]: expected a rate such as 5/second",
    ),
    (
        "key without a slash",
        "mounts:\n  todos: a:b\n",
        "config.yaml:2:3: mounts.todos: a prefix starts with a slash, write '/todos'",
    ),
    (
        "key is a number",
        "mounts:\n  8000: a:b\n",
        "config.yaml:2:3: mounts: a key is text, and '8000' means a number; put it in quotes",
    ),
    (
        "key twice",
        "mounts:\n  /a: a:b\n  /a: a:c\n",
        "config.yaml:3:3: mounts./a: the same key as in line 2; keep one of them",
    ),
    (
        "key twice after normalisation",
        "mounts:\n  /a: a:b\n  /a/: a:c\n",
        "config.yaml:3:3: mounts./a/: the same mount as '/a' in line 2; keep one of them",
    ),
    (
        "host twice after normalisation",
        "mounts:\n  example.com/: a:b\n  EXAMPLE.com./: a:c\n",
        "config.yaml:3:3: mounts.EXAMPLE.com./: the same mount as 'example.com/' in line 2; keep one of them",
    ),
    (
        "not a number",
        "mounts:\n  /: {app: a:b, config: {X: .nan}}\n",
        "config.yaml:2:29: mounts./.config.X: '.nan' is no finite number; write a number, or put it in quotes if text is meant",
    ),
    (
        "a number beyond 64 bits",
        "mounts:\n  /: {app: a:b, config: {X: 9223372036854775808}}\n",
        "config.yaml:2:29: mounts./.config.X: this number does not fit into 64 bits; write a smaller one, or put it in quotes if text is meant",
    ),
    (
        "a number beyond all",
        "mounts:\n  /: {app: a:b, config: {X: 1e999}}\n",
        "config.yaml:2:29: mounts./.config.X: this number is too large; write a smaller one, or put it in quotes if text is meant",
    ),
    (
        "key is nothing",
        "mounts:\n  /: {app: a:b, config: {~: 1}}\n",
        "config.yaml:2:26: mounts./.config: a key is text, and '~' means nothing; put it in quotes",
    ),
    (
        "key is true",
        "mounts:\n  /: {app: a:b, config: {true: 1}}\n",
        "config.yaml:2:26: mounts./.config: a key is text, and 'true' means true or false; put it in quotes",
    ),
    (
        "key is a list",
        "mounts:\n  /: {app: a:b, config: {[1]: 1}}\n",
        "config.yaml:2:26: mounts./.config: a key is text; put text that starts with '[', '{' or '!' in quotes",
    ),
    (
        "braces of a template",
        "mounts:\n  /: {app: a:b, config: {X: {{ x }}}}\n",
        "config.yaml:2:30: mounts./.config.X: a key is text; put text that starts with '[', '{' or '!' in quotes",
    ),
    (
        "tag",
        "mounts:\n  /: {app: a:b, config: {X: !secret x}}\n",
        "config.yaml:2:29: mounts./.config.X: tags are not read here; remove it, or put text that starts with '!' in quotes",
    ),
    (
        "tag of Python",
        "mounts:\n  /: {app: a:b, config: {X: !!python/name:os.system ''}}\n",
        "config.yaml:2:29: mounts./.config.X: tags are not read here; remove it, or put text that starts with '!' in quotes",
    ),
    (
        "merge of text",
        "mounts:\n  /: {app: a:b, config: {<<: x}}\n",
        "config.yaml:2:30: mounts./.config: '<<' takes a mapping or a list of mappings, such as '<<: *defaults'",
    ),
    (
        "duplicate key beside a merge",
        "x-a: &a {X: 1}\nmounts:\n  /: {app: a:b, config: {<<: *a, Y: 1, Y: 2}}\n",
        "config.yaml:3:40: mounts./.config.Y: the same key as in line 3; keep one of them",
    ),
    (
        "variable not set",
        "mounts:\n  /: ${NOT_SET}\n",
        "config.yaml:2:6: mounts./: the variable 'NOT_SET' is not set; set it, or write ${NOT_SET:-default}",
    ),
    (
        "variable empty",
        "mounts:\n  /: ${EMPTY:?name the app}\n",
        "config.yaml:2:6: mounts./: the variable 'EMPTY' is empty: name the app",
    ),
    (
        "variable with its own message",
        "mounts:\n  /: ${NOT_SET:?name the app, as in home:app}\n",
        "config.yaml:2:6: mounts./: the variable 'NOT_SET' is not set: name the app, as in home:app",
    ),
    (
        "variable open",
        "mounts:\n  /: ${NOT_SET\n",
        "config.yaml:2:6: mounts./: '${' without '}'; close it, or write '$${' for a literal '${'",
    ),
    (
        "variable in another notation",
        "mounts:\n  /: ${PORT:+x}\n",
        "config.yaml:2:6: mounts./: '${PORT:+x}' is no variable: known are ${NAME}, ${NAME:-default} and ${NAME:?message}; '$${' is a literal '${'",
    ),
    (
        "variable in a variable",
        "mounts:\n  /: ${NOT_SET:-${PORT}}\n",
        "config.yaml:2:6: mounts./: '${NOT_SET:-${PORT}' is no variable: known are ${NAME}, ${NAME:-default} and ${NAME:?message}; '$${' is a literal '${'",
    ),
    (
        "variable of the wrong type",
        "server:\n  workers: ${WORD}\n",
        "config.yaml:2:12: server.workers: expected a whole number, got 'many'",
    ),
    (
        "variable in quotes",
        "server:\n  workers: '${PORT}'\n",
        "config.yaml:2:12: server.workers: expected a whole number, got '8080'; write it without quotes",
    ),
    (
        "variable that is not UTF-8",
        "mounts:\n  /: ${BYTES}\n",
        "config.yaml:2:6: mounts./: the value of the variable 'BYTES' is not UTF-8; set it to text",
    ),
]


def _bomb(entry: str, *, merge: bool) -> str:
    """Nine lines that stand for 9⁸ values, by aliases or by merge keys."""
    lines = [f"x-0: &a0 {entry}"]
    for number in range(1, 9):
        nine = ", ".join([f"*a{number - 1}"] * 9)
        lines.append(f"x-{number}: &a{number} " + (f"{{<<: [{nine}]}}" if merge else f"[{nine}]"))
    return "\n".join(lines)


def _lines(pattern: str, count: int) -> str:
    return "\n".join(pattern.replace("#", str(number)) for number in range(count))


_OPEN: Final = "[" * 40
_CLOSED: Final = "]" * 40

# name, text of the file
HOSTILE: Final = [
    ("a merge-key bomb", _bomb("{k: v}", merge=True)),
    ("an alias bomb", _bomb("[lol]", merge=False)),
    ("deep only by an alias", f"x-0: &a {_OPEN}1{_CLOSED}\nx-1: {_OPEN}*a{_CLOSED}"),
    ("an alias in its own anchor", "x-0: &a [*a]"),
    ("a merge of itself", "x-0: &a {<<: *a}"),
    ("200,000 open brackets", "mounts: " + "[" * 200_000),
    ("200,000 open braces", "{" * 200_000),
    ("500 brackets, closed", "mounts: " + "[" * 500 + "]" * 500),
    ("200,000 dashes", "- " * 200_000),
    ("200,000 question marks", "? " * 200_000),
    ("1,000 levels of blocks", "\n".join(" " * depth + "a:" for depth in range(1000))),
    ("a million commas", "[" + "," * 900_000 + "]"),
    ("80,000 keys", _lines("k#: 1", 80_000)),
    ("9,000 unknown keys", _lines("k#: 1", 9_000)),
    ("one key 9,000 times", "mounts: {}\n" * 9_000),
    ("9,000 wrong mounts on one line", "mounts: {" + _lines("m#: a,", 9_000).replace("\n", "") + "}"),
    ("9,000 misspelled settings", "server:\n" + _lines(" wrkers#: 1", 9_000)),
    ("18,000 misspelled middlewares", "middleware:\n" + _lines("- statik#", 18_000)),
    ("6,000 wrong options", "middleware:\n" + "- static: {rot: 1}\n" * 6_000),
    ("a key of 900 KB", "? " + "k" * 900_000 + "\n: 1"),
    ("a number of a million digits", "strict: " + "9" * 990_000),
    ("a hexadecimal number of a million digits", "strict: 0x" + "f" * 990_000),
    ("a huge exponent", "strict: 1e999999999"),
    ("a size of a million digits", "logging: {max_bytes: '" + "9" * 900_000 + "'}"),
    ("not a number", "reload: {watch: .nan}"),
    ("a variable 100,000 times", "mounts: {/: '" + "${BIG}" * 100_000 + "'}"),
    ("a variable in 9,000 values", _lines("x-#: ${BIG}", 9_000)),
    ("variables that never close", "mounts: {/: '" + "${" * 400_000 + "'}"),
    ("400,000 brackets in an import string", "mounts: {/: 'a:b(" + "(" * 400_000 + "'}"),
    ("tags that run code", _lines("x-#: !!python/object:os.system 1", 9_000)),
    ("binary", "x-0: !!binary " + "QUFB" * 200_000),
    ("a quote that never closes", 'a: "' + "\\\n" * 490_000),
    ("300,000 directives", "%A\n" * 300_000),
    ("200,000 documents", "---\n" * 200_000),
    ("a million line ends", "\n" * 999_999),
    ("a million tabs", "\t" * 999_999),
    ("a million colons", ":" * 999_999),
    ("more than a megabyte", "#" * 1_000_001),
    ("a terminal sequence", "mounts: {}\n\x1b[2J"),
    ("NUL", "mounts: \0"),
]
