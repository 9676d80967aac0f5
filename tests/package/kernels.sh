#!/usr/bin/env bash
# kiln_add_kernels() as an engine's build uses it: an installed Kiln, a project in a path with spaces, Ninja and Make, one more
# tuned layer, databases in all states, a cross build.
# usage: kernels.sh BUILD_DIR SOURCE_DIR CMAKE
set -euo pipefail
build=$1 source=$2 cmake=$3
model=$source/tests/data/models/tiny_int8_per_channel.tflite

work=$(mktemp -d)
tuner=
cleanup() {
  [ -z "$tuner" ] || { kill "$tuner" 2>/dev/null && wait "$tuner" 2>/dev/null; } || true
  rm -rf "$work"
}
trap cleanup EXIT
cd "$work"
export XDG_CACHE_HOME=$work/cache HOME=$work
unset KILN_DB

say() { printf '== %s\n' "$*"; }
fail() { printf 'FAILED: %s\n' "$*"; exit 1; }
"$cmake" --install "$build" --prefix "$work/kiln" >install.log || fail "$(cat install.log)"
kiln=$work/kiln/bin/kiln

mkdir "an engine" && cd "an engine"
"$kiln" tune --model "$model" --trials-per-task 2 --db tuning.db >tune.log 2>&1 || fail "$(cat tune.log)"
workloads=$("$kiln" workloads --model "$model" --json | sed -n 's/.*"workload":"\([^"]*\)".*/\1/p')
first=$(head -1 <<<"$workloads")
# All but the first layer are locked as tuned; that one is tuned in a database of its own.
default=$("$kiln" space --workload "$first" --json | sed -n 's/.*"default":"\([^"]*\)".*/\1/p')
for trials in 4 8 16 32 64; do # until another config than the default is the best
  "$kiln" tune --workload "$first" --trials-per-task $trials --db first.db >tune.log 2>&1 || fail "$(cat tune.log)"
  "$kiln" best --workload "$first" --db first.db --json | grep -qF "$default" || break
done
# shellcheck disable=SC2086
"$kiln" lock --workload $(tail -n +2 <<<"$workloads") --db tuning.db >/dev/null
"$kiln" lock --model "$model" --db tuning.db --target rasp4b >/dev/null
cp "$source/examples/use_kernels/run_layers.c" main.c
cp "$model" "my model.tflite"
cat >CMakeLists.txt <<'CMAKE'
cmake_minimum_required(VERSION 3.20)
project(engine LANGUAGES C)
find_package(Kiln REQUIRED COMPONENTS kernels)
set(FROM LOCK kiln.lock CACHE STRING "")
set(FALLBACK warn CACHE STRING "")
kiln_add_kernels(net ${FROM} MODEL "my model.tflite" FALLBACK ${FALLBACK})
add_executable(engine main.c)
get_target_property(cases net KILN_CASES)
target_include_directories(engine PRIVATE "$<TARGET_PROPERTY:net,KILN_SELF_TEST>")
target_link_libraries(engine PRIVATE net)
enable_testing()
add_test(NAME engine COMMAND engine "${cases}")
CMAKE

# configure DIR ARGUMENTS...; compile DIR: what it says is in `log`. Neither sees a database: there is none at its usual place.
configure() {
  local directory=$1
  shift
  env -u CC -u CXX "$cmake" -S . -B "$directory" -DCMAKE_PREFIX_PATH="$work/kiln" "$@" >log 2>&1 || fail "$(cat log)"
}
compile() { "$cmake" --build "$1" -v >log 2>&1; }
says() { grep -qF -- "$1" log || fail "no \"$1\" in:"$'\n'"$(cat log)"; }
says_not() { ! grep -qF -- "$1" log || fail "\"$1\" in:"$'\n'"$(cat log)"; }
passes() { (cd "$1" && ctest >log 2>&1) || fail "$(cat "$1/Testing/Temporary/LastTest.log")"; }

