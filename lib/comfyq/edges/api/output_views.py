"""Show outputs, as many as an answer has room for.

A function's answer may have 6 MB, in which it stands as text within JSON once more.
"""

import json
from collections.abc import Iterator, Sequence

from comfyq.domain.files.output import Output, OutputKind, OutputPage
from comfyq.domain.job import JobId
from comfyq.edges.api.links import Links
from comfyq.wire.generate.jobs import OutputList, OutputView

ANSWER_BYTES = 5_500_000
LEAST_BYTES = 400  # of an output in an answer, but for its texts and the address of the server

NO_OUTPUTS = OutputPage((), 0, 0)


class OutputViews:
    """Shows outputs with the URLs that ``links`` makes."""

    def __init__(self, links: Links) -> None:
        self._links = links

    def shown(self, job_id: JobId, page: OutputPage, *, room: int = ANSWER_BYTES) -> OutputList:
        """Show those of a page that fit into ``room`` bytes, and at least its first."""
        fitting = [
            self._output(job_id, page.start + at, output)
            for at, output in enumerate(self._fitting(page, room))
        ]
        after = page.start + len(fitting)
        more = self._links.outputs(job_id, after) if after < page.total else None
        return OutputList(outputs=fitting, more_outputs=more)

    def image_url(self, job_id: JobId, page: OutputPage, shown: Sequence[OutputView]) -> str | None:
        """Return the link to the first image of a page, of which the first outputs are shown."""
        for at, output in enumerate(page.outputs):
            if output.kind is OutputKind.IMAGE:
                is_shown = at < len(shown)
                return shown[at].url if is_shown else self._links.output(job_id, page.start + at)
        return None

    def _fitting(self, page: OutputPage, room: int) -> Iterator[Output]:
        fixed = LEAST_BYTES + len(self._links.base_url)
        for output in page.outputs:
            room -= fixed + sum(map(_sent_bytes, (output.node, output.filename, output.text or "")))
            if room < 0 and output is not page.outputs[0]:
                return
            yield output

    def _output(self, job_id: JobId, index: int, output: Output) -> OutputView:
        return OutputView(
            index=index,
            node=output.node,
            filename=output.filename,
            kind=output.kind,
            content_type=output.content_type,
            size=output.size,
            blake3=output.blake3,
            url=self._links.output(job_id, index),
            text=output.text,
        )


def _sent_bytes(text: str) -> int:
    """At most so many bytes has a text that is JSON within JSON."""
    plain = text.isascii() and text.isprintable() and '"' not in text and "\\" not in text
    return len(text) if plain else len(json.dumps(json.dumps(text)))
