#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tools/symbols.sh - the guard against a smuggled "extern": what the objects of
# nested/ and vdev/ need from outside must be in tests/allow/<folder>.syms. Reads
# the objects of the last build. Zydis must need nothing: it keeps registers for its
# callers, our functions do not (NO_SAVED_REGS in the Makefile). Run by `make check`.
set -euo pipefail
cd "$(dirname "$0")/.."

status=0
for folder in nested vdev; do
    objects=(build/"$folder"/*.o)
    [[ -e ${objects[0]} ]] || { echo "symbols.sh: build/$folder has no objects; run make first"; exit 1; }
    defined=$(nm --defined-only "${objects[@]}" | awk 'NF == 3 { print $3 }' | sort -u)
    wanted=$(nm -u "${objects[@]}" | awk '$1 == "U" { print $2 }' | sort -u)
    permitted=$(grep -v '^#' "tests/allow/$folder.syms" | sort -u)
    extra=$(comm -23 <(echo "$wanted") <(sort -u <<<"$defined"$'\n'"$permitted"))
    if [[ -n $extra ]]; then
        echo "$folder/ needs from outside, against tests/allow/$folder.syms:" $extra
        status=1
    fi
    # Read-only tables are fine; state of their own is not (docs/layout.md).
    if [[ $folder == nested ]]; then
        variables=$(nm "${objects[@]}" | awk '$2 ~ /^[bBdDC]$/ { print $3 }')
        [[ -z $variables ]] || { echo "nested/ has variables of its own:" $variables; status=1; }
    fi
done
zydis=(build/third_party/obj/*.o)
calls=$(comm -23 <(nm -u "${zydis[@]}" | awk '$1 == "U" { print $2 }' | sort -u) \
    <(nm --defined-only "${zydis[@]}" | awk 'NF == 3 { print $3 }' | sort -u))
[[ -z $calls ]] || { echo "Zydis calls functions that keep no registers:" $calls; status=1; }
exit $status
