# shellcheck shell=bash
# A run of several stages that goes on after a failure, and a table at the end.
# To be sourced:  stage NAME COMMAND...;  untested WHAT WHY;  stages_end
#
# Each stage's output goes to $stages_logs/NAME.log and its last lines to stdout.

stages_logs=${stages_logs:-build/stages}
stage_limit=${stage_limit:-1200}      # seconds that one stage may take
stages_rows=() stages_untested=() stages_failed=0
rm -rf "$stages_logs"
mkdir -p "$stages_logs"

# The counts of every pytest summary line in the files: "passed failed skipped".
pytest_totals() {
    grep -hE '^(=+ )?[0-9]+ (passed|failed|errors?|skipped|xfailed|deselected)\b.* in [0-9.]+s' "$@" \
        2>/dev/null | awk '
        { for (i = 2; i <= NF; i++) { n = $(i - 1); if ($i ~ /^passed/) p += n
            if ($i ~ /^(failed|errors?)/) f += n; if ($i ~ /^skipped/) s += n } }
        END { print p + 0, f + 0, s + 0 }'
}

stage() {
    local name=$1 log began=$SECONDS code=0 took counts result=passed
    shift
    log="$stages_logs/${name//[^A-Za-z0-9.-]/-}.log"
    printf '\n##### %s: %s\n' "$name" "$*"
    timeout --kill-after=30 "$stage_limit" "$@" >"$log" 2>&1 </dev/null || code=$?
    took=$((SECONDS - began))
    if [ $code -ne 0 ]; then
        result="FAILED ($code)"
        [ $code -ne 124 ] || result="FAILED (over $stage_limit s)"
        stages_failed=$((stages_failed + 1))
        tail -n 200 "$log"
    else
        tail -n 25 "$log"
    fi
    read -r -a counts <<<"$(pytest_totals "$log")"
    if [ "${counts[*]}" = "0 0 0" ]; then
        counts=("" "" "")
    fi
    printf '##### %s: %s, %s s\n' "$name" "$result" "$took"
    stages_rows+=("$(printf '%-26s %-22s %7s %7s %7s %6s' "$name" "$result" "${counts[@]}" "$took")")
}

untested() {
    stages_untested+=("$(printf '%-26s %s' "$1" "$2")")
}

stages_end() {
    local line total
    printf '\n%-26s %-22s %7s %7s %7s %6s\n' stage result passed failed skipped s
    printf '%s\n' "${stages_rows[@]}"
    printf '%-26s %-22s %31s\n' "in all" "" "$SECONDS"
    if [ ${#stages_untested[@]} -gt 0 ]; then
        printf '\nNOT TESTED:\n'
        for line in "${stages_untested[@]}"; do
            printf '  %s\n' "$line"
        done
    fi
    if grep -q '^### UNSTEADY' "$stages_logs"/*.log; then
        printf '\nUNSTEADY, failed beside other tests and passed alone:\n'
        grep -l '^### UNSTEADY' "$stages_logs"/*.log | while read -r line; do
            grep -E '^(FAILED|ERROR) ' "$line" | awk -v stage="$(basename "$line" .log)" '
                { printf "  %-26s %s\n", stage, $2 }'
        done
    fi
    read -r -a total <<<"$(pytest_totals "$stages_logs"/*.log)"
    printf '\nstages: %s passed, %s failed\n' $((${#stages_rows[@]} - stages_failed)) "$stages_failed"
    printf '%s passed, %s failed, %s skipped\n' "${total[@]}"
    [ "$stages_failed" = 0 ]
}
