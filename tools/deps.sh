#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tools/deps.sh - the guard on who may include whom (docs/layout.md). Reads every
# #include below the source folders, prints each one that the table does not
# allow, and fails if there was any. Run by `make check`.
set -euo pipefail
cd "$(dirname "$0")/.."

# What a compiler without an operating system provides, and string.h: kernel/string.c serves it.
freestanding='stdarg|stdbool|stddef|stdint|stdnoreturn|limits|string'

# allowed FILE TARGET: may FILE include TARGET? Names are paths from the top of the tree; a
# header of the compiler or of a library keeps its <>.
allowed() {
    local file=$1 target=$2
    [[ $target =~ ^\<($freestanding)\.h\>$ || $target == include/* ]] && return
    case $file in
    include/*) false ;;
    nested/*) [[ $target == nested/* ]] ;;
    vdev/*) [[ $target == vdev/* ]] ;;
    boot/*) [[ $target == boot/* || $target == kernel/string.h ]] ;;
    kernel/main.c) [[ $target =~ ^(kernel|drivers|boot)/ || $target =~ ^(svm/vmm|svm/enable|vdev/vdev|net/net)\.h$ ]] ;;
    kernel/*) [[ $target == kernel/* ]] ;;
    drivers/vdev_backend.c) [[ $target =~ ^(drivers|kernel)/ || $target == vdev/port.h ]] ;;
    drivers/*) [[ $target =~ ^(drivers|kernel)/ ]] ;;
    svm/nested_port.[ch]) [[ $target =~ ^(svm|kernel)/ || $target =~ ^nested/(nested|port)\.h$ ]] ;;
    svm/vdev_port.[ch]) [[ $target =~ ^(svm|kernel)/ || $target =~ ^vdev/(vdev|port)\.h$ ]] ;;
    svm/*) [[ $target =~ ^(svm|kernel)/ || $target == nested/nested.h || $target == vdev/vdev.h || $target == "<Zydis/"* ]] ;;
    net/*) [[ $target =~ ^(net|kernel|lwip)/ || $target == drivers/nic.h || $target == "<lwip/"* ]] ;;
    *) false ;;
    esac
}

# resolve FILE TEXT: sets target to the path that the text of an #include in FILE means.
resolve() {
    local file=$1 name=${2:1:-1}
    if [[ -f include/$name ]]; then
        target=include/$name
    elif [[ $2 == \<* ]]; then
        target=$2
    elif [[ $name == */* ]]; then
        target=$name
    else
        target=${file%/*}/$name
    fi
}

status=0
count=0
while IFS=: read -r file line text; do
    count=$((count + 1))
    [[ $text =~ [\"\<][^\"\>]+[\"\>] ]]
    resolve "$file" "${BASH_REMATCH[0]}"
    if ! allowed "$file" "$target"; then
        echo "$file:$line: may not include $target"
        status=1
    fi
done < <(grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*["<]' --include='*.[ch]' \
    $(ls -d include boot kernel drivers svm nested vdev net 2>/dev/null))
[[ $count -gt 0 ]] || { echo "deps.sh: no #include found; wrong directory?"; exit 1; }
exit $status
