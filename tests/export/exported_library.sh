#!/usr/bin/env bash
# From a tuned model to a linked library and back: locks, exports, builds with what a user has, runs the self-test with the
# model's weights natively and under emulators.
# usage: exported_library.sh KILN KERNEL_FUZZ SOURCE_DIR [SEED]
set -euo pipefail
kiln=$1 fuzz=$2 source=$3 seed=${4:-20261126}
model=$source/tests/data/models/tiny_int8_per_channel.tflite
golden=$source/tests/data/models/tiny_int8_per_channel.golden

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export XDG_CACHE_HOME=$work/cache XDG_DATA_HOME=$work/data KILN_DB=$work/tuning.db

say() { printf '== %s\n' "$*"; }
fail() { printf 'FAILED: %s\n' "$*"; exit 1; }
have() { command -v "$1" >/dev/null || { printf 'SKIPPED: no %s\n' "$1"; return 1; }; }
# expect TEXT COMMAND...: it succeeds and prints the text. refuse TEXT COMMAND...: it fails, and says so in one line.
expect() {
  local text=$1 output
  shift
  output=$("$@" 2>&1) || fail "exit status $? of: $*"$'\n'"$output"
  grep -qF -- "$text" <<<"$output" || fail "no \"$text\" in the output of: $*"$'\n'"$output"
}
refuse() {
  local text=$1 output status=0
  shift
  output=$("$@" 2>&1) || status=$?
  [ $status -ne 0 ] || fail "this succeeded: $*"
  grep -qF -- "$text" <<<"$output" || fail "no \"$text\" in the output of: $*"$'\n'"$output"
}
# The digest of every file that an export wrote.
bytes() { (cd "$1" && find . -type f | LC_ALL=C sort | xargs -d '\n' sha256sum); }

arch=$(uname -m)
"$kiln" tune --model "$model" --trials-per-task 3 >tune.log 2>&1 || fail "$(cat tune.log)"
expect "5 new" "$kiln" lock --model "$model"
others="cascadelake alderlake"
[ "$arch" = x86_64 ] || others=
# shellcheck disable=SC2086
expect "new" "$kiln" lock --model "$model" --target $others rasp4b pixel6 --threads 1 2
expect "0 stale, 0 missing" "$kiln" lock --check --model "$model"
native=$("$kiln" best --model "$model" --json | sed -n 's/.*"target":"\([^"]*\)".*/\1/p' | head -1)

say mistakes are refused, and nothing is touched
refuse "--arch" "$kiln" export --lock kiln.lock --model "$model" --out net
refuse "cannot begin a C name" "$kiln" export --lock kiln.lock --target "$native" --out net --prefix 1net
mkdir full && echo mine >full/notes.txt
refuse "no exported library" "$kiln" export --lock kiln.lock --target "$native" --out full
[ "$(ls full)" = notes.txt ] || fail "something was written to a directory of somebody else"
refuse "no such file" "$kiln" export --lock nothing.lock --out net
refuse "--fallback error" "$kiln" export --lock kiln.lock --target "$native" --network mobilenet_v2 --out net --fallback error
[ ! -e net ] || fail "a refused export left files"

say "objects for $arch"
targets=$native
[ "$arch" = x86_64 ] && targets="$native cascadelake"
if [ "$arch" = x86_64 ] && ! [[ $native == *avxvnni* ]]; then targets="$targets alderlake"; fi
[[ $native == *avx512vnni* ]] && targets=${targets/cascadelake/}
# shellcheck disable=SC2086
export_net() { "$kiln" export --lock kiln.lock --model "$model" --golden "$golden" --target $targets --prefix net "$@"; }
expect "5 tuned" export_net --out net
bytes net >first
expect "0 compiled" export_net --out net
bytes net >second
cmp first second || fail "exporting twice gives other bytes"
expect "compiled" export_net --out "else where"
bytes "else where" >third
cmp first third || fail "exporting to another directory gives other bytes"
refuse "is the library net, not other" "$kiln" export --lock kiln.lock --target "$native" --out net --prefix other
[[ $(cat net/manifest.json) != *"$work"* ]] || fail "the manifest names a place"

