"""Runs the contract suites on every look-alike of AWS that can be had here: `make compat`.

    python -m infra.compat install [NAME…]
    infra/namespace.sh python -m infra.compat run [DOCUMENT.md…] [NAME…]

``install`` needs the network; ``run`` must not have it, since some of the servers listen on every
interface. The table goes into the part ``compatibility`` of each document. The exit code is 1 if a
test fails that notes.toml does not explain.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from infra.compat.catalogue import LOOK_ALIKES
from infra.compat.lookalike import LookAlike, NotHere
from infra.compat.packages import HERE
from infra.compat.probes import kept, store
from infra.compat.report import Result, load_notes, table, unexplained
from infra.compat.server import Server
from infra.compat.suites import Outcome, run
from infra.marked_part import rewrite


def install(kinds: Sequence[LookAlike]) -> None:
    for kind in kinds:
        try:
            kind.install()
        except NotHere as reason:
            print(f"{kind.name}: not here: {reason}", flush=True)
        else:
            print(f"{kind.name}: {kind.package} is installed", flush=True)


def tried(kind: LookAlike) -> Result:
    """Its suites, and what it kept when it was killed; whatever is missing has a reason."""
    outcomes: dict[str, Outcome] = {}
    try:
        kind.install()
        with Server(kind) as server:
            for service in kind.services:
                print(f"{kind.name}: {service} … ", end="", flush=True)
                outcomes[service] = run(service, server.url)
                print(f"{outcomes[service].passed} of {outcomes[service].ran}", flush=True)
    except NotHere as reason:
        print(f"{kind.name}: not run: {reason}", flush=True)
        return Result(kind, outcomes, absent=str(reason))
    return Result(kind, outcomes, kept=_after_a_kill(kind))


def _after_a_kill(kind: LookAlike) -> dict[str, int]:
    """By service; empty if it does not come up again."""
    with Server(kind) as server:
        for service in kind.services:
            store(service, server.url)
        server.kill()
        try:
            server.start()
        except NotHere as reason:
            print(f"{kind.name}: does not start again: {reason}", flush=True)
            return dict.fromkeys(kind.services, 0)
        counts = {service: kept(service, server.url) for service in kind.services}
    print(f"{kind.name}: kept after kill -9: {counts}", flush=True)
    return counts


def main(arguments: Sequence[str]) -> int:
    match arguments:
        case ["install", *names]:
            install(_chosen(names))
            return 0
        case ["run", *given]:
            documents = [Path(each) for each in given if each.endswith(".md")]
            return _report(documents, [each for each in given if not each.endswith(".md")])
        case _:
            print(__doc__, file=sys.stderr)
            return 2


def _chosen(names: Sequence[str]) -> Sequence[LookAlike]:
    """Those of the names; of none, all."""
    return [kind for kind in LOOK_ALIKES if not names or kind.name in names]


def _report(documents: Sequence[Path], names: Sequence[str]) -> int:
    results = [tried(kind) for kind in _chosen(names)]
    notes = load_notes(HERE / "notes.toml")
    written = table(results, notes)
    print(f"\n{written}\n")
    for document in documents if not names else ():  # a table of some would leave out the others
        rewrite(document, "compatibility", written)
    for line in (new := unexplained(results, notes)):
        print(f"new: {line}", file=sys.stderr)
    return 1 if new else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
