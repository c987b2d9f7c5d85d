#!/bin/sh
# An OCI runtime for the tests of the Linux engine: runc's command line, processes of this machine as containers, and
# faults on demand.
#
# Its folder has the program of init (`program`) and of execs (`exec-program`), the list of what it was asked (`calls`),
# and the faults: `refuse-ACTION` holds the words with which an action is refused, `no-pid-file` keeps it from saying
# which process it has made.
set -u
here=${0%/*}
action='' bundle='' pid_file='' log='' operands=''
while [ $# -gt 0 ]; do
    case $1 in
        --root | --log-format | --console-socket | --process | --resources) shift ;;
        --log) log=$2 && shift ;;
        --bundle) bundle=$2 && shift ;;
        --pid-file) pid_file=$2 && shift ;;
        --*) ;;
        *) if [ -z "$action" ]; then action=$1; else operands="$operands $1"; fi ;;
    esac
    shift
done
echo "$action$operands" >>"$here/calls"
if [ -e "$here/refuse-$action" ]; then
    printf '{"level":"error","msg":"%s","time":"now"}\n' "$(cat "$here/refuse-$action")" >>"$log"
    exit 1
fi

# Leaves a process behind that has this one's streams and has said which it is. A shell gives /dev/null to what it starts
# in the background, and reaps its own children, so there is one in between.
leave() {
    ready=$here/ready-$$ id=$1
    mkfifo "$ready"
    exec 3<&0
    (sh -c "echo \$\$ >'$id'; echo >'$ready'; $2" <&3 3<&- &)
    exec 3<&-
    read -r _ <"$ready"
    rm "$ready"
    [ -e "$here/no-pid-file" ] || cp "$id" "$pid_file"
}
init() { cat "$here/init.pid"; }

case $action in
    create)
        [ -d "$bundle" ] || exit 1
        mkfifo "$here/start"
        leave "$here/init.pid" "read -r _ <'$here/start'; exec sh '$here/program'"
        ;;
    start) echo >"$here/start" ;;
    exec) leave "$here/exec.pid" "exec sh '$here/exec-program'" ;;
    kill)
        # shellcheck disable=SC2086 # the id and the signal
        set -- $operands
        kill "-$2" "$(init)"
        ;;
    pause) kill -s STOP "$(init)" ;;
    resume) kill -s CONT "$(init)" ;;
    delete) kill -s KILL "$(init)" 2>/dev/null || true ;;
    ps) echo "[$(init)]" ;;
esac
