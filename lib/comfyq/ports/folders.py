from typing import Protocol


class Folders(Protocol):
    """ComfyUI's own folders, where a worker runs on ComfyUI's machine."""

    def remove(self, folder: str, name: str) -> bool:
        """Delete the file ``name`` (with its subfolder) of ``folder``: output, temp or input.

        Subfolders that become empty are removed too. The call blocks on the file system. False:
        there is no such file, or the name leads out of the folder.
        """
        ...
