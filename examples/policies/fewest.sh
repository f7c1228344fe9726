#!/bin/sh
# A backend counts for less the more connections it has: jq reads a question a line, and writes an
# answer a line. With --unbuffered it writes each at once.
#
#     [policies.fewest]
#     run = "./fewest.sh"
exec jq -c --unbuffered '{
  id,
  weights: [
    .backends[]
    | select(.healthy and (.draining | not))
    | { key: .id, value: ([1, (1000 / (1 + (.connections // 0)) | floor)] | max) }
  ] | from_entries
}'
