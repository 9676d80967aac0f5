#!/usr/bin/env bash
# Does what a user does with an installed Kiln: installs the build tree, builds examples/own_template against the installed
# tree, and runs both with an empty environment.
# usage: consumer.sh BUILD_DIR EXAMPLE_DIR CMAKE CXX_COMPILER CXX_FLAGS BUILD_TYPE
set -euo pipefail
build=$1 example=$2 cmake=$3 compiler=$4 flags=$5 build_type=$6

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

say() { printf '== %s\n' "$*"; }
fail() { printf 'FAILED: %s\n' "$*"; exit 1; }
run() { env -i HOME="$work" PATH=/usr/bin:/bin "$@"; }
expect() { # TEXT COMMAND...: the command succeeds and prints the text
  local text=$1 output
  shift
  say "$@"
  output=$(run "$@") || fail "exit status $? of: $*"$'\n'"$output"
  printf '%s\n' "$output"
  grep -qF -- "$text" <<<"$output" || fail "no \"$text\" in the output of: $*"
}

say install
"$cmake" --install "$build" --prefix "$work/elsewhere" >install.log || fail "$(cat install.log)"
mv elsewhere kiln # an installed tree can be moved
for file in bin/{kiln,kiln-server,kiln-tracker} libexec/kiln/{kiln-host,kiln-compile-worker} share/kiln/targets; do
  [ -e "kiln/$file" ] || fail "$file is not installed"
done
if leak=$(grep -rnF -e "$build" -e "$work" kiln/lib/cmake kiln/include); then fail "the package names a place: $leak"; fi

expect cascadelake kiln/bin/kiln targets
version=$(run kiln/bin/kiln --version)
for program in bin/kiln-server bin/kiln-tracker libexec/kiln/kiln-host; do
  expect "${version#kiln }" "kiln/$program" --version
done

say every installed header can be included
(cd kiln/include/kiln && find . -name '*.h' -printf '#include "%P"\n') | sort >headers.cc
# shellcheck disable=SC2086
"$compiler" $flags -std=c++20 -fsyntax-only -Ikiln/include/kiln headers.cc

say build the example
run "$cmake" -S "$example" -B example -G Ninja -DCMAKE_PREFIX_PATH="$work/kiln" -DCMAKE_CXX_COMPILER="$compiler" \
  -DCMAKE_CXX_FLAGS="$flags" -DCMAKE_BUILD_TYPE="$build_type"
run "$cmake" --build example -j 2

# What the example says it serves: types, zero points, activations and requantize forms; row counts with and without rest.
workloads=(
  dense/i8/n3c100/o77/pc/wz0/act=none/rq=int9/double
  dense/i8/n1c7/o8/pt/wz0/act=lo/rq=int7/single
  dense/u8s8/n4c33/o3/pc/wz0/act=lohi/rq=float/float
  dense/u8/n9c5/o17/pt/wz/act=lohi/rq=gen/double
)
expect "template dense.outer_product" example/my-kiln space --workload "${workloads[0]}"
for workload in "${workloads[@]}"; do
  expect "all bit-exact" example/my-kiln verify --workload "$workload" --samples 12
done
