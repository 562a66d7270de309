"""Images in a report: figures of matplotlib, files, and objects that a notebook shows as images."""

import base64
import re
from io import BytesIO

import pytest

import tracekit as tk
from tracekit.report.pictures import picture_part

PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=")
SVG = '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


def source(markup):
    kind, data = re.fullmatch(r'<img src="data:([^;]+);base64,([^"]+)" alt="[^"]*".*/>', markup).groups()
    return kind, base64.b64decode(data)


class Drawn:
    """What IPython.display.Image and SVG, and PIL images, have."""

    def __init__(self, **methods):
        for name, value in methods.items():
            setattr(self, f"_repr_{name}_", lambda value=value: value)


@pytest.mark.parametrize(
    ("part", "kind", "raw"),
    [
        (PNG, "image/png", PNG),
        (Drawn(png=PNG), "image/png", PNG),
        (Drawn(png=base64.b64encode(PNG).decode()), "image/png", PNG),
        (Drawn(png=(PNG, {"width": 3})), "image/png", PNG),
        (Drawn(svg=SVG), "image/svg+xml", SVG.encode()),
        (Drawn(svg=None, jpeg=b"\xff\xd8\xff\xe0"), "image/jpeg", b"\xff\xd8\xff\xe0"),
    ],
)
def test_images_are_embedded_unchanged(part, kind, raw):
    assert source(picture_part(part, "part 1")) == (kind, raw)


def test_a_file_is_recognised_by_its_content(tmp_path):
    (tmp_path / "a<b.txt").write_bytes(PNG)
    shown = picture_part(tmp_path / "a<b.txt", "part 1")
    assert source(shown) == ("image/png", PNG)
    assert 'alt="a&lt;b"' in shown


def test_what_is_no_image_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"part 2 of section 'X': expected an image file, found .*: No such file"):
        tk.report([tk.section("X", "a", tmp_path / "none.png")], tmp_path / "page.html")
    with pytest.raises(ValueError, match=r"item 1 of the list: expected a PNG, JPEG.*starting with b'<html>"):
        tk.report([b"<html><img src=x>"], tmp_path / "page.html")
    assert picture_part(object(), "part 1") is None
    assert not (tmp_path / "page.html").exists()


def test_a_figure_of_matplotlib_is_an_image_with_its_titles_as_text():
    figures = pytest.importorskip("matplotlib.figure")
    figure = figures.Figure(figsize=(4, 3))
    figure.suptitle("Latency")
    axes = figure.subplots()
    axes.plot([1, 2, 3])
    axes.set_title("p95 <ms>")
    shown = picture_part(figure, "part 1")
    kind, raw = source(shown)
    assert kind == "image/png"
    assert raw.startswith(b"\x89PNG")
    assert 'alt="Latency; p95 &lt;ms&gt;"' in shown
    assert picture_part(axes, "part 1") == shown == picture_part(figure, "part 1")
    width = int(re.search(r'width="(\d+)"', shown)[1])
    pixels = int.from_bytes(raw[16:20], "big")
    assert width == round(pixels * 96 / 144)


def test_images_of_pil_are_shown(tmp_path):
    images = pytest.importorskip("PIL.Image")
    image = images.new("RGB", (2, 2), "red")
    page = tk.report([tk.section("Picture", image)], tmp_path / "page.html").read_text()
    raw = base64.b64decode(re.search(r'<div class="picture"><img src="data:image/png;base64,([^"]+)"', page)[1])
    assert images.open(BytesIO(raw)).getpixel((1, 1)) == (255, 0, 0)
