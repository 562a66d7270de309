"""Take the README's pictures: ``python tests/browser/take_pictures.py`` writes them beside this file."""

from pathlib import Path
from tempfile import TemporaryDirectory

from chromium import launched, visit

import tracekit as tk

PICTURES = Path(__file__).parent / "pictures"


def main():
    PICTURES.mkdir(exist_ok=True)
    before, during = tk.load_sample("checkout-regression")
    with TemporaryDirectory() as folder, launched() as browser, visit(browser) as visited:
        path = tk.investigate(during, before).report(Path(folder) / "report.html", title="Checkout became slow")
        page = visited.open(path)
        page.wait_for_timeout(500)
        page.screenshot(path=PICTURES / "report.png")
        page.get_by_role("link", name="Open the exemplar").first.click()
        page.mouse.move(5, 5)
        page.wait_for_timeout(800)
        page.screenshot(path=PICTURES / "waterfall.png", clip={"x": 200, "y": 0, "width": 1080, "height": 720})


if __name__ == "__main__":
    main()
