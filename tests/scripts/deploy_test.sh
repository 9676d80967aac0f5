#!/usr/bin/env bash
# usage: deploy_test.sh SCRIPTS_DIR. Says what is wrong; exit status 1 if anything is.
set -uo pipefail
scripts=$1
failed=0

expect() {  # expect STATUS TEXT... -- COMMAND: it ends so and says all the texts
  local status=$1 texts=() output got
  shift
  while [ "$1" != -- ]; do texts+=("$1"); shift; done
  shift
  output=$("$@" 2>&1 </dev/null)
  got=$?
  [ "$got" = "$status" ] || { echo "$*: status $got instead of $status: $output"; failed=1; }
  for text in "${texts[@]}"; do
    [[ $output == *"$text"* ]] || { echo "$*: does not say '$text': $output"; failed=1; }
  done
}

for script in "$scripts"/*; do
  if head -n 1 "$script" | grep -q bash; then expect 0 -- bash -n "$script"; fi
done

expect 0 "scripts/build_agent --static" -- "$scripts/build_agent" --help
expect 2 "unknown argument --nonsense" -- "$scripts/build_agent" --nonsense

rasp4="$scripts/deploy-rasp4"
expect 0 "USER@HOST [options]" "--dry-run" -- "$rasp4" --help
expect 2 "which board?" -- "$rasp4"
expect 2 "unknown option --nonsense" -- "$rasp4" --nonsense
expect 2 "--port wants a value" -- "$rasp4" pi@board --port
expect 0 "scp build/agent/kiln-agent-arm64.tar.gz pi@board:kiln-agent-9201.tar.gz" \
  "-R 127.0.0.1:9190:127.0.0.1:9190 -L 127.0.0.1:9201:127.0.0.1:9201 pi@board" "--target\\ rasp4b" \
  -- "$rasp4" pi@board --dry-run
expect 0 "ExecStart=%h/kiln-agent-9300/bin/kiln-server --tracker 127.0.0.1:9190 --listen 127.0.0.1:9300 --target rasp4b --cores 2-3" \
  "kiln-agent-arm64-static.tar.gz" "ssh -N" -- "$rasp4" pi@board --dry-run --systemd --static --cores 2-3 --port 9300

pixel="$scripts/deploy-pixel"
expect 0 "[SERIAL] [options]" "x1|a76|a55" -- "$pixel" --help
expect 2 "--class is x1, a76 or a55, not a78" -- "$pixel" --class a78
expect 2 "unknown option --nonsense" -- "$pixel" --nonsense
expect 0 "adb reverse tcp:9190 tcp:9190" "adb forward tcp:9211 tcp:9211" "--target\\ pixel6\\ --cores\\ 6-7" -- "$pixel" --dry-run
expect 0 "adb -s 1A2B push" "adb -s 1A2B reverse tcp:9999 tcp:9999" "--target\\ pixel6-a55\\ --cores\\ 0-3\\ --name\\ pixel6-a55-1A2B" \
  -- "$pixel" 1A2B --class a55 --tracker 9999 --dry-run
exit $failed
