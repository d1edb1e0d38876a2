"""What an agent says first to a head, as Dask's own would: for tests that say it by hand."""

from __future__ import annotations

from typing import Any

NODE = "tls://127.0.0.1:1"
METRICS: dict[str, Any] = {
    "bandwidth": {"total": 100_000_000, "workers": {}, "types": {}},
    "digests_total_since_heartbeat": {},
    "memory": 1000,
    "spilled_bytes": {"memory": 0, "disk": 0},
}
REGISTRATION: dict[str, Any] = {
    "op": "register-worker",
    "reply": False,
    "address": NODE,
    "status": "running",
    "server_id": "node",
    "nthreads": 1,
    "name": "node",
    "now": 1.0,
    "resources": {},
    "host_info": {},
    "memory_limit": 0,
    "metrics": METRICS,
    "pid": 1,
    "services": {},
    "local_directory": "/",
    "versions": {},
    "nanny": "",
    "extra": {},
    "stimulus_id": "x",
}
