"""Models by their hash: ``by-sha256/ab/abcd…``, with links to them in ComfyUI's folders.

The links are symbolic and relative: they show what they lead to, and hold wherever the folder of
models is mounted. ComfyUI follows them, and skips one that leads nowhere.

A file that somebody else put into ComfyUI's folder stays what and where it is. The store has a
second name for it, a hard link or, where the file system has none, a symbolic one; and a note of
when it was changed last, as it may be changed again.
"""

import hashlib
import os
import re
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from comfyq.adapters.filesystem.durable import make_folder, replace
from comfyq.adapters.filesystem.lock import AlreadyHeld, hold, is_held
from comfyq.adapters.filesystem.models.links import (
    changed_at,
    is_same,
    is_unchanged,
    links_below,
    next_name,
    own_size,
    put_link,
    put_name,
    real_name,
)
from comfyq.adapters.filesystem.models.part import (
    KEEP_BYTES,
    PARTS,
    READ_BYTES,
    FilePart,
    FreeBytes,
    adoption_of,
    check_content,
    lock_of,
    note_of,
    part_of,
    place_of,
)
from comfyq.adapters.filesystem.models.room import Bounds, StoreRoom
from comfyq.adapters.filesystem.models.uses import ModelUses
from comfyq.domain.lock_format import SHA256
from comfyq.domain.models.errors import ModelRefused
from comfyq.domain.models.lock import LockedModel
from comfyq.domain.models.source import STORE
from comfyq.ports.models.store import ModelPart, ModelState, PartHeld, StoredModel

USES = "uses"  # below STORE
PART = re.compile(r"([0-9a-z-]+)\.part")
HELD_AT_ONCE = 100  # each is two open files, and a process may have 1,024


UNBOUNDED = Bounds()


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


