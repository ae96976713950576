#!/usr/bin/env bash
# Pack a model bundle and the handler into a TorchServe archive. The same input gives the same
# bytes, and the archive needs neither the network nor pip when it is loaded.
#
# Usage: ./build_mar.sh [BUNDLE [NAME [VERSION]]]    default: models/everyday hashtags 1.0
# Writes model_store/NAME.mar, or the file that MAR names, and enters its hash into SHA256SUMS
# beside it: what is not listed there is not served. PYTHON names the interpreter.
set -euo pipefail

case ${1:-} in -h | --help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit ;; esac
bundle=${1:-models/everyday}
name=${2:-hashtags}
version=${3:-1.0}
root=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-$root/.venv/bin/python}
mar=${MAR:-$root/model_store/$name.mar}
store=$(dirname "$mar")
file=$(basename "$mar")

refuse() {
    echo "build_mar.sh: $1" >&2
    exit 1
}
[ -x "$(command -v "$python")" ] || refuse "there is no Python at $python; run 'make install' or set PYTHON."
[[ $name =~ ^[A-Za-z0-9][A-Za-z0-9_.-]*$ ]] || refuse "the name '$name' may hold letters, digits, '_', '.' and '-' only."
[[ $version =~ ^[0-9]+(\.[0-9]+){0,2}$ ]] || refuse "the version '$version' is not of the form 1, 1.0 or 1.0.0."
[ -d "$bundle" ] || refuse "there is no bundle directory $bundle."

# The archiver empties $TMPDIR/NAME, so it gets a TMPDIR that is nobody else's.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/tmp" "$work/stage" "$work/out" "$work/store" "$store"
# In single precision, which workers can share, with its graph; this also checks the bundle.
PYTHONPATH=$root/handler "$python" -m hashstagram.graph "$bundle" "$work/stage"
(cd "$root/handler" && find . -name '*.py' -exec cp --parents {} "$work/stage" \;)
mv "$work/stage/hashtag_handler.py" "$work"

TMPDIR=$work/tmp "$python" -c 'from model_archiver.model_packaging import generate_model_archive as main; main()' \
    --model-name "$name" --version "$version" --archive-format no-archive \
    --handler "$work/hashtag_handler.py" --extra-files "$work/stage" \
    --config-file "$root/handler/model-config.yaml" --export-path "$work/out"

# Nothing of the machine or the moment goes in: a fixed date in the manifest, one order, one time
# stamp and one mode for all entries. Stored, not deflated: weights hardly shrink, and load faster.
"$python" - "$work/out/$name" "$work/store/$file" <<'PYTHON'
import json, shutil, sys, zipfile
from pathlib import Path

source, target = map(Path, sys.argv[1:])
manifest = source / "MAR-INF" / "MANIFEST.json"
fields = json.loads(manifest.read_text())
fields["createdOn"] = "01/01/1980 00:00:00"
manifest.write_text(json.dumps(fields, indent=2, sort_keys=True))
with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
    for path in sorted(p for p in source.rglob("*") if p.is_file()):
        entry = zipfile.ZipInfo(path.relative_to(source).as_posix())
        entry.external_attr = 0o644 << 16
        with path.open("rb") as file, archive.open(entry, "w", force_zip64=True) as packed:
            shutil.copyfileobj(file, packed)
PYTHON
PYTHONPATH=$root:$root/handler "$python" -m serving.archive --trust "$work/store/$file" >/dev/null

# The archive comes last: a build that is cut off before leaves one that make builds again.
if [ -e "$store/SHA256SUMS" ]; then
    awk -v name="$file" '$2 != name' "$store/SHA256SUMS" >> "$work/store/SHA256SUMS"
fi
for name in SHA256SUMS "$file"; do
    cp "$work/store/$name" "$store/$name.part"  # the work folder may be on another file system
    mv "$store/$name.part" "$store/$name"
done
echo "$bundle" > "${mar%.mar}.bundle"  # which bundle it was made from
echo "$mar"
