"""Paths into the folders of ComfyUI that all jobs share, where each has ``comfyq/JOB/…``."""

import posixpath
import re

FOLDER = "comfyq"  # of the output folder, below which all jobs save
WARM_FOLDER = f"{FOLDER}/warm"  # of runs that are no job's
ANNOTATION = re.compile(r"\s*\[(?:input|output|temp)\]\s*$")  # ComfyUI's own way to say a folder


def normal_path(name: str) -> str:
    """Return one spelling for all names of a file, without the folder in brackets behind it: some
    file systems take capitals for small letters, and Windows a backslash for a slash."""
    path = ANNOTATION.sub("", name).strip().replace("\\", "/")
    return posixpath.normpath(path).lower()


def leads_elsewhere(job: str, folder: str, path: str) -> bool:
    """Return whether a file below ComfyUI's ``folder`` is outside of it, or in another job's."""
    root, *parts = normal_path(f"{folder}/{path}").split("/")
    is_below = root == folder.lower() and len(parts) > 0
    return not is_below or (parts[0] == FOLDER and len(parts) > 2 and parts[1] != job.lower())
