"""Starts the workers and the web server, and ends both."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket

import uvicorn

from m3att.errors import ConfigError
from m3att.serve.app import create_app
from m3att.serve.limits import Limits
from m3att.serve.pool import Pool
from m3att.serve.worker import work

PATIENCE = 4
"""A worker that says nothing for so many times the limit of a request hangs, and is ended."""


def run_server(
    models: dict[str, str],
    device: str,
    backend: str,
    host: str,
    port: int,
    workers: int,
    limits: Limits,
    token: str | None = None,
) -> int:
    """Serve until somebody interrupts it. Whatever ends this function, its workers end too.

    Args:
        models: names that users see, and what `Segmenter.from_pretrained` takes.
        device: see `Segmenter.from_pretrained`.
        backend: see `Segmenter.from_pretrained`.
        host: address to listen at.
        port: 0 for any that is free.
        workers: processes that hold the models.
        limits: of requests.
        token: see `m3att.serve.guard.Guard`.

    Returns:
        The exit code.

    Raises:
        ConfigError: where the address cannot be had.
        ModelError: where a model cannot be loaded.
    """
    listening = listen(host, port)
    with listening:
        pool = Pool(work, (models, device, backend, limits, workers), workers, PATIENCE * limits.seconds)
        described = pool.open()
        try:
            hosts = tuple(dict.fromkeys(("127.0.0.1", "localhost", "[::1]", host.lower()))) if is_loopback(host) else ()
            app = create_app(pool, described, limits, token, hosts)
            config = uvicorn.Config(
                app, log_level="warning", access_log=False, server_header=False, lifespan="off", ws="none"
            )
            shown = f"[{host}]" if ":" in host else host
            print(f"http://{shown}:{listening.getsockname()[1]}/  (Ctrl-C ends it)", flush=True)
            uvicorn.Server(config).run(sockets=[listening])
        except KeyboardInterrupt:  # uvicorn has closed in order, and says so this way
            pass
        finally:
            pool.close()
    return 0


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens, before the models are loaded: it fails at once where the port is taken.

    Raises:
        ConfigError: where it cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        number = getattr(error, "errno", None)
        reason = os.strerror(number) if number and number > 0 else str(error)
        advice = "; give another --port" if number == errno.EADDRINUSE else ""
        raise ConfigError(f"cannot listen at {host}, port {port}: {reason}{advice}") from error


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
