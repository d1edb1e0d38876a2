"""A real JupyterLab in a real browser, one for all tests of a run."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from helpers import eventually, free_port

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
OPEN = """async path => {
    const app = window.jupyterapp;
    await app.restored;
    const opened = await app.commands.execute(
        'docmanager:open', {path, factory: 'Notebook', kernel: {name: 'python3'}});
    await opened.revealed;
    await opened.sessionContext.ready;
    await opened.sessionContext.session.kernel.info;
}"""
RESTORED = """async path => {
    const app = window.jupyterapp;
    await app.restored;
    const [opened] = [...app.shell.widgets('main')].filter(w => w.context?.path === path);
    await opened.revealed;
    await opened.sessionContext.ready;
}"""
IS_LAYOUT_SAVED = """async () => {
    const { serviceManager, shell } = window.jupyterapp;
    const id = decodeURIComponent(location.pathname.match(/workspaces\\/([^/]+)/)[1]);
    const { data } = await serviceManager.workspaces.fetch(id);
    const names = area => area?.widgets ?? (area?.children ?? []).flatMap(names);
    const saved = names(data['layout-restorer:data']?.main?.dock).sort();
    const kept = [...shell.widgets('main')].filter(one => !one.id.startsWith('launcher'));
    // What is to be opened again is noted beside the layout, for each widget by itself.
    const noted = Object.keys(data).filter(key => data[key]?.data !== undefined).sort();
    return saved.length === kept.length && String(noted) === String(saved);
}"""
RUN = """at => {
    const app = window.jupyterapp;
    const notebook = app.shell.currentWidget.content;
    notebook.deselectAll();
    notebook.activeCellIndex = at;
    app.commands.execute('notebook:run-cell');
}"""
RUN_TO_END = RUN.replace("at =>", "async at =>").replace(
    "    app.commands", "    await app.commands"
)

# The contrast of every text of these elements to what lies behind it, by WCAG's formula. What
# cannot be used now is exempt, as there. A canvas knows every way to write a colour.
CONTRASTS = """elements => {
    const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
    const mixed = (below, [r, g, b, a]) => [r, g, b].map((v, i) => below[i] + a * (v - below[i]));
    const colour = text => {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = text;
        canvas.fillRect(0, 0, 1, 1);
        const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
        return [r, g, b, a / 255];
    };
    const part = v => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
    const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
    const behind = element => {
        if (!element) return [255, 255, 255];
        const own = colour(getComputedStyle(element).backgroundColor);
        return own[3] === 1 ? own.slice(0, 3) : mixed(behind(element.parentElement), own);
    };
    const opacity = element =>
        element ? getComputedStyle(element).opacity * opacity(element.parentElement) : 1;
    const found = {};
    for (const element of document.querySelectorAll(elements)) {
        const own = [...element.childNodes].some(n => n.nodeType === 3 && n.data.trim());
        if (!own || !element.checkVisibility() || element.closest(':disabled')) continue;
        const style = getComputedStyle(element), ground = behind(element);
        const [r, g, b, a] = colour(element instanceof SVGElement ? style.fill : style.color);
        const x = light(mixed(ground, [r, g, b, a * opacity(element)])), y = light(ground);
        const contrast = (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
        const name = `${element.className} ${element.textContent.slice(0, 30)}`;
        found[name] = Math.min(contrast, found[name] ?? contrast);  // words may stand twice
    }
    return found;
}"""
# The buttons, links, fields and tabs of these elements that have no name for a screen reader.
NAMELESS = """within => [...document.querySelectorAll(within)]
    .flatMap(of => [...of.querySelectorAll('button, a, input, select, textarea, jp-button, '
        + '[role=button], [role=tab], [role=img]')])
    .filter(one => one.checkVisibility() && !(one.getAttribute('aria-label') ?? '').trim()
        && !one.labels?.length && !one.textContent.trim() && !one.title && !one.closest('label')
        && !one.ariaLabelledByElements?.length && !one.closest('jp-button[aria-label]'))
    .map(one => one.outerHTML.slice(0, 200))"""


def browser_path() -> str | None:
    """The browser of this machine; None where there is none."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


@contextmanager
def server(root: Path, port: int = 0) -> Iterator[str]:
    """A Jupyter server with folders of its own, at a port or at a free one; yields its address."""
    notebooks = root / "notebooks"
    notebooks.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    settings = root / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True, exist_ok=True)
    quiet = {"fetchNews": "false", "checkForUpdates": False}
    (settings / "notification.jupyterlab-settings").write_text(json.dumps(quiet))
    environment = {
        **os.environ,
        "PYTHONFAULTHANDLER": "1",
        "JUPYTER_CONFIG_DIR": str(root / "config"),
        "JUPYTER_DATA_DIR": str(root / "data"),
        "JUPYTER_RUNTIME_DIR": str(root / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(root / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(root / "workspaces"),
    }
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1"),
        *(f"--port={port}", "--ServerApp.port_retries=0", "--IdentityProvider.token="),
        *(f"--ServerApp.root_dir={notebooks}", "--LabApp.news_url=None"),
        *("--LabApp.expose_app_in_browser=True", "--LabApp.extension_manager=readonly"),
        "--MappingKernelManager.shutdown_wait_time=1",
    ]
    with (root / "server.log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        _await(f"http://127.0.0.1:{port}/api/status", process, root / "server.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)  # says in the log where its threads are
            process.wait()
            print((root / "server.log").read_text()[-20_000:])


def _await(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(address, timeout=1)
            return
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)


def visit(page: Any, address: str) -> None:
    """Open JupyterLab in a workspace of its own."""
    page.goto(f"{address}/lab/workspaces/workspace-{time.time_ns()}", wait_until="domcontentloaded")
    page.wait_for_function("() => window.jupyterapp", timeout=60_000)
    page.evaluate("() => window.jupyterapp.restored.then(() => null)")
    page.wait_for_selector("#jupyterlab-splash", state="detached", timeout=60_000)


def execute(page: Any, command: str, **arguments: Any) -> None:
    """Execute a command of JupyterLab, to its end."""
    page.evaluate(
        "([command, args]) => window.jupyterapp.commands.execute(command, args).then(() => null)",
        [command, arguments],
    )


def picture(page: Any, name: str) -> None:
    """Keep a picture, where a folder for it is named."""
    if folder := os.environ.get("JUPYTER_CLUSTER_PICTURES"):
        page.screenshot(path=Path(folder, f"{name}.png"))


def end_kernels(page: Any) -> None:
    """End all kernels of the server that a page is of."""
    page.evaluate("() => window.jupyterapp?.serviceManager.sessions.shutdownAll()")


class Notebook:
    """A notebook that is open in the page."""

    def __init__(self, page: Any, path: Path) -> None:
        self.page = page
        self.path = path

    def execute(self, command: str, **arguments: Any) -> None:
        """Execute a command of JupyterLab, to its end."""
        execute(self.page, command, **arguments)

    def save(self) -> None:
        """Write it to its file."""
        self.execute("docmanager:save")

    def reload(self) -> None:
        """Load the page anew, as a person does: JupyterLab opens again what was open."""
        eventually(lambda: self.page.evaluate(IS_LAYOUT_SAVED))  # it does so a moment later
        self.page.reload(wait_until="domcontentloaded")
        self.page.wait_for_function("() => window.jupyterapp", timeout=120_000)
        self.page.evaluate(RESTORED, self.path.name)

    def restart(self) -> None:
        """Restart its kernel."""
        self.page.evaluate(
            "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
        )

    def set_theme(self, theme: str) -> None:
        """Change the colours of the page."""
        self.execute("apputils:change-theme", theme=theme)

    def screenshot(self, name: str) -> None:
        """Keep a picture, where a folder for it is named."""
        picture(self.page, name)

    def run(self, at: int) -> None:
        """Run a cell; does not wait for it."""
        self.page.evaluate(RUN, at)

    def activate(self, at: int) -> None:
        """Make a cell the one that commands are about."""
        self.page.evaluate(
            "at => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = at; }", at
        )

    def output(self, at: int) -> Any:
        """The output area of a cell."""
        return self.page.locator(".jp-Cell").nth(at).locator(".jp-Cell-outputArea")

    def await_text(self, at: int, text: str, seconds: float = 60) -> None:
        """Wait until the output of a cell has this text."""
        self.output(at).get_by_text(text).first.wait_for(timeout=seconds * 1000)

    def run_to_end(self, at: int) -> None:
        """Run a cell and wait until it has ended."""
        self.page.evaluate(RUN_TO_END, at)

    def is_running(self, at: int) -> bool:
        """Whether a cell runs. The kernel's own state tells of the last message it has answered,
        which may be that of a button."""
        prompt = self.page.locator(".jp-Cell").nth(at).locator(".jp-InputPrompt")
        return "*" in prompt.inner_text()


def opener(page: Any, address: str, folder: Path) -> Callable[[str, Sequence[str]], Notebook]:
    """Opens notebooks with these cells, each in a workspace of its own."""

    def open_notebook(name: str, cells: Sequence[str]) -> Notebook:
        made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        made.metadata.kernelspec = {"name": "python3", "display_name": "", "language": "python"}
        nbformat.write(made, folder / name)
        visit(page, address)
        page.evaluate(OPEN, name)
        page.locator(".jp-Cell").nth(len(cells) - 1).wait_for(timeout=30_000)
        return Notebook(page, folder / name)

    return open_notebook