class FolderModels:
    """Implements ports.models.store.ModelStore and ModelInventory below ``root``, which is
    ComfyUI's folder ``models`` or one that ComfyUI is told of."""

    def __init__(
        self,
        root: Path,
        *,
        bounds: Bounds = UNBOUNDED,
        free_bytes: FreeBytes = _free_bytes,
        keep_bytes: int = KEEP_BYTES,
    ) -> None:
        self._root = root
        self._store = root / STORE
        self._uses = ModelUses(self._store / USES)
        self._room = StoreRoom(self._store, self, self._uses, bounds=bounds, free_bytes=free_bytes)
        self._keep_bytes = keep_bytes

    def holds(self, sha256: str, size: int) -> bool:
        place = self._place(sha256)
        return _size(place) == size and is_unchanged(place)

    @contextmanager
    def part(self, key: str) -> Iterator[ModelPart]:
        path = self._part(key)
        make_folder(str(path.parent))
        with _held(path):
            part = FilePart(
                path,
                place=self._place,
                make_room=self._room.make,
                keep_bytes=self._keep_bytes,
            )
            try:
                yield part
            finally:
                part.close()

    def adopt(self, model: LockedModel) -> None:
        target, place = self._target(model), self._place(model.sha256)
        changed = changed_at(target)
        if _size(target) != model.size or _digest(target) != model.sha256:
            return
        with target.open("rb") as content:
            check_content(content, model.file, model.size)
        replace(adoption_of(place), lambda note: note.write(changed))
        put_name(place, self._root.resolve() / model.path)

    def link(self, model: LockedModel) -> None:
        target, place = self._target(model), self._place(model.sha256)
        if is_same(target, place):
            return
        if os.path.lexists(target) and not self._is_ours(target):
            raise ModelRefused(
                f"{target}: another file of this name stands there; move it away, or name it "
                "otherwise in the workflow"
            )
        put_link(target, place)

    def room(self, coming: Collection[str] = ()) -> int:
        make_folder(str(self._store))
        return self._room.free(coming)

    def evictable(self, kept: Collection[str]) -> int:
        return self._room.evictable(kept)

    @contextmanager
    def using(self, sha256: Collection[str]) -> Iterator[None]:
        with self._uses.using(sha256):
            yield

    def state(self, model: LockedModel) -> tuple[ModelState, int]:
        target, place = self._target(model), self._place(model.sha256)
        is_stored = self.holds(model.sha256, model.size)
        if is_stored and is_same(target, place):
            return ModelState.READY, model.size
        if os.path.lexists(target) and not self._is_ours(target):
            return ModelState.OTHER, model.size if is_stored else 0
        if is_stored:
            return ModelState.UNLINKED, model.size
        begun = _size(self._part(model.sha256)) or 0
        return (ModelState.PARTIAL if begun else ModelState.MISSING), begun

    def all(self) -> Sequence[StoredModel]:
        files = sorted(self._store.glob("[0-9a-f][0-9a-f]/*"))
        return [
            StoredModel(file.name, own_size(file))
            for file in files
            if SHA256.fullmatch(file.name) and (file.is_file() or file.is_symlink())
        ]

    def digest(self, sha256: str) -> str | None:
        return _digest(self._place(sha256))

    def delete(self, sha256: Collection[str]) -> Sequence[str]:
        named, deleted = list(sha256), list[str]()
        for start in range(0, len(named), HELD_AT_ONCE):
            with ExitStack() as stack:
                some = named[start : start + HELD_AT_ONCE]
                free = [each for each in some if self._holds_for(stack, each)]
                self._delete(free)
                deleted += free
        return deleted

    def _holds_for(self, stack: ExitStack, sha256: str) -> bool:
        """Keep others from fetching, linking and using a file until ``stack`` ends; False: they do
        now."""
        try:
            with ExitStack() as held:
                held.enter_context(self._uses.unused(sha256))
                held.enter_context(_held(self._part(sha256)))
                stack.push(held.pop_all())
        except PartHeld:
            return False
        return True

    def _delete(self, sha256: Collection[str]) -> None:
        places = {real_name(str(self._place(each))) for each in sha256}
        for path in links_below(self._root):
            if next_name(path) in places:
                os.unlink(path)
        for each in sha256:
            place = self._place(each)
            place.unlink(missing_ok=True)
            adoption_of(place).unlink(missing_ok=True)
            self._uses.forget(each)

    def parts(self, kept: Collection[str]) -> Sequence[StoredModel]:
        names = [(PART.fullmatch(file.name), file) for file in (self._store / PARTS).glob("*")]
        found = [
            StoredModel(name[1], _size(file) or 0)
            for name, file in names
            if name and name[1] not in kept and not is_held(lock_of(file))
        ]
        return sorted(found, key=_key)

    def delete_parts(self, keys: Collection[str]) -> Sequence[str]:
        deleted = []
        for key in keys:
            path = self._part(key)
            with suppress(PartHeld), self._uses.unused(key), _held(path):
                path.unlink(missing_ok=True)
                note_of(path).unlink(missing_ok=True)
                if not os.path.lexists(self._store / key[:2] / key):
                    self._uses.forget(key)
                deleted.append(key)
        return deleted

    def _place(self, sha256: str) -> Path:
        return place_of(self._store, sha256)

    def _part(self, key: str) -> Path:
        return part_of(self._store, key)

    def _target(self, model: LockedModel) -> Path:
        return self._root / model.folder / model.file

    def _is_ours(self, target: Path) -> bool:
        """Return whether a path is a link into the store, wherever it leads to there."""
        store = os.path.realpath(self._store)
        return target.is_symlink() and next_name(str(target)).startswith(store + os.sep)


@contextmanager
def _held(part: Path) -> Iterator[None]:
    """Let nobody else have a part; its lock goes with it. Raises PartHeld."""
    try:
        lock = hold(lock_of(part))
    except AlreadyHeld:
        raise PartHeld(part.stem) from None
    try:
        yield
    finally:
        if not os.path.lexists(part):
            lock_of(part).unlink(missing_ok=True)
        lock.release()


def _key(part: StoredModel) -> str:
    return part.sha256


def _size(file: Path) -> int | None:
    try:
        return file.stat().st_size
    except OSError:
        return None


def _digest(file: Path) -> str | None:
    digest = hashlib.sha256()
    try:
        with file.open("rb") as content:
            while chunk := content.read(READ_BYTES):
                digest.update(chunk)
    except OSError:
        return None
    return digest.hexdigest()
