#!/usr/bin/env bash
# On a machine with a GPU and no internet: how fast every training of WRN-34-10 is, and then, in what is left of the
# time, as much of Table 2 at the papers' scale as fits. A second call goes on with what the first left.
#
#   benchmarks/gpu.sh DATA [MINUTES] [OUT]
#
# DATA is CIFAR-10's official binary archive, or the folder with its files. OUT (by default runs/gpu) gets speed.txt,
# speed.json and the run of table2. PYTHON names the interpreter, which must have the packages of the extra `vision`.
set -euo pipefail
data=$(realpath "${1:?usage: benchmarks/gpu.sh DATA [MINUTES] [OUT]}")
minutes=${2:-60}
end=$((SECONDS + 60 * minutes))
out=$(realpath -m "${3:-$(dirname "$0")/../runs/gpu}")
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
mkdir -p "$out"
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"

if [ ! -e "$out/speed.json" ]; then
    timeout --signal=INT "$((end - SECONDS))" "$python" benchmarks/gpu_speed.py --data-dir "$data" \
        --out "$out/speed.json.part" ${GPU_SPEED_FLAGS:-} 2>&1 | tee "$out/speed.txt"
    mv "$out/speed.json.part" "$out/speed.json"
fi

left=$((end - SECONDS))
if [ "$left" -gt 60 ]; then
    if [ -e "$out/table2/config.yaml" ]; then
        command=(resume "$out/table2")
    else
        command=(reproduce table2 --scale "${GPU_SCALE:-paper}" --data cifar10 --data-dir "$data" --workers 1 --out "$out/table2")
    fi
    # Ctrl-C lets a step end and writes a checkpoint: 130 is a stop that can be gone on with.
    timeout --signal=INT --kill-after=60 "$left" "$python" -m tasks "${command[@]}" || status=$?
    case "${status:-0}" in
        0) echo "Table 2 is complete: $out/table2/report.html" ;;
        124 | 130) echo "Time is up. The same call goes on with Table 2." ;;
        *) exit "$status" ;;
    esac
fi
