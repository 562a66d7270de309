"""Stores on S3 and other remote filesystems, which are read and not written.

S3 and Google Cloud Storage are pyarrow's own; any other URL is opened by fsspec.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from tracekit.errors import LoadError
from tracekit.loading.paths import shown, without_credentials

if TYPE_CHECKING:
    from os import PathLike

    import pyarrow as pa

_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(?:[^/@]*@)?([^?]*)")
_OF_PYARROW: Final = {"s3", "gs", "gcs"}
_SHORTEST: Final = 4  # characters of a part of credentials that is looked for in messages
_LOCAL: Final = {"file", "local"}
_DENIED: Final = re.compile(
    r"access.?denied|forbidden|\b40[13]\b|credential|signature|invalidaccesskey|expired.?token|unauthorized",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class RemotePath:
    """A file or folder of a remote filesystem; what is used of ``pathlib.Path`` to read.

    Parameters
    ----------
    filesystem
        Of pyarrow.
    path
        The path in it.
    url
        As messages show it, without credentials.
    """

    filesystem: Any
    path: str
    url: str

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    def __truediv__(self, name: str) -> RemotePath:
        return RemotePath(self.filesystem, f"{self.path}/{name}", f"{self.url}/{name}")

    def __str__(self) -> str:
        return self.url

    def is_file(self) -> bool:
        """Return whether there is such a file."""
        try:
            return bool(self.filesystem.get_file_info(self.path).is_file)
        except Exception as error:
            raise self._failure(error) from error

    def open(self) -> pa.NativeFile:
        """Return the file, to read ranges of it."""
        try:
            return self.filesystem.open_input_file(self.path)
        except FileNotFoundError:
            raise
        except Exception as error:
            raise self._failure(error) from error

    def read_bytes(self) -> bytes:
        """Return the content of the file."""
        try:
            with self.filesystem.open_input_stream(self.path) as file:
                content: bytes = file.read()
        except FileNotFoundError:
            raise
        except Exception as error:
            raise self._failure(error) from error
        return content

    def _failure(self, error: Exception) -> LoadError:
        """Return the LoadError for a file that the filesystem does not give."""
        reason = shown(without_credentials(" ".join(str(error).split()))) or type(error).__name__
        if isinstance(error, PermissionError) or _DENIED.search(reason):
            message = f"expected permission to read, found {reason:.300}; check the credentials (for S3 AWS_PROFILE, or"
            message += " AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY) and that they may list and read this folder"
            code = "PATH_DENIED"
        else:
            message = f"expected a file that can be read, found {reason:.300}; check the URL and the connection"
            code = "PATH_REMOTE"
        return LoadError(f"{code} {shown(self.url)}: {message}", source=shown(self.url), code=code)


Place: TypeAlias = Path | RemotePath
"""Where a store is."""


def place_of(path: str | PathLike[str], filesystem: Any = None) -> Place:
    """Return a path, or what a URL refers to; LoadError or ImportError if its filesystem cannot be opened."""
    url = _URL.fullmatch(str(path).partition("?")[0])
    if filesystem is not None:
        inside = (url[2] if url else str(path)).rstrip("/")
        return RemotePath(
            _of_pyarrow(filesystem), inside, without_credentials(f"{url[1]}://{inside}") if url else inside
        )
    if url is None:
        return Path(path).expanduser()
    scheme, inside = url[1].lower(), url[2].rstrip("/")
    if scheme in _LOCAL:
        return Path(inside)
    clean = without_credentials(f"{scheme}://{inside}")
    opened, within = _own(str(path), clean) if scheme in _OF_PYARROW else _by_fsspec(str(path), clean)
    return RemotePath(opened, within.rstrip("/"), clean)


def _refused(url: str, clean: str, error: Exception) -> LoadError:
    """Return the LoadError for a URL whose filesystem cannot be opened, without its credentials."""
    text = _without(url, str(error))
    safe: Exception = PermissionError(text) if isinstance(error, PermissionError) else OSError(text)
    return RemotePath(None, "", clean)._failure(safe if text else error)  # noqa: SLF001 - of this module


def _without(url: str, text: str) -> str:
    """Return a text without the credentials of a URL, also where it quotes only a part of the URL."""
    _, _, rest = url.partition("?")[0].partition("://")
    user, _, _ = rest.rpartition("@")
    said = without_credentials(text)
    for secret in sorted({user, *user.split(":", 1), *user.split("/")}, key=len, reverse=True):
        said = said.replace(secret, "[removed]") if len(secret) >= _SHORTEST else said
    return said


def _own(url: str, clean: str) -> tuple[Any, str]:
    """Return a filesystem of pyarrow and the path in it."""
    from pyarrow import fs  # noqa: PLC0415 - only remote stores need it

    try:
        found, path = fs.FileSystem.from_uri(url)
    except (OSError, ValueError) as error:
        raise _refused(url, clean, error) from None  # the error contains the URL, with credentials
    return found, path


def _by_fsspec(url: str, clean: str) -> tuple[Any, str]:
    """Return a filesystem of fsspec and the path in it."""
    try:
        from fsspec.core import url_to_fs  # noqa: PLC0415 - optional
    except ImportError as error:
        message = f"expected fsspec to open {shown(clean)}, found no such package; install it with"
        raise ImportError(f"{message} pip install 'tracekit-notebook[fsspec]', or copy the store to a disk") from error
    try:
        found, path = url_to_fs(url)
    except ImportError as error:
        reason = _without(url, str(error))
        raise ImportError(f"expected the package that opens {shown(clean)}, found none: {reason}") from None
    except Exception as error:  # noqa: BLE001 - of any filesystem
        raise _refused(url, clean, error) from None  # the error contains the URL, with credentials
    return _of_pyarrow(found), path


def _of_pyarrow(filesystem: Any) -> Any:
    """Return a filesystem of pyarrow or fsspec as one of pyarrow; TypeError for anything else."""
    from pyarrow import fs  # noqa: PLC0415 - only remote stores need it

    if isinstance(filesystem, fs.FileSystem):
        return filesystem
    if hasattr(filesystem, "cat_file") and hasattr(filesystem, "protocol"):
        return fs.PyFileSystem(fs.FSSpecHandler(filesystem))
    raise TypeError(f"expected a filesystem of pyarrow or fsspec, found {type(filesystem).__name__}")
