# follow URL TOKEN_COMMAND: prints each complete event until the job has ended.
follow() {
  local last='' pause=3 refused=0 id block line status head
  head=$(mktemp)
  until [[ $last == end || $last == end.* ]]; do
    id='' block=''
    while IFS= read -r line; do
      block+=$line$'\n'
      case $line in
        'id: '*) id=${line#id: } ;;
        'retry: '*) pause=$(printf '%d.%03d' $((${line#retry: } / 1000)) $((${line#retry: } % 1000))) ;;
        '') # the event is complete
          printf '%s' "$block"
          last=${id:-$last} id='' block=''
          ;;
      esac
    done < <(curl -sNf --retry 9 -D "$head" -H 'Accept: text/event-stream' \
      -H "Authorization: Bearer $($2)" -H "Last-Event-ID: $last" "$1")
    status=$(sed -n 's/^HTTP[^ ]* \([0-9]*\).*/\1/p' "$head" | tail -n 1)
    if [[ $status == 401 ]]; then ((++refused)); else refused=0; fi
    if [[ $status == 204 ]] || ((refused > 1)); then break; fi
    sleep "$pause"
  done
  rm -f "$head"
}
