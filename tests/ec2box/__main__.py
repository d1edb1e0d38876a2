"""``python -m ec2box WHEELS FOLDER``: the box, until it is told to end or its input closes."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import threading
from pathlib import Path

import werkzeug.serving
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from ec2box.address import serve_address
from ec2box.cloud import Cloud
from ec2box.front import Front
from ec2box.image import host_image
from ec2box.index import PORT as INDEX_PORT
from ec2box.index import serve_index
from ec2box.metadata import serve_metadata
from ec2box.network import GATEWAY, make_bridge
from ec2box.registry import container_layer, serve_registry

API_PORT = 5000
ENDPOINT = f"http://{GATEWAY}:{API_PORT}"
ENVIRONMENT = {
    "AWS_ENDPOINT_URL": ENDPOINT,
    "PIP_INDEX_URL": f"http://{GATEWAY}:{INDEX_PORT}/simple/",
    "PIP_TRUSTED_HOST": GATEWAY,
    "UV_DEFAULT_INDEX": f"http://{GATEWAY}:{INDEX_PORT}/simple/",
    "UV_PYTHON_DOWNLOADS": "never",
}


def main(wheels: Path, folder: Path) -> None:
    """Run the box."""
    make_bridge()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    cloud = Cloud(host_image(), folder / "hosts", ENVIRONMENT)
    serve_metadata(cloud)
    serve_index(wheels, GATEWAY)
    serve_registry(GATEWAY, container_layer())
    serve_address(GATEWAY, folder)
    front = Front(DomainDispatcherApplication(create_backend_app), cloud)
    server = werkzeug.serving.make_server(GATEWAY, API_PORT, front, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print("ready", flush=True)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    cloud.close()
    subprocess.run(["ip", "link", "del", "ec2box"], check=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
