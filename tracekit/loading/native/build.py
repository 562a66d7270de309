"""Compiles the scanner of this folder into a wheel; ``python tracekit/loading/native/build.py`` compiles it in place.

Hatchling stays the build backend, as it puts datasets and notebooks into the wheel, and editable installs and source
distributions need nothing else.  Of setuptools only its knowledge of compilers is used.  Where compiling fails, the
package is built without the extension: reading is slower then, and otherwise the same.
"""

from __future__ import annotations

import os
import sysconfig
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NATIVE = Path("tracekit", "loading", "native")
_INLINE = ["-finline-limit=2000", "--param=inline-unit-growth=200", "--param=large-function-growth=1000"]
"""gcc inlines up to a limit for a unit, and the scanner is one unit: with its own limits it scans a seventh slower."""
FLAGS = {
    "unix": ["-std=c++17", "-O3", "-g0", "-fvisibility=hidden", *_INLINE],
    "mingw32": ["-std=c++17", "-O3", "-g0", *_INLINE],
    "msvc": ["/std:c++17", "/O2", "/EHsc"],
}


class CompiledScanner(BuildHookInterface):  # type: ignore[misc, type-arg, unused-ignore]
    """Adds the extension to the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - the interface's
        """Compile, and name the platform of the wheel; one file serves every Python from 3.11."""
        built = compiled(Path(self.root))
        if built is None:
            self.app.display_warning("the scanner was not compiled: traces will be read by the slower Python lane")
            return
        build_data["artifacts"].append(f"/{(NATIVE / built.name).as_posix()}")
        build_data["pure_python"] = False
        build_data["tag"] = f"cp311-abi3-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"


def compiled(root: Path) -> Path | None:
    """Compile the extension into its folder and return its path, None if that is not possible here."""
    from setuptools import Distribution, Extension  # noqa: PLC0415 - not needed for a source distribution
    from setuptools.command.build_ext import build_ext  # noqa: PLC0415 - likewise
    from setuptools.errors import BaseError, CCompilerError  # noqa: PLC0415 - likewise

    class Build(build_ext):
        """The command with the flags of each compiler."""

        def build_extension(self, ext: Extension) -> None:
            ext.extra_compile_args = FLAGS.get(self.compiler.compiler_type, [])
            super().build_extension(ext)

    folder = root / NATIVE
    extension = Extension(
        "_scan",
        [str(folder / "module.cpp")],
        language="c++",
        py_limited_api=True,
        optional=True,
        include_dirs=[str(folder)],
    )
    with tempfile.TemporaryDirectory() as scratch:
        command = Build(Distribution({"name": "scan", "ext_modules": [extension]}))
        command.build_lib = command.build_temp = scratch
        with suppress(BaseError, CCompilerError, OSError):  # no compiler; a failed compilation is only a warning
            command.ensure_finalized()
            command.run()
        made = Path(scratch, command.get_ext_filename("_scan"))
        if not made.is_file():
            return None
        place = folder / made.name
        partial = place.with_name(f"{place.name}.{os.getpid()}.so")
        partial.write_bytes(made.read_bytes())
        partial.replace(place)  # at once: a process may have loaded the one before
        return place


if __name__ == "__main__":
    raise SystemExit(compiled(Path(__file__).resolve().parents[3]) is None)
