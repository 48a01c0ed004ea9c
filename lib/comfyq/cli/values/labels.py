"""Labels as options of commands have them."""

from collections.abc import Sequence

from comfyq.cli.errors import CannotStart
from comfyq.domain.submission.labels import label_of, labels_of


def labels_given(texts: Sequence[str] | None) -> dict[str, str]:
    """Return what --label gives; raises CannotStart."""
    try:
        return labels_of(dict(label_of(text) for text in texts or ()))
    except ValueError as wrong:
        raise CannotStart(f"--label: {wrong}") from wrong
