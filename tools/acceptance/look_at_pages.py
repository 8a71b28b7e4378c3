#!/usr/bin/env python3
"""Looks at pages as people do: takes pictures of them, and has axe check that all can use them.

Each page is opened in headless Chromium at 1280 and 400 pixels, light and dark, with its folded
parts open, and once without scripts; a picture of each goes into --out. Exit code 1 means that axe
found something serious or critical, that a page is wider than the window, asked for something
outside itself, or has an error in its script.

Needs Debian's chromium, and from PyPI playwright and axe-playwright-python.
"""
import argparse
import pathlib
import sys

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

WIDTHS = (1280, 400)
BAD = ("serious", "critical")
# What a page may need to be wide for scrolls inside itself.
WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def look(browser, page_file, width, scheme, scripts, out):
    """Pictures of one page; returns what is wrong with it, a line each."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme,
                                  java_script_enabled=scripts)
    faults = []
    page = context.new_page()
    page.set_default_timeout(180_000)
    page.on("request", lambda request: faults.append(f"asks for {request.url}")
            if request.url != page_file.as_uri() and not request.url.startswith("data:") else None)
    page.on("pageerror", lambda error: faults.append(f"script: {error}"))
    if page_file.suffix == ".svg":
        page.set_content("<!DOCTYPE html><html lang=en><title>Picture</title><main><h1>Picture</h1>"
                         + page_file.read_text() + "</main>")
    else:
        page.goto(page_file.as_uri())
    name = f"{page_file.stem}-{width}-{scheme}" + ("" if scripts else "-no-script")
    if scripts:
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        if (wider := page.evaluate(WIDER)) > 0:
            faults.append(f"is {wider} pixels wider than the window")
    page.screenshot(path=out / f"{name}.png", full_page=True, timeout=180_000)
    if scripts:
        for found in Axe().run(page).response["violations"]:
            line = f"axe: {found['impact']}: {found['id']}: {found['help']}"
            places = [str(node["target"]) + ": " + node.get("failureSummary", "").replace("\n", " ")
                      for node in found["nodes"]]
            print(f"{name}: {line}, {len(places)} places, such as {places[0]}")
            if found["impact"] in BAD:
                faults.append(line)
    context.close()
    return [f"{name}: {fault}" for fault in faults]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pages", nargs="+", type=pathlib.Path, metavar="PAGE",
                        help="an HTML page or an SVG picture")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("pages"),
                        help="folder for the pictures")
    parser.add_argument("--chromium", default="/usr/bin/chromium", help="the browser's program")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    faults = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=arguments.chromium,
                                             args=["--no-sandbox"])
        for page_file in arguments.pages:
            for width in WIDTHS:
                for scheme in ("light", "dark"):
                    faults += look(browser, page_file.resolve(), width, scheme, True, arguments.out)
            faults += look(browser, page_file.resolve(), 1280, "light", False, arguments.out)
        browser.close()
    for fault in faults:
        print("fault:", fault)
    print(f"{len(arguments.pages)} pages, {len(faults)} faults; pictures in {arguments.out}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