say two exports into one directory at once
expect "compiled" export_net --out shared &
first=$!
expect "compiled" export_net --out shared
wait $first || fail "one of two exports into one directory failed"
bytes shared >at_once
cmp at_once second || fail "two exports at once give other bytes"

say make, and what picks kernels
expect "all bit-exact" make -C net check
expect "chosen here: 5 of target $native, of which 0 were never measured" net/self_test/self_test net/self_test/net.cases
for processor in Haswell Nehalem; do
  [ "$arch" = x86_64 ] && have qemu-x86_64 || continue
  picks=x86-64
  if [ $processor = Haswell ] && [[ $native != *avx512* && $native != *avxvnni* ]]; then picks=$native; fi
  [ $processor = Haswell ] && [ $picks != "$native" ] && continue # no AVX2 kernels are in it
  expect "chosen here: 5 of target $picks" qemu-x86_64 -cpu $processor net/self_test/self_test net/self_test/net.cases
done
printf 'damage' | dd of=net/self_test/net.cases bs=1 seek=3000 conv=notrunc 2>/dev/null
refuse "WRONG" net/self_test/self_test net/self_test/net.cases
refuse "cannot read" net/self_test/self_test nothing.cases
expect "0 compiled" export_net --out net # and mends what was damaged
expect "all bit-exact" net/self_test/self_test net/self_test/net.cases

say names: only the prefix is seen, nothing is missing
make -s -C net shared
seen=$(nm -D --defined-only net/libnet.so | awk '{print $3}' | grep -v '^net_' || true)
[ -z "$seen" ] || fail "libnet.so shows $seen"
missing=$(nm -u net/kernels/*/*.o | grep ' U ' || true)
[ -z "$missing" ] || fail "kernels need $missing"
writable=$(objdump -h net/kernels/*/*.o net/src/net.o | awk '($2 == ".data" || $2 == ".bss") && $3 !~ /^0+$/' || true)
[ -z "$writable" ] || fail "writable data: $writable"

say cmake, Ninja and Make, in a path with spaces
for generator in Ninja "Unix Makefiles"; do
  cmake -S "else where" -B "build $generator" -G "$generator" >cmake.log || fail "$(cat cmake.log)"
  start=$(date +%s)
  cmake --build "build $generator" >cmake.log 2>&1 || fail "$(cat cmake.log)"
  echo "built in $(($(date +%s) - start)) s"
  expect "100% tests passed" ctest --test-dir "build $generator"
  cmake --install "build $generator" --prefix "$work/installed" >cmake.log || fail "$(cat cmake.log)"
done
export PKG_CONFIG_PATH=$work/installed/lib/pkgconfig:$work/installed/lib/$arch-linux-gnu/pkgconfig
cp "$source/examples/use_kernels/run_layers.c" .
# shellcheck disable=SC2046
if have pkg-config; then
  cc -std=c11 run_layers.c -Inet/self_test $(pkg-config --cflags --libs net) -o run_layers
  expect "5 operators on one thread, 0 outputs wrong" ./run_layers net/self_test/net.cases
fi

say two libraries with the same kernels in one program
expect "5 tuned" "$kiln" export --lock kiln.lock --model "$model" --target "$native" --prefix twin --out twin
make -s -C twin all shared
cat >both.c <<'C'
#include "net.h"
#include "twin.h"
int main(int argc, char** argv) {
  kiln_context context;
  const char* workload = 0;
  (void)argv;
  net_init(&context, (uint32_t)argc);
  twin_init(&context, 1);
  net_layer(0, &workload);
  const kiln_kernel *a = net_find(&context, workload), *b = twin_find(&context, workload);
  return a == 0 || b == 0 || a->run == b->run || a->info->packed_bytes != b->info->packed_bytes;
}
C
cc -std=c11 -Wall -Wextra -Werror both.c -Inet/include -Itwin/include net/libnet.a twin/libtwin.a -o both && ./both || fail "statically"
cc -std=c11 both.c -Inet/include -Itwin/include -Wl,--whole-archive net/libnet.a twin/libtwin.a -Wl,--no-whole-archive -o both && ./both ||
  fail "statically, whole archives"
