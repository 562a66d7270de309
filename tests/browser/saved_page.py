"""A saved page with views in frames, as a notebook leaves it."""

PAGE = '<!doctype html><meta charset="utf-8"><title>Saved</title><body data-jp-theme-light="{}">{}'


def opened(visit, path, *frames, is_light=True):
    """A saved page with these frames, and the pages in them."""
    path.write_text(PAGE.format(str(is_light).lower(), "".join(frames)), encoding="utf-8")
    visit.page.goto(path.as_uri())
    for k in range(len(frames)):
        visit.page.locator("iframe").nth(k).scroll_into_view_if_needed()
    found = visit.page.frames[1:]
    for frame in found:
        frame.wait_for_selector("html[data-tk-ready]", state="attached")
    assert visit.requests == [path.as_uri()]
    return found
