"""``make dev``: the Dagster UI and daemon on loopback, on the home that the demo filled."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from allocator_pipeline.config import Settings
from allocator_pipeline.defs.home import dagster_home
from allocator_pipeline.errors import AllocatorError

HOST, FIRST_PORT, PORTS = "127.0.0.1", 3000, 100


def free_port(first: int = FIRST_PORT) -> int:
    """Return the first port from ``first`` on that nobody listens on.

    Raises
    ------
    OSError
        If a hundred ports in a row are taken.
    """
    for port in range(first, first + PORTS):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise OSError(f"the ports {first} to {first + PORTS - 1} are all taken")


def main() -> int:
    """Start the UI and wait for it to end."""
    try:
        return _serve()
    except (AllocatorError, OSError, ValueError, OverflowError) as error:
        print(f"The UI did not start: {error}", file=sys.stderr)
        return 1


def _serve() -> int:
    import dagster as dg

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that starts it in the background has it ignored
    settings = Settings.from_env()
    home = dagster_home(settings)
    dg.DagsterInstance.get().dispose()  # creates the database before two processes would at once
    port = free_port(int(os.environ.get("PORT", FIRST_PORT)))
    workspace = Path(__file__).parents[2] / "workspace.yaml"
    print(f"Dagster home {home}\nUI on http://{HOST}:{port} (stop with Ctrl-C)", flush=True)
    command = [sys.executable, "-m", "dagster", "dev", "-w", str(workspace), "-h", HOST, "-p", str(port)]
    paths = {"ALLOCATOR_DATA_DIR": str(settings.data_dir.absolute())}
    quiet = "ignore:Function `dev_command`"  # `dagster dev` recommends `dg dev`, which does not read workspace.yaml
    server = subprocess.Popen(command, env={**os.environ, **paths, "PYTHONWARNINGS": quiet})

    def stop(*_: object) -> None:
        server.terminate()  # the UI, the daemon and the code server end together

    signal.signal(signal.SIGTERM, stop)
    while True:
        try:
            return server.wait()
        except KeyboardInterrupt:
            continue  # the server got it too, and is ending


if __name__ == "__main__":
    sys.exit(main())