cc -std=c11 both.c -Inet/include -Itwin/include net/libnet.so twin/libtwin.so -Wl,-rpath,"$work/net:$work/twin" -o both && ./both || fail "shared"

say the header is clean
for compiler in "gcc-12" "clang-14" "clang-19" "aarch64-linux-gnu-gcc"; do
  have $compiler || continue
  strict="-Wall -Wextra -Wpedantic -Werror -fsyntax-only -Inet/include -Inet/self_test"
  # shellcheck disable=SC2086
  $compiler -std=c11 $strict -x c net/self_test/self_test.c || fail "$compiler, C11"
  # shellcheck disable=SC2086
  $compiler -std=c11 $strict -x c net/src/net.c || fail "$compiler, C11, the library"
  # shellcheck disable=SC2086
  printf '#include "net.h"\n#include "kiln_cases.h"\n' | $compiler -std=c++20 $strict -x c++ - || fail "$compiler, C++20"
done

say C sources by other compilers
expect "C files" export_net --out net-c --form c
export_net --out net-c2 --form c >/dev/null 2>&1
bytes net-c >first && bytes net-c2 >second && cmp first second || fail "exporting C twice gives other bytes"
for compiler in gcc-12 clang-14 clang-19; do
  have $compiler || continue
  make -s -C net-c clean
  expect "all bit-exact" make -s -j2 -C net-c CC=$compiler check
  expect "not the code that was measured" net-c/self_test/self_test net-c/self_test/net.cases
done
CC=gcc-12 cmake -S net-c -B "build c" -G Ninja >cmake.log || fail "$(cat cmake.log)"
grep -q "not the code that was measured" cmake.log || fail "cmake does not say that the code is another: $(cat cmake.log)"
cmake --build "build c" >cmake.log 2>&1 || fail "$(cat cmake.log)"
expect "100% tests passed" ctest --test-dir "build c"

say "objects and C for 64-bit Arm"
if have aarch64-linux-gnu-gcc && have qemu-aarch64; then
  run="qemu-aarch64 -L /usr/aarch64-linux-gnu"
  for target in rasp4b pixel6; do
    for form in object c; do
      expect "5 workloads" "$kiln" export --lock kiln.lock --model "$model" --golden "$golden" --target $target --prefix arm \
        --out arm-$target-$form --form $form
      expect "all bit-exact" make -s -j2 -C arm-$target-$form CC=aarch64-linux-gnu-gcc AR=aarch64-linux-gnu-ar RUN="$run" check
      # Dot products are left alone where there are none.
      [ $target = rasp4b ] || expect "chosen here: 5 of target armv8-a" \
        qemu-aarch64 -cpu cortex-a53 -L /usr/aarch64-linux-gnu arm-$target-$form/self_test/self_test arm-$target-$form/self_test/arm.cases
    done
    if have clang-19; then
      make -s -C arm-$target-c clean
      expect "all bit-exact" make -s -j2 -C arm-$target-c CC="clang-19 --target=aarch64-linux-gnu" AR=aarch64-linux-gnu-ar RUN="$run" check
    fi
  done
fi
say "random workloads, seed $seed: untuned, in both forms"
mapfile -t keys < <("$fuzz" keys --seed "$seed" --count 24 --most-macs 400000 | sort -u)
random_library() { "$kiln" export --workload "${keys[@]}" --fallback silent --prefix drawn "$@"; }
# shellcheck disable=SC2086
expect "${#keys[@]} workloads" random_library --target $targets --out drawn
expect "all bit-exact" make -s -C drawn check
# shellcheck disable=SC2086
expect "C files" random_library --target $targets --out drawn-c --form c
expect "all bit-exact" make -s -j2 -C drawn-c CC=gcc check
if have aarch64-linux-gnu-gcc && have qemu-aarch64; then
  for target in rasp4b pixel6; do
    expect "C files" random_library --target $target --out drawn-$target --form c
    expect "all bit-exact" make -s -j2 -C drawn-$target CC=aarch64-linux-gnu-gcc AR=aarch64-linux-gnu-ar RUN="$run" check
  done
fi
echo done
