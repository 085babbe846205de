#!/bin/sh
# record_usage.sh OBJECT COMMAND...: runs a compiler; what ptxas says of each kernel goes to OBJECT.usage, all else where it was going.
object=$1
shift
"$@" 2> "$object.stderr"
code=$?
told='^ptxas info|bytes stack frame'
grep -Ev "$told" "$object.stderr" >&2
grep -E "$told" "$object.stderr" > "$object.usage" || rm -f "$object.usage"
rm -f "$object.stderr"
exit $code
