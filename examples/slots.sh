#!/bin/sh
# Print how many position slots of an account are free: slots.sh ACCOUNT
#
# Ends with 0 and a number, or with 1 and a sentence on stderr when the slots are unknown, the
# request was refused or nobody answered, and with 2 when something is not set:
#
#     free=$(./slots.sh demo) && [ "$free" -gt 0 ] && open_a_trade
#
# It asks and reserves nothing: two bots may see the same free slot. A lease is one bot's alone.

wrong() {
    echo "$1" >&2
    exit 2
}

[ $# -eq 1 ] || wrong 'usage: slots.sh ACCOUNT'
[ -n "$DUST_ADMIN_URL" ] || wrong 'DUST_ADMIN_URL is not set'
[ -n "$DUST_ADMIN_TOKEN" ] || wrong 'DUST_ADMIN_TOKEN is not set'
case $1$DUST_ADMIN_TOKEN in
*[!A-Za-z0-9_-]*) wrong 'ACCOUNT and DUST_ADMIN_TOKEN have letters, digits, - and _ only' ;;
esac

# The token goes through stdin: arguments are visible to everybody on the machine. printf is
# the shell's own command and no process.
answer=$(printf 'header = "Authorization: Bearer %s"\n' "$DUST_ADMIN_TOKEN" |
    curl --disable --silent --show-error --max-time 10 --config - --write-out '\n%{http_code}' \
        "${DUST_ADMIN_URL%/}/api/v1/accounts/$1/slots") || exit 1

# The status stands on the last line. Quotes inside a text of the answer carry a backslash, so
# the patterns match fields only.
status=$(printf '%s\n' "$answer" | sed -n '$p')
known=$(printf '%s\n' "$answer" | sed -n 's/.*"status": *"\(known\)".*/\1/p')
free=$(printf '%s\n' "$answer" | sed -n 's/.*"available": *\([0-9][0-9]*\).*/\1/p')
if [ "$status" = 200 ] && [ "$known" = known ] && [ -n "$free" ]; then
    echo "$free"
    exit 0
fi
why=$(printf '%s\n' "$answer" | sed -n 's/.*"detail": *"\([^"]*\)".*/\1/p')
echo "Slots are unknown (status $status). $why" >&2
exit 1
