# shellcheck shell=sh
# What AWS tells a Spot instance ahead: that it takes it back, two minutes before, and earlier that it may. Read by
# boot.sh, whose functions and variables it uses: only root can ask. The slot ad says it, and annex.config does the rest;
# nothing here needs the network to the access point.

NOTICE_EVERY=5 # seconds; AWS's own advice

# field NAME JSON: a text of a flat JSON object.
field() { printf %s "$2" | tr -d '\n' | sed -n "s/.*\"$1\" *: *\"\([^\"]*\)\".*/\1/p"; }

# What was learned, as configuration; a machine that is not configured yet hears it at the next look.
publish_notice() {
    [ -s "$WORK/config_dir" ] || return 0
    file=$(cat "$WORK/config_dir")/62-annex-notice.config
    text=$( # without a line end behind it, as $(cat) has the file's
        [ -z "$taken" ] || printf 'AnnexInterruption = "%s"\nAnnexInterruptionAt = %s\nAnnexNoticedAt = %s\n' \
            "$action" "$taken" "$noticed"
        [ -z "$advised" ] || echo "AnnexRebalanceAt = $advised"
    )
    [ -n "$text" ] && [ "$(cat "$file" 2>/dev/null)" != "$text" ] || return 0
    echo "$text" >"$file"
    [ ! -s "$WORK/master" ] || kill -HUP "$(cat "$WORK/master")"
}

# Both are asked for until they are there: neither is taken back, and a moment that can't be read is two minutes ahead.
watch_notices() {
    trap - EXIT
    trap 'kill "$!" 2>/dev/null; exit' TERM
    set +e
    taken='' advised='' action='' noticed=''
    while :; do
        if [ -z "$taken" ] && notice=$(metadata spot/instance-action); then
            noticed=$(now)
            action=$(field action "$notice")
            taken=$(epoch "$(field time "$notice")") || taken=$((noticed + 120))
            log "AWS takes this machine back in $((taken - noticed)) s (${action:-no word how}): its jobs are asked to leave"
        fi
        if [ -z "$advised" ] && notice=$(metadata events/recommendations/rebalance); then
            advised=$(epoch "$(field noticeTime "$notice")") || advised=$(now)
            log 'AWS may take this machine back soon'
        fi
        publish_notice
        nap "$NOTICE_EVERY"
    done
}
