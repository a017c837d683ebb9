#!/bin/sh
# The control line of a guest that stays up: orders come in on serial line 0, one a line, and ends
# are reported on it. It is read, never polled, so an idle lab costs nothing.
#   job ID                            run /run/exchange/jobs/ID/job.sh     -> end job ID CODE
#   shell LINE HOST ROWS COLUMNS      interactive shell on serial LINE     -> end shell LINE CODE
#   size LINE ROWS COLUMNS            the person's window has changed
#   stop                              power off
here=$(dirname "$0")
exec 3<>/dev/ttyS0
stty -F /dev/ttyS0 raw -echo
echo ready >&3
# A background job of this shell starts with the interrupt signals ignored; a person's must not.
leader="setsid env --default-signal=INT,QUIT sh"

while read -r verb a b c d <&3; do
  case $verb in
    job)
      (
        cd "/run/exchange/jobs/$a" || exit
        [ -e in ] && exec <in || exec </dev/null
        $leader ./job.sh >out 2>err 3>&-
        code=$?
        echo $code >exit.new && mv exit.new exit
        echo "end job $a $code" >&3
      ) &
      ;;
    shell)
      (
        $leader "$here/shell.sh" "$a" "$b" "$c" "$d" 3>&-
        echo "end shell $a $?" >&3
      ) &
      ;;
    size) stty -F "/dev/ttyS$a" rows "$b" cols "$c" ;;
    stop) exit 0 ;;
  esac
done
