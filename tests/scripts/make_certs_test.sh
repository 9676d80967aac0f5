#!/usr/bin/env bash
# usage: make_certs_test.sh SCRIPTS_DIR. Says what is wrong; exit status 1 if anything is.
# shellcheck disable=SC2317  # is_true and is_false call what they are given
set -uo pipefail
make_certs=$1/make-certs
failed=0
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place" || exit 1
dir="a farm's certificates"  # with spaces and a quote

wrong() { echo "line ${BASH_LINENO[1]}: $1"; failed=1; }
expect() {  # expect STATUS TEXT... -- ARGUMENTS: make-certs ends so and says all the texts; errors are one line
  local status=$1 texts=() output got
  shift
  while [ "$1" != -- ]; do texts+=("$1"); shift; done
  shift
  output=$("$make_certs" --dir "$dir" "$@" 2>errors </dev/null)
  got=$?
  output+=$(cat errors)
  [ "$got" = "$status" ] || wrong "$*: status $got instead of $status: $output"
  for text in "${texts[@]}"; do [[ $output == *"$text"* ]] || wrong "$*: does not say '$text': $output"; done
  if [ "$status" != 0 ] && [ $# != 0 ] && [ "$(wc -l <errors)" != 1 ]; then wrong "$*: not one line: $output"; fi
  if [ -n "$(find . -name '.new.*')" ]; then wrong "$*: leaves something behind"; fi
}
verifies() {  # verifies NAME... : signed, in time, not revoked
  local name
  for name in "$@"; do
    openssl verify -crl_check -CAfile "$dir/ca.crt" -CRLfile "$dir/crl.pem" "$dir/$name.crt" >/dev/null 2>&1 || return 1
  done
}
is_true() { "$@" || wrong "not so: $*"; }
is_false() { if "$@"; then wrong "but it is so: $*"; fi; }
says() { openssl x509 -in "$dir/$1.crt" -noout -text | grep -F -- "$2" >/dev/null; }
mode() { [ "$(stat -c %a "$2")" = "$1" ]; }
serial() { openssl x509 -in "$dir/$1.crt" -noout -serial; }
public_key() { openssl x509 -in "$dir/$1.crt" -noout -pubkey; }
fits() { [ "$(public_key "$1")" = "$(openssl pkey -in "$dir/$1.key" -pubout 2>/dev/null)" ]; }

# Words.
expect 0 "scripts/make-certs farm --tracker" "For example" -- --help
expect 2 "which command?" --
expect 2 "unknown command trackers" -- trackers
expect 2 "unknown option --nonsense" -- init --nonsense
expect 2 "--days wants a value" -- client ann --days
expect 2 "--days wants a number" -- client ann --days -3
expect 2 "--not-after wants a date" -- client ann --not-after someday
expect 2 "--days or --not-after" -- client ann --days 3 --not-after 2040-01-01
expect 2 "--tracker HOST" -- farm --device a
expect 2 "farm takes lists" -- farm box --tracker h
expect 2 "tracker HOST..." -- tracker
expect 2 "which device?" -- device
expect 2 "--host goes with device, not with client" -- client ann --host h
expect 2 "--all goes with renew" -- revoke --all
expect 2 "one device at a time" -- device a b --host h
expect 2 "renew what?" -- renew
expect 2 "names or --all" -- renew ann --all
expect 1 "no authority in $dir" -- list
expect 1 "no authority in $dir" -- renew --all
is_false test -e "$dir"
for name in 'a b' '' .x a/ ä ../x "$(printf 'x%.0s' {1..64})"; do
  expect 2 "cannot be the name of a device" -- device "$name"
done
expect 2 "'box/cpu' cannot be the name of a device" "with --name" -- device box/cpu
expect 2 "'a/b' cannot be the name of a client" -- client a/b
expect 2 "the name CA is the authority's" -- client CA
expect 2 "'10.0.0.1:9190' is no address" -- tracker 10.0.0.1:9190
expect 2 "'10.0.0.999' is no address" -- tracker 10.0.0.999
expect 2 "'h;x' is no name of a host" -- tracker 'h;x'
is_false test -e "$dir/ca.crt"

# The authority.
expect 0 "made $dir/ca.crt" -- init
is_true mode 700 "$dir"
is_true mode 600 "$dir/ca.key"
is_true says ca "CA:TRUE, pathlen:0"
is_true openssl x509 -in "$dir/ca.crt" -noout -checkend $((3649 * 86400)) >/dev/null
is_true openssl crl -in "$dir/crl.pem" -noout -CAfile "$dir/ca.crt" 2>/dev/null
before=$(cat "$dir/ca.crt")
expect 0 "is there" -- init
is_true test "$before" = "$(cat "$dir/ca.crt")"

# A whole farm, and again with more.
expect 0 "tracker tracker, valid to" "device pi4" "client ann" "admin root" -- \
  farm --tracker farm.local,10.0.0.1 --tracker fe80::1 --device pi4,pixel6 --client ann --admin root
is_true verifies tracker pi4 pixel6 ann root
is_true says tracker "URI:kiln://tracker/tracker"
is_true says tracker "DNS:farm.local"
is_true says tracker "IP Address:10.0.0.1"
is_true says tracker "IP Address:FE80:0:0:0:0:0:0:1"
is_true says tracker "DNS:localhost"
is_true says tracker "TLS Web Server Authentication"
is_false says tracker "TLS Web Client Authentication"
is_true says pi4 "URI:kiln://device/pi4, DNS:pi4.device.kiln"
is_true says pi4 "TLS Web Server Authentication, TLS Web Client Authentication"
is_true says ann "URI:kiln://client/ann"
is_true says ann "TLS Web Client Authentication"
is_false says ann "TLS Web Server Authentication"
is_true says root "URI:kiln://admin/root"
is_true says root "CA:FALSE"
is_true says root "Digital Signature"
is_true says root "NIST CURVE: P-256"
for name in tracker pi4 pixel6 ann root; do
  is_true fits "$name"
  is_true mode 600 "$dir/$name.key"
  is_true mode 644 "$dir/$name.crt"
  is_true openssl x509 -in "$dir/$name.crt" -noout -checkend $((364 * 86400)) >/dev/null
  is_false openssl x509 -in "$dir/$name.crt" -noout -checkend $((366 * 86400)) >/dev/null
done
before=$(serial pi4)
expect 0 "pi4.crt is there: device pi4" "made $dir/pi5.crt" -- farm --tracker farm.local,10.0.0.1,fe80::1 --device pi4,pi5
is_true test "$before" = "$(serial pi4)"
before=$(public_key tracker)
expect 0 "made $dir/tracker.crt" -- tracker farm.local 10.0.0.2  # other hosts, the same key
is_true test "$before" = "$(public_key tracker)"
is_true says tracker "IP Address:10.0.0.2"
is_false says tracker "IP Address:10.0.0.1"
expect 0 "made $dir/second.crt" -- tracker --name second farm2.local
is_true says second "URI:kiln://tracker/second"
expect 0 "made $dir/lone.crt" -- device lone --host lone.local,10.0.0.7
is_true says lone "DNS:lone.device.kiln"
is_true says lone "DNS:lone.local, IP Address:10.0.0.7"
expect 1 "pi4 is the name of a device already" -- client pi4
expect 1 "PI4 differs from pi4 in nothing but case" -- device PI4
expect 1 "both is the name of a device already" -- farm --tracker farm.local,10.0.0.2 --device both --client both
is_false test -e "$dir/both.crt"  # all or nothing

# Renewing.
before=$(serial lone) key=$(public_key lone)
expect 0 "made $dir/lone.crt" -- renew lone
is_false test "$before" = "$(serial lone)"
is_true test "$key" = "$(public_key lone)"
is_true says lone "URI:kiln://device/lone"
is_true says lone "DNS:lone.local, IP Address:10.0.0.7"
expect 0 -- renew lone --new-key --days 30
is_false test "$key" = "$(public_key lone)"
is_true fits lone
is_true mode 600 "$dir/lone.key"
is_false openssl x509 -in "$dir/lone.crt" -noout -checkend $((31 * 86400)) >/dev/null
expect 1 "nobody of the name who" -- renew who
expect 2 "the authority itself ends on" -- renew lone --days 9999
mv "$dir/lone.key" elsewhere
expect 1 "lone.key is not here" "--new-key" -- renew lone
mv elsewhere "$dir/lone.key"

# Validity to the second.
expect 0 -- client late --not-after "2 minutes ago"
is_false openssl x509 -in "$dir/late.crt" -noout -checkend 0 >/dev/null
expect 0 "late     client   " "expired" -- list
expect 0 -- client early --not-before "1 hour"
is_false verifies early
expect 2 "end before it begins" -- client odd --not-before "2 hours" --not-after "1 hour"
expect 0 "made $dir/late.crt" -- client late  # what is expired is no reason to keep it
is_true verifies late

# Revoking.
expect 1 "nobody of the name who" -- revoke ann who
is_true verifies ann
cp "$dir/ann.crt" old.crt
expect 0 -- renew ann
expect 0 "revoked ann" -- revoke ann
is_false verifies ann
is_false openssl verify -crl_check -CAfile "$dir/ca.crt" -CRLfile "$dir/crl.pem" old.crt >/dev/null 2>&1  # the renewed one too
is_true verifies pi4
expect 0 "ann      client" "revoked" "pi4      device" "valid" -- list
expect 1 "ann is revoked" "client ann makes a new key" -- renew ann
key=$(public_key ann)
expect 0 "revoked ann" -- revoke ann  # again
expect 0 "made $dir/ann.crt" -- client ann
is_false test "$key" = "$(public_key ann)"
is_true verifies ann
expect 0 -- revoke second
before=$(serial second)
expect 0 "made $dir/pi4.crt" "made $dir/ann.crt" -- renew --all
is_true test "$before" = "$(serial second)"
is_true verifies tracker pi4 pi5 pixel6 ann root lone

# Two and more at once: every one of them signs, and none forgets what another did.
pids=()
for i in 1 2 3 4 5 6; do
  "$make_certs" --dir "$dir" client "many$i" >/dev/null & pids+=($!)
done
"$make_certs" --dir "$dir" revoke root >/dev/null & pids+=($!)
for pid in "${pids[@]}"; do is_true wait "$pid"; done
for i in 1 2 3 4 5 6; do
  is_true verifies "many$i"
  is_true fits "many$i"
  expect 0 "many$i    client" -- list
done
is_false verifies root
# Two that make the same authority.
"$make_certs" --dir fresh client a >/dev/null & first=$!
"$make_certs" --dir fresh client b >/dev/null & second=$!
is_true wait $first
is_true wait $second
for name in a b; do is_true openssl verify -CAfile fresh/ca.crt "fresh/$name.crt" >/dev/null 2>&1; done

# What an interrupted run leaves is swept up; what is missing is said.
mkdir "$dir/.new.ABCDEF"
expect 0 -- init
mv "$dir/ca.key" elsewhere
expect 1 "ca.key is not here" -- client new
mv elsewhere "$dir/ca.key"
mv "$dir/ca.crt" elsewhere
expect 1 "ca.crt is missing" -- client new
mv elsewhere "$dir/ca.crt"
mv "$dir/index.txt" elsewhere
expect 1 "index.txt is missing" -- client new
mv elsewhere "$dir/index.txt"
is_false test -e "$dir/new.crt"
if [ "$(id -u)" != 0 ]; then
  chmod 500 "$dir"
  expect 1 "cannot write to $dir" -- client new
  chmod 700 "$dir"
fi
: >file
dir=file/certs
expect 1 "cannot make the directory file/certs" -- client new
exit $failed
