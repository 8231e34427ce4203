# Makes `condor_submit -annex NAME ...` work in shells that read /etc/profile.d: sh and bash.
# Without an -annex option condor_submit is called as if this file were not there.

condor_submit() {
  for _condor_annex_word in "$@"; do
    case $_condor_annex_word in
      -[Aa][Nn][Nn][Ee][Xx]* | --[Aa][Nn][Nn][Ee][Xx]*)
        unset _condor_annex_word
        "${CONDOR_ANNEX_PREFIX:-/opt/condor-annex}/bin/condor_submit_annex" "$@"
        return
        ;;
    esac
  done
  unset _condor_annex_word
  command condor_submit "$@"
}
