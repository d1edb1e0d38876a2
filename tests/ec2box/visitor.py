"""``python tests/ec2box/visitor.py FOLDER``: a person before a JupyterLab of these clusters.

Looks at the clusters ``posters``, on EC2, and ``here``; opens a terminal on the head of the first
and ends it.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import lab
from playwright.sync_api import sync_playwright


def main(folder: Path) -> None:
    """Look, and end the one on EC2."""
    with lab.server(folder) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=lab.browser_path(), args=lab.FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(60_000)
        lab.visit(page, address)
        lab.execute(page, "jupyter-cluster:show")
        posters, here = (page.locator(f'.jc-Card[data-name="{n}"]') for n in ("posters", "here"))
        posters.get_by_text("on aws, up").wait_for()
        here.get_by_text("on this machine, up").wait_for()
        page.locator(".jc-Status").get_by_text(
            re.compile(r"2 clusters, .* USD per hour")
        ).wait_for()
        posters.locator(".jc-Card-name").click()
        view = page.locator("#jupyter-cluster-posters")
        view.get_by_role("tab", name="nodes").click()
        view.get_by_role("row", name=re.compile("worker-1")).wait_for()
        lab.picture(page, "sidebar-aws")
        view.get_by_role("button", name="Terminal on the head of posters").click()
        reach(page)
        lab.picture(page, "sidebar-terminal")
        posters.get_by_role("button", name="down cluster posters").click()
        page.get_by_role("dialog").get_by_role("button", name="down").click()
        posters.wait_for(state="detached", timeout=120_000)
        here.get_by_text("on this machine, up").wait_for()
        browser.close()


def reach(page: Any) -> None:
    """Type a line into the terminal on the head, and leave it."""
    page.wait_for_function(f"{SCREEN}.includes('$ ')".replace("\n", ""))
    page.keyboard.type("echo head-$((40 + 2)) $USER\n")
    page.wait_for_function(f"{SCREEN}.includes('head-42 ubuntu')".replace("\n", ""))
    page.keyboard.type("exit\n")


# The text of the terminal at hand.
SCREEN = """(() => {
    const screen = window.jupyterapp.shell.currentWidget?.content?._term?.buffer?.active;
    const rows = Array.from({length: screen?.length ?? 0}, (_, at) => screen.getLine(at));
    return rows.map(row => row.translateToString()).join(' ');
})()"""


if __name__ == "__main__":
    main(Path(sys.argv[1]))
