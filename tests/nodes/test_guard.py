"""The watch on a host, run as it is: its clock and what it calls are the test's."""

from __future__ import annotations

import io
import os
import subprocess
from pathlib import Path

import pytest

from jupyter_cluster.config import parse
from jupyter_cluster.nodes.guard import PROGRESS, user_data, watch
from jupyter_cluster.nodes.provisioning import host_provider
from jupyter_cluster.nodes.remote import files, get_uv

pytestmark = pytest.mark.unit

GRACE, BOOT = 40, 100
# Each look takes the next line of the plan: seconds that pass, and which file is touched.
_SLEEP = """#!/bin/sh
cd {folder}
read -r seconds touched <<PLAN
$(head -n 1 plan)
PLAN
[ -n "$seconds" ] || exit 1
sed -i 1d plan
echo $(($(cut -d. -f1 clock) + seconds)).00 >clock
[ -z "$touched" ] || date +%N >$touched
"""


def ended_after(folder: Path, *plan: str) -> float | None:
    """At which second after its boot a host shuts itself down; None where it runs on."""
    (folder / "bin").mkdir()
    (folder / "clock").write_text("7.00")
    (folder / "plan").write_text("\n".join(plan) + "\n")
    for name in ("alive", "progress"):
        (folder / name).write_text("")
        os.utime(folder / name, (1, 1))  # of a former boot
    programs = {
        "sleep": _SLEEP.format(folder=folder),
        "shutdown": f"#!/bin/sh\ncut -d. -f1 {folder}/clock >{folder}/down\nkill $PPID\n",
    }
    for name, text in programs.items():
        (folder / "bin" / name).write_text(text)
        (folder / "bin" / name).chmod(0o755)
    script = watch(GRACE, BOOT, str(folder), str(folder / "clock"))
    subprocess.run(
        ["sh", "-c", script.replace(">/dev/console", ">/dev/null")],
        env={"PATH": f"{folder / 'bin'}:{os.environ['PATH']}"},
        timeout=60,
        check=False,
    )
    down = folder / "down"
    return int(down.read_text()) - 7 if down.exists() else None


@pytest.mark.parametrize(
    ("plan", "after"),
    [
        # Never set up; signs that a former boot has left count for nothing.
        (["60", "60", "60"], 120),
        # Files arrive for three times as long as set-up may take.
        (["60 progress"] * 5 + ["10 alive"] + ["20 alive"] * 5, None),
        # ... and then no more of them come.
        (["60 progress"] * 3 + ["60", "60"], 300),
        # It was alive and is heard of no more: the shorter time holds from now on.
        (["10 alive", "30 alive", "30", "30"], 100),
        (["10 alive", "30 progress", "30", "30"], 100),
        # The host was away for long, as a laptop's virtual machine is; the sign came with it.
        (["10 alive", "5000 alive", "30 alive"], None),
    ],
)
def test_a_host_ends_itself_when_nobody_looks_after_it(
    tmp_path: Path, plan: list[str], after: float | None
) -> None:
    assert ended_after(tmp_path, *plan) == after


def test_a_host_has_the_watch_in_its_user_data() -> None:
    script = user_data(GRACE, BOOT)
    assert subprocess.run(["sh", "-n"], input=script.encode(), check=False).returncode == 0
    assert watch(GRACE, BOOT) in script
    assert files.PROGRESS == get_uv.PROGRESS == PROGRESS


def test_a_head_that_shows_no_life_is_ended_by_its_machine() -> None:
    config = parse(
        "cluster_name: posters\nsetup_timeout_minutes: 10\nprovider: {type: aws}\n"
        "head_node_type: any\n"
        "available_node_types: {any: {node_config: {InstanceType: m5.large}}}\n"
    )
    scripts = host_provider(config, {"name": "posters", "id": "id"})._user_data  # type: ignore[attr-defined]
    assert 'limit=1200 reason="nobody was heard of' in scripts["head"]
    assert 'limit=300 reason="nobody was heard of' in scripts["worker"]


def test_a_slow_index_shows_the_watch_that_set_up_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign = tmp_path / "progress"
    sign.touch()
    monkeypatch.setattr(get_uv, "PROGRESS", str(sign))
    times = []
    for _piece in get_uv.pieces_of(io.BytesIO(b"x" * (3 * get_uv.PIECE))):
        times.append(sign.stat().st_mtime)
        os.utime(sign, (1, 1))
    assert len(times) == 3
    assert min(times) > 1


def test_files_that_arrive_show_the_watch_that_set_up_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign = tmp_path / "progress"
    sign.touch()
    os.utime(sign, (1, 1))
    monkeypatch.setattr(files, "PROGRESS", str(sign))
    with (tmp_path / "pack").open("wb") as pack:
        pack.write(b"x" * 10)
    with (tmp_path / "pack").open("rb") as pack, pytest.raises(SystemExit):
        files.take(str(tmp_path / "store"), pack)  # cut off, and yet something came
    assert sign.stat().st_mtime > 1
