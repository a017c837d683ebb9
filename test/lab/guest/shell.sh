#!/bin/sh
# shell.sh LINE HOST ROWS COLUMNS: an interactive shell in a lab host, on a serial line. Runs as the
# leader of a session without a terminal, so opening the line makes it the shell's terminal.
line=/dev/ttyS$1 host=$2
exec <"$line" >"$line" 2>&1
stty sane rows "$3" cols "$4"
export TERM=xterm PS1="$host# " HISTFILE=
export PATH="$LAB_HOME/node_modules/.bin:$LAB_HOME/test/lab/bin:$PATH"
cd "${LAB_HOME:-/}" 2>/dev/null || cd /
if [ "$host" = guest ]; then
  exec bash --norc --noprofile -i
fi
exec ip netns exec "$host" bash --norc --noprofile -i
