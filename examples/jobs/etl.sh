#!/bin/sh
# Adds up the orders of one night by region and fails on the first row that cannot be right.
#
#   etl.sh [FILE]        FILE is a CSV with the columns order,region,amount
set -eu

file=${1:-$(dirname "$0")/data/orders.csv}
[ -r "$file" ] || { echo "etl: cannot read $file" >&2; exit 2; }
echo "etl: reading $file" >&2

awk -F, -v file="$file" '
    NR == 1 { next }
    NF != 3 || $3 !~ /^-?[0-9]+(\.[0-9][0-9]?)?$/ {
        printf "etl: %s, row %d: amount \"%s\" of order %s is not a number\n", file, NR, $3, $1 > "/dev/stderr"
        bad = 1
        exit 1
    }
    { total[$2] += $3; orders[$2]++ }
    END {
        if (bad) exit 1
        for (region in total)
            printf "%-8s %4d orders %12.2f\n", region, orders[region], total[region] | "sort"
    }
' "$file"
