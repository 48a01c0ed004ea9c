"""The recipe of a worker's image with custom nodes, on top of the image of infra/gpu/Dockerfile."""

from collections.abc import Iterable, Sequence

from comfyq.domain.environment.lock import LockedNodes

CUSTOM_NODES = "/opt/comfyq/custom_nodes"  # ComfyUI's user cannot write there
PIP = "/opt/comfyui/bin/pip"
DESCRIPTION = "/opt/comfyq/environment.txt"
BASE = "comfyq-worker"
HEAD = """\
# syntax=docker/dockerfile:1
# Made by `comfyq images dockerfile`: a comfyq worker whose ComfyUI has the custom nodes of
# {workflows}.
#
#   docker build -f infra/gpu/Dockerfile -t {base} .     # in a checkout of comfyq
#   comfyq images dockerfile | docker build -t {base}-nodes -
#
# Each repository is pinned by its commit and by a hash of its files. What their requirements.txt
# names is as they pin it; versions of torch and its companions stay those of the image below.
ARG BASE={base}
FROM ${{BASE}}
"""
FOLDER = f"""
# ComfyUI runs with a base directory of its own: it finds these by its file of paths.
RUN install --directory {CUSTOM_NODES} \\
 && printf 'comfyq_nodes:\\n  base_path: /opt/comfyq\\n  custom_nodes: custom_nodes\\n' \\
      >>/opt/comfyq/extra_model_paths.yaml
"""
FETCH = """
# {folder}
RUN git init --quiet {path} \\
 && cd {path} \\
 && git remote add origin {repository} \\
 && git fetch --quiet --depth 1 origin {commit} \\
 && test "$(git archive --format=tar {commit} | sha256sum | cut -c 1-64)" = \\
      {sha256} \\
 && git checkout --quiet --detach {commit} \\
 && git submodule --quiet update --init --recursive --depth 1 \\
 && rm -rf .git
RUN if [ -f {path}/requirements.txt ]; then \\
      {pip} install --no-cache-dir --constraint /opt/comfyui/pins.txt \\
        --requirement {path}/requirements.txt; \\
    fi
"""
END = """
# What a worker's environment digest is of.
RUN {pip} freeze --all >/tmp/packages \\
 && {{ LC_ALL=C sort /tmp/packages | sed 's/^/python /'; \\
      printf '%s\\n' \\
{lines}; }} >{file} \\
 && rm /tmp/packages
ENV COMFYQ_ENVIRONMENT_FILE={file}
"""


def dockerfile(workflows: Iterable[str], nodes: Iterable[LockedNodes], *, base: str = BASE) -> str:
    """Write the recipe; it is the same for the same workflows and nodes, in whatever order.

    ``nodes`` go together, as ``check_together`` says.
    """
    ordered = sorted(set(nodes), key=lambda each: each.folder)
    names = sorted(set(workflows))
    head = HEAD.format(workflows=", ".join(names) or "no workflow", base=base)
    if not ordered:
        return head
    layers = [
        FETCH.format(
            folder=each.folder,
            path=f"{CUSTOM_NODES}/{each.folder}",
            repository=each.repository,
            commit=each.commit,
            sha256=each.sha256,
            pip=PIP,
        )
        for each in ordered
    ]
    return head + FOLDER + "".join(layers) + _end(ordered)


def _end(nodes: Sequence[LockedNodes]) -> str:
    lines = [f"        'node {each.repository} {each.commit}'" for each in nodes]
    return END.format(pip=PIP, lines=" \\\n".join(lines), file=DESCRIPTION)
