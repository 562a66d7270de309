"""What is in a sandboxed frame, read as a browser reads it."""

import base64
import gzip
import json
from html.parser import HTMLParser


class _Frames(HTMLParser):
    def __init__(self):
        super().__init__()
        self.frames = []

    def handle_starttag(self, tag, attributes):
        if tag == "iframe":
            self.frames.append(dict(attributes))


class _Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.scripts, self.policy, self._name = [], {}, "", None

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.tags.append(tag)
        self._name = found.get("id", "loader") if tag == "script" else None
        self.policy = found.get("content", self.policy) if "http-equiv" in found else self.policy

    def handle_data(self, data):
        if self._name:
            self.scripts[self._name] = data

    def handle_endtag(self, _):
        self._name = None


def frame_of(html):
    """The attributes of the one frame of an output."""
    parser = _Frames()
    parser.feed(html)
    (frame,) = parser.frames
    return frame


def page_of(html):
    """The page in the frame: its tags, its scripts and its policy."""
    parser = _Page()
    parser.feed(frame_of(html)["srcdoc"])
    return parser


def unpacked(text):
    return gzip.decompress(base64.b64decode(text))


def contents_of(html):
    """What the front end gets: values as JSON, and data."""
    raw = unpacked(page_of(html).scripts["tk-data"])
    end = 4 + int.from_bytes(raw[:4], "little")
    return json.loads(raw[4:end]), raw[end:]


def outside(html):
    """The output as it is where frames are removed."""
    start = html.index("<iframe ")
    return html[:start] + html[html.index("</iframe>", start) + len("</iframe>") :]
