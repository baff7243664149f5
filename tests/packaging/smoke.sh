#!/usr/bin/env bash
# Builds the source distribution and from it the wheel, installs the wheel, and uses it in an empty folder.
#
#   smoke.sh PYTHON            libraries are lent from PYTHON's environment: some seconds. It shows that the wheel
#                              alone holds all of neuro_aws, its protocols, pages and command, and that what it
#                              requires is there in versions it accepts; not that it requires all that it imports
#   smoke.sh PYTHON --clean    everything is installed from the index, as a stranger does: minutes, 1.5 GB
set -euo pipefail
python=$(realpath --no-symlinks "$1")
clean=${2:-}
checkout=$(realpath "$(dirname "$0")/../..")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset PYTHONPATH
cd "$work"

quietly() { "$@" >"$work/log" 2>&1 || { tail -n 30 "$work/log"; echo "smoke: failed: $*"; exit 1; }; }

if [[ $clean == --clean ]]; then isolation=(); else isolation=(--no-isolation); fi
quietly "$python" -m build "${isolation[@]}" --outdir dist "$checkout"
quietly "$python" -m venv --without-pip venv
wheel=$(echo dist/*.whl)
pip=("$python" -m pip --python venv/bin/python --disable-pip-version-check --quiet)
if [[ $clean == --clean ]]; then
  # The CPU build of torch, where it is to be had; else the index's own.
  torch=$(sed -n 's/^\(torch==.*\)/\1/p' "$checkout/constraints.txt")
  "${pip[@]}" install "$torch+cpu" 2>/dev/null \
    || "${pip[@]}" install --extra-index-url https://download.pytorch.org/whl/cpu "$torch+cpu" 2>/dev/null \
    || quietly "${pip[@]}" install "$torch"
  quietly "${pip[@]}" install -c "$checkout/constraints.txt" "$wheel[nwb,report]"
else
  place='import sysconfig; print(sysconfig.get_path("purelib"))'
  "$python" -c "$place" >"$(venv/bin/python -c "$place")/lent.pth"
  if venv/bin/python -c 'import neuro_aws' 2>/dev/null; then
    echo "smoke: neuro_aws is there before its wheel is installed: nothing would be shown"
    exit 1
  fi
  quietly "${pip[@]}" install --no-index --no-deps --ignore-installed "$wheel"
fi
quietly "${pip[@]}" check

mkdir elsewhere
cd elsewhere
aws=../venv/bin/neuro-aws
../venv/bin/python -c 'import neuro_aws; print("smoke:", neuro_aws.__file__)' | grep "$work/venv"
[[ $($aws list protocols | wc -l) -eq $(($(ls "$checkout"/protocols/*.yaml | wc -l) + 1)) ]]
$aws --version
quietly $aws validate quickstart
quietly $aws new mine.yaml --from critical_period
quietly $aws run critical_period --short --seeds 1 --jobs 1 --arms control,rem_silenced --step written-out
run=$(echo runs/critical_period/*)
quietly $aws report "$run"
quietly $aws export "$run" --arm control --format nwb --inspect
quietly $aws export "$run" --format csv
ls "$run/report.html" "$run/export/s0_control.nwb" "$run/export/measures.csv" >/dev/null
echo "smoke: $(basename "$wheel") runs, reports and exports from an empty folder"
