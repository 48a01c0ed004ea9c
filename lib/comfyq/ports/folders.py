from typing import Protocol


class Folders(Protocol):
    """ComfyUI's own folders, where a worker runs on ComfyUI's machine."""

    def remove(self, folder: str, name: str) -> bool:
        """Delete the file ``name`` (with its subfolder) of ``folder``: output, temp or input.

        Folders that have become empty by it go as well. It blocks for as long as the file system
        takes. False: there is no such file, or the name leads out of the folder.
        """
        ...