for generator in Ninja "Unix Makefiles"; do
  say "$generator: build, build again, one more tuned layer"
  cp kiln.lock before.lock
  configure "build $generator" -G "$generator"
  compile "build $generator" || fail "$(cat log)"
  says "4 tuned, 1 default; 10 objects, 10 compiled"
  says "mend: kiln tune --model"
  passes "build $generator"
  compile "build $generator" || fail "$(cat log)"
  says_not "compiled"
  "$kiln" lock --update --unconfirmed --workload "$first" --db first.db >lock.log || fail "$(cat lock.log)"
  [ "$(diff before.lock kiln.lock | grep -c '^[<>]')" -le 2 ] || fail "more than a line has changed: $(diff before.lock kiln.lock)"
  compile "build $generator" || fail "$(cat log)"
  says "5 tuned, 0 default"
  [ "$(grep -c 'compiled .* for ' log)" = 1 ] || fail "not one kernel was compiled: $(cat log)"
  [ kiln.lock -nt "build $generator/CMakeFiles/engine.dir/main.c.o" ] || fail "the engine was compiled again for a line of the lock file"
  [ ! "build $generator/net.kernels/libnet_kernels.a" -nt "build $generator/engine" ] || fail "the engine was not linked again"
  passes "build $generator"
  touch kiln.lock # newer, and the same
  compile "build $generator" || fail "$(cat log)"
  says "10 objects, 0 compiled"
  compile "build $generator" || fail "$(cat log)"
  says_not "objects"
  cp before.lock kiln.lock
done

say FALLBACK
configure build-error -G Ninja -DFALLBACK=error
! compile build-error || fail "FALLBACK error built with a default"
says "1 kernels would be untuned defaults"
configure build-silent -G Ninja -DFALLBACK=silent
compile build-silent || fail "$(cat log)"
says_not "warning: the default"

say a damaged lock file
sed 's/threads=1/threads=2/' before.lock >kiln.lock
! compile build-silent || fail "a build took a damaged lock file"
says "kiln.lock: line "
cp before.lock kiln.lock

say databases
configure build-db -G Ninja "-DFROM=DATABASE;tuning.db"
compile build-db || fail "$(cat log)"
says "5 tuned, 0 default"
passes build-db
"$kiln" tune --model "$model" --trials-per-task 400 --db tuning.db >tuner.log 2>&1 &
tuner=$!
touch main.c tuning.db
compile build-db || fail "beside a tuner: $(cat log)"
passes build-db
compile "build Ninja" || fail "$(cat log)"
kill "$tuner" && wait "$tuner" || true
tuner=
chmod a-w tuning.db
touch -d "1 minute" tuning.db
compile build-db || fail "read-only: $(cat log)"
says "objects"
python3 -c 'import sqlite3; sqlite3.connect("tuning.db").execute("PRAGMA user_version = 99")'
touch -d "2 minutes" tuning.db
! compile build-db || fail "a build read a database of a newer Kiln"
says "newer"
rm tuning.db
! compile build-db || fail "a build did without its database"
compile "build Ninja" || fail "a build with a lock file notices the database: $(cat log)"
configure build-nothing -G Ninja "-DFROM=DATABASE;none.db"
! compile build-nothing || fail "a build read a database that is not there"

say mistakes
printf 'kiln_add_kernels(other LOCK kiln.lock DATABASE x.db)\n' >>CMakeLists.txt
! "$cmake" -S . -B build-mistake -DCMAKE_PREFIX_PATH="$work/kiln" >log 2>&1 || fail "LOCK and DATABASE"
says "LOCK or DATABASE, not both"
sed -i '$d' CMakeLists.txt

mkdir only-cxx && printf '%s\n' 'cmake_minimum_required(VERSION 3.20)' 'project(x LANGUAGES CXX)' \
  'find_package(Kiln REQUIRED COMPONENTS kernels)' 'kiln_add_kernels(net LOCK ../kiln.lock)' >only-cxx/CMakeLists.txt
! "$cmake" -S only-cxx -B build-cxx -DCMAKE_PREFIX_PATH="$work/kiln" >log 2>&1 || fail "a project without C"
says "libraries of kernels are C"

say a cross build
if command -v aarch64-linux-gnu-gcc >/dev/null && command -v qemu-aarch64 >/dev/null; then
  configure build-arm -G Ninja -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 \
    -DCMAKE_C_COMPILER=aarch64-linux-gnu-gcc -DCMAKE_CROSSCOMPILING_EMULATOR="qemu-aarch64;-L;/usr/aarch64-linux-gnu" \
    -DCMAKE_FIND_ROOT_PATH_MODE_PROGRAM=NEVER
  compile build-arm || fail "$(cat log)"
  says "5 workloads for rasp4b"
  passes build-arm
else
  echo "SKIPPED: no aarch64-linux-gnu-gcc or qemu-aarch64"
fi

say the examples
"$cmake" -S "$source/examples/use_kernels" -B build-examples -G Ninja -DCMAKE_PREFIX_PATH="$work/kiln" -DCMAKE_BUILD_TYPE=Release \
  -DCMAKE_C_FLAGS="-Wall -Wextra -Werror" -DCMAKE_CXX_FLAGS="-Wall -Wextra -Werror" >log 2>&1 || fail "$(cat log)"
compile build-examples || fail "$(cat log)"
grep "objects" log
passes build-examples
echo done
