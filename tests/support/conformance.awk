# Makes one table of what test programs found of the rows of the specification: for each group how
# many passed on each backend, then every row that does not apply, failed or is not tested.
#
#   awk -f tests/support/conformance.awk FILE
#
# Each line of FILE is: passed, failed or inapplicable; row; backend, or "all"; reason. Separated by
# tabs.

# Name, first and last row of a group; of a complete one, rows that nobody tests are listed.
function group(name, first, last, is_complete) {
    groups += 1
    name_of[groups] = name
    first_of[groups] = first
    last_of[groups] = last
    complete[groups] = is_complete
}

BEGIN {
    FS = "\t"
    group("A backends", 1, 60, 1)
    group("B loop", 61, 78, 1)
    group("C TCP", 79, 150, 1)
    group("D UDP", 151, 177, 1)
    group("E Unix", 178, 199, 1)
    group("F timers", 200, 216, 1)
    group("G signals", 217, 227, 1)
    group("H wake-ups", 228, 239, 1)
    group("I shutdown", 240, 247, 1)
    group("J exhaustion", 248, 258, 1)
    group("K fork", 259, 264, 1)
    group("L names", 265, 274, 1)
    group("M coroutines", 275, 289, 1)
    # The rows of the fault matrix are numbered from 1000 on.
    group("faults: set-up", 1001, 1025, 1)
    group("faults: accept", 1026, 1039, 1)
    group("faults: connect", 1040, 1054, 1)
    group("faults: read", 1055, 1076, 1)
    group("faults: write", 1077, 1094, 1)
    group("faults: wait", 1095, 1121, 1)
    group("faults: close", 1122, 1138, 1)
    weight["inapplicable"] = 1
    weight["passed"] = 2
    weight["failed"] = 3
}

$1 in weight {
    if ($3 != "all" && !($3 in seen)) {
        seen[$3] = 1
        backends[++count] = $3
    }
    if (weight[$1] > weight[found[$2, $3]]) {
        found[$2, $3] = $1
        reason[$2, $3] = $4
    }
}

# As the pages that number them write it.
function shown(row) {
    return row < 1000 ? row : "F" row - 1000
}

# What holds for a row on a backend, where that was found for all of them too.
function outcome(row, backend,    own, shared) {
    own = found[row, backend]
    shared = found[row, "all"]
    return weight[shared] > weight[own] ? shared : own
}

function why(row, backend) {
    return reason[row, backend] != "" ? reason[row, backend] : reason[row, "all"]
}

function print_counts(    g, b, row, passed, apart, cell) {
    printf "%-24s", "conformance rows passed"
    for (b = 1; b <= count; b++) {
        printf "%14s", backends[b]
    }
    print ""
    for (g = 1; g <= groups; g++) {
        printf "  %-22s", name_of[g] " (" last_of[g] - first_of[g] + 1 ")"
        for (b = 1; b <= count; b++) {
            passed = apart = 0
            for (row = first_of[g]; row <= last_of[g]; row++) {
                passed += outcome(row, backends[b]) == "passed"
                apart += outcome(row, backends[b]) == "inapplicable"
            }
            cell = passed (apart ? " (" apart " n/a)" : "")
            printf "%14s", cell
        }
        print ""
    }
}

# The backends on which a row ended like `wanted` and for that reason, separated by commas.
function those(row, wanted, cause,    b, n, line) {
    for (b = 1; b <= count; b++) {
        if (outcome(row, backends[b]) == wanted &&
            (wanted != "inapplicable" || why(row, backends[b]) == cause)) {
            line = line (n++ ? ", " : "") backends[b]
        }
    }
    return n == count ? "all" : line
}

# Rows that share what is told of them make one line, at the place of the first one.
function tell(row, told) {
    if (!(told in rows_told)) {
        lines[++line_count] = told
        rows_told[told] = shown(row)
    } else if (last_told[told] == row - 1) {
        sub(/(-F?[0-9]+)?$/, "-" shown(row), rows_told[told])
    } else {
        rows_told[told] = rows_told[told] ", " shown(row)
    }
    last_told[told] = row
}

function judge(g, row,    b, cause, line, known) {
    for (b = 1; b <= count; b++) {
        cause = why(row, backends[b])
        if (outcome(row, backends[b]) == "inapplicable" && !(cause in known)) {
            known[cause] = 1
            tell(row, "not applicable (" those(row, "inapplicable", cause) "): " cause)
        }
    }
    if ((line = those(row, "failed")) != "") {
        tell(row, "FAILED (" line ")")
    }
    if (complete[g] && (line = those(row, "")) != "") {
        tell(row, "not tested (" line ")")
    }
}

END {
    if (count == 0) {
        exit
    }
    print_counts()
    for (g = 1; g <= groups; g++) {
        for (row = first_of[g]; row <= last_of[g]; row++) {
            judge(g, row)
        }
    }
    for (i = 1; i <= line_count; i++) {
        line = rows_told[lines[i]]
        print "  row" (line ~ /[,-]/ ? "s " : " ") line " " lines[i]
    }
}
