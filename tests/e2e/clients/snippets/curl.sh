# follow URL TOKEN_COMMAND: prints each complete event until the job has ended.
follow() (
  last='' pause=3 refused=0
  head=$(mktemp)
  trap 'rm -f "$head"' EXIT
  until [[ $last == end || $last == end.* ]]; do
    token=$($2) || { sleep "$pause"; continue; }
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
      -H "Authorization: Bearer $token" -H "Last-Event-ID: $last" "$1")
    case $(sed -n 's/^HTTP[^ ]* \([0-9]*\).*/\1/p' "$head" | tail -n 1) in
      401) ((refused++ == 0)) || break ;;
      '' | 200 | 429 | 5??) refused=0 ;; # '': there was no answer
      *) break ;;
    esac
    sleep "$pause"
  done
)
