follow() {
  curl -sN -H "Authorization: Bearer $($2)" "$1"
}
