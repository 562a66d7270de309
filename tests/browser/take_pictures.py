"""Take the README's pictures: ``python tests/browser/take_pictures.py`` writes them beside this file."""

from pathlib import Path
from tempfile import TemporaryDirectory

from chromium import launched, visit

import tracekit as tk

PICTURES = Path(__file__).parent / "pictures"


def main():
    PICTURES.mkdir(exist_ok=True)
    _, during = tk.load_sample("checkout-regression")
    with TemporaryDirectory() as folder, launched() as browser, visit(browser) as visited:
        page = visited.open(tk.report(during, Path(folder) / "report.html", title="Checkout became slow"))
        page.wait_for_timeout(500)
        page.screenshot(path=PICTURES / "report.png")
        page.evaluate("document.querySelector('#traces h3')?.scrollIntoView()")
        page.locator("#traces .tkw-row").nth(8).click()
        page.wait_for_timeout(800)
        page.screenshot(path=PICTURES / "waterfall.png")


if __name__ == "__main__":
    main()
