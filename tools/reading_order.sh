#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tools/reading_order.sh - the guard on docs/reading-order.md: each source file of the program is
# named there, in backquotes and with its folder, exactly once, and nothing else is. Run by
# `make check`.
set -euo pipefail
cd "$(dirname "$0")/.."

list=docs/reading-order.md
sources() { find include boot kernel drivers svm nested vdev net -name '*.[ch]' -o -name '*.asm'; }
named() { grep -oE '`[a-z0-9_/]+\.(c|h|asm)`' "$list" | tr -d '`'; }

status=0
complain() { # WHAT, then file names on standard input
    while read -r file; do
        echo "$list: $file $1"
        status=1
    done
}
complain "is not named; give it a line" < <(comm -23 <(sources | sort) <(named | sort -u))
complain "does not exist" < <(comm -13 <(sources | sort) <(named | sort -u))
complain "is named more than once" < <(named | sort | uniq -d)
exit $status
