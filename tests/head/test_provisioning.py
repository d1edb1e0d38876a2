"""The head's end of its provisioning process, which may die and be followed by another."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from helpers import eventually

from jupyter_cluster.errors import ProviderError, QuotaError
from jupyter_cluster.head import provisioning
from jupyter_cluster.head.provisioning import Provisioning

pytestmark = pytest.mark.unit

# Dies of `create` while a child of it keeps its output open; answers `instances` when it may.
PLAYED = """
import json, os, pathlib, sys, time
folder = pathlib.Path(sys.argv[1])
def wait_for(name):
    while not (folder / name).exists():
        time.sleep(0.01)
for line in sys.stdin:
    asked = json.loads(line)
    if asked["do"] == "create":
        if os.fork():
            os._exit(1)
        wait_for("go")
        os._exit(0)
    if asked["do"] == "instances":
        (folder / "asked").touch()
        wait_for("done")
        print("this is no JSON", flush=True)
        print("[]", flush=True)
        print(json.dumps({"id": asked["id"], "result": []}), flush=True)
    else:
        print(json.dumps({"id": asked["id"], "kind": "QuotaError", "error": "full"}), flush=True)
"""


@pytest.fixture
def played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Provisioning:
    (tmp_path / "logs").mkdir()
    (tmp_path / "played.py").write_text(PLAYED)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(provisioning, "_MODULE", "played")
    return Provisioning(tmp_path, "tls://127.0.0.1:1")


def test_the_end_of_one_process_fails_no_request_of_the_next(
    played: Provisioning, tmp_path: Path
) -> None:
    outcomes: dict[str, object] = {}

    def ask(do: str) -> None:
        try:
            outcomes[do] = played._ask(do)
        except ProviderError as error:
            outcomes[do] = str(error)

    first = threading.Thread(target=ask, args=("create",))
    first.start()
    eventually(lambda: played._process is not None and not played._process.is_running)
    second = threading.Thread(target=ask, args=("instances",))
    second.start()
    eventually((tmp_path / "asked").exists)
    (tmp_path / "go").touch()
    first.join(20)
    assert outcomes == {"create": "the provisioning process has ended"}
    (tmp_path / "done").touch()
    second.join(20)
    assert outcomes["instances"] == []
    with pytest.raises(QuotaError, match="full"):
        played.terminate(["a"])
    played.close()
