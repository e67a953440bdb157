#!/usr/bin/env bash
# Everything that one run on a GPU measures: bash run.sh [SECONDS], in the project's root. See the README beside it.
# PHASES="agree times kernels micro tests table recipes" picks some; TABLE, DATASET and PROTOCOL change the table.
# LANES="a.yaml,5 c.yaml" names recipes and numbers of tables: those of a lane one after the other, lanes side by side.
set -uo pipefail
total=${1:-465}
: "${OUT:=/tmp/out}" "${PHASES:=agree times kernels micro tests table}" "${LANES:=}"
: "${TABLE:=2}" "${DATASET:=mnist}" "${PROTOCOL:=paper}" "${CHECK_DEVICE:=cuda:0}" "${RESULTS:=/tmp}" "${STAGE:=.gpu}"
export OUT CHECK_DEVICE
here=tests/campaigns/gpu
study=(--table "$TABLE" --dataset "$DATASET" --protocol "$PROTOCOL" --device "$CHECK_DEVICE")
mkdir -p "$OUT"
left() { echo $((total - SECONDS)); }
say() { printf '\n=== %3s s: %s\n' "$SECONDS" "$*"; }
want() { [[ " $PHASES " == *" $1 "* ]]; }
# the seconds that a part may take: so many at most, and 20 less than there are
capped() { local most=$1 have; have=$(($(left) - 20)); echo $((most < have ? most : (have > 1 ? have : 1))); }
part() { local name=$1 most=$2; shift 2; timeout -k 5 "$(capped "$most")" python3 "$@"; echo "$name: exit $?"; }
test_gpu() {
  PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 timeout -k 5 "$(capped 110)" python3 -m pytest -m gpu -q -n "$1" -p xdist \
    -p no:cacheprovider -o faulthandler_timeout=60 --maxfail 20 --durations 10
  echo "tests: exit $?"
}

if compgen -G "$STAGE/wheels/*.whl" > /dev/null; then
  python3 -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade --target /tmp/site "$STAGE"/wheels/*.whl || exit 3
  export PYTHONPATH="/tmp/site:$PWD${PYTHONPATH:+:$PYTHONPATH}"
fi
if [ -d "$STAGE/data" ]; then export ASYMBP_DATA="$PWD/$STAGE/data"; fi
export PYTHONUNBUFFERED=1 ASYMBP_CACHE="${ASYMBP_CACHE:-/tmp/asymbp-cache}"

if want table; then # decoded on the CPU meanwhile
  python3 -m asymbp_cli reproduce "${study[@]}" --dry-run > /dev/null &
  decoding=$!
fi
nvidia-smi --query-gpu=name,driver_version,memory.total,compute_mode,clocks.sm,clocks.max.sm --format=csv 2> /dev/null
python3 - << 'P' || exit 4
import os, torch
from asymbp_cli.training.device import describe, explain_slowness, open_device
print(torch.__version__, torch.version.cuda, torch.backends.cudnn.version())
device = open_device(os.environ["CHECK_DEVICE"])
print(device, describe(os.environ["CHECK_DEVICE"]), explain_slowness(device) or "kernels run" if device.type == "cuda" else "")
P

if want agree; then say agree; part agree 60 $here/check.py agree "${AGREE:-40}"; fi
if want times; then say times; part times "${TIMES:-60}" $here/check.py times $((${TIMES:-60} - 10)); fi
if want kernels; then say kernels; part kernels 40 $here/check.py kernels 30; fi
if want micro; then say micro; part micro 50 $here/check.py micro "${MICRO:-30}"; fi
if want tests; then
  say tests
  if want recipes || want table; then test_gpu 3 > "$OUT/tests.log" 2>&1 & tests=$!; else test_gpu 6; fi
fi
if want recipes; then
  say "recipes, $(left) s left"
  number=0 lanes=()
  for lane in $LANES; do
    commands=() number=$((number + 1))
    for what in ${lane//,/ }; do
      case $what in
        *.yaml) commands+=(train --recipe "$what" --device "$CHECK_DEVICE" --) ;;
        *) commands+=(reproduce --table "$what" "${study[@]:2}" --) ;;
      esac
    done
    python3 $here/reproduce.py $(($(left) - 25)) "$RESULTS/lane$number" "${commands[@]}" > "$OUT/lane$number.log" 2>&1 &
    lanes+=($!)
  done
  wait "${lanes[@]}"
  tail -n 30 "$OUT"/lane*.log
fi
if want table; then
  wait "$decoding"
  if [ "$PROTOCOL" = paper ] && [ "$(left)" -lt 150 ]; then # too little for 65 epochs, and what is unfinished is lost
    echo "table: $(left) s are left: by the quick protocol"
    study=("${study[@]/#paper/quick}")
  fi
  say "table $TABLE of $DATASET, $(left) s left"
  python3 $here/reproduce.py $(($(left) - 25)) "$RESULTS/results" reproduce "${study[@]}" 2>&1 | tail -120
fi
if [ -n "${tests:-}" ]; then wait "$tests"; tail -n 100 "$OUT/tests.log"; fi
say "end; in \$OUT:"
ls -la "$OUT"
