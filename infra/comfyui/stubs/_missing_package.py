"""Makes a package importable that is not installed.

ComfyUI imports torchvision and torchaudio while it starts, whatever it is used for. Any name and
any submodule of a missing package is found here; calling one raises, so only the node that really
needs the package fails, and says why.
"""

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class _MissingName(type):
    """The class of placeholders: they may be imported, subclassed and compared, not called."""

    def __getattr__(cls, name: str) -> type:
        return _placeholder(cls.__qualname__, name)

    def __call__(cls, *_args: object, **_kwargs: object) -> object:
        raise RuntimeError(f"{cls.__qualname__} is not installed in this CPU-only ComfyUI")


class _MissingModule(ModuleType):
    def __getattr__(self, name: str) -> type:
        return _placeholder(self.__name__, name)


def _placeholder(owner: str, name: str) -> type:
    # Special names stay absent: Python and its libraries ask for them to learn what a thing is.
    if name.startswith("__"):
        raise AttributeError(name)
    return _MissingName(f"{owner}.{name}", (), {"__module__": owner})


class _SubmoduleFinder(MetaPathFinder, Loader):
    def __init__(self, package: str) -> None:
        self._prefix = f"{package}."

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(self._prefix):
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _MissingModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        module.__path__ = []


def install(package: str) -> None:
    """Turn the already imported module `package` into a stand-in for the missing package."""
    module = sys.modules[package]
    module.__class__ = _MissingModule
    vars(module)["__version__"] = "0.0.0"
    sys.meta_path.append(_SubmoduleFinder(package))
