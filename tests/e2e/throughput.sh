#!/bin/sh
# A batch of 16 renders against 16 single commands, in turns: tests/e2e/throughput.sh build/bin/zoetrope [ROUNDS [MODEL]]
set -eu
program=$(realpath "$1"); rounds=${2:-3}; model=${3:-mini}
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
printf '[defaults]\nmodel = "%s"\nprompt = "a red ball rises"\n[[job]]\nseed = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]\n' "$model" > night.toml
now() { date +%s%N; }
for round in $(seq "$rounds"); do
  rm -rf out single; mkdir single
  a=$(now); "$program" batch night.toml --output-dir out --progress none > records 2>&1
  b=$(now); for seed in $(seq 16); do "$program" render --model "$model" -p "a red ball rises" -s "$seed" -o "single/$seed.mp4" --progress none > record 2>&1; done
  c=$(now); echo "round $round: batch $(((b - a) / 1000000)) ms, singles $(((c - b) / 1000000)) ms, ratio $(((c - b) * 100 / (b - a)))/100"
done
