# Boots the image and runs the oeqa cases in it. Sourced.
# shellcheck shell=bash

readonly DEPLOY="$WORK/build/tmp/deploy/images/qemuarm64"
readonly IMAGE=micrun-image-qemuarm64.rootfs

# What oeqa has to know of the target: how to start it, with its console on standard input and output, and its prompt.
# Nothing but the shell may write to the console meanwhile, and systemd has to bear with a busy host.
test_data() {
    /usr/bin/python3 - "$DEPLOY/$IMAGE.testdata.json" "$WORK/suite" "$WORK/build" <<'PYTHON'
import json
import sys

source, suite, build = sys.argv[1:]
with open(source) as file:
    data = json.load(file)
boot = "quiet systemd.show_status=0 systemd.default_device_timeout_sec=900 systemd.default_timeout_start_sec=900"
runqemu = f'runqemu nographic slirp snapshot bootparams="{boot}"'
data |= {
    "TEST_SERIALCONTROL_CMD": f"cd {build} && exec script --quiet --flush --return --log-out {suite}/console.log --command '{runqemu}'",
    "TEST_SERIALCONTROL_PS1": "root@qemuarm64:[^ ]*# ",
    "TEST_SERIALCONTROL_CONNECT_TIMEOUT": 600,
}
with open(f"{suite}/testdata.json", "w") as file:
    json.dump(data, file)
PYTHON
}

# Prints "STATUS NAME" of each result.
oeqa_results() {
    /usr/bin/python3 - "$WORK/suite/testresults.json" <<'PYTHON'
import json
import sys

words = {"PASSED": "PASS", "SKIPPED": "SKIP"}
with open(sys.argv[1]) as file:
    runs = json.load(file)
for run in runs.values():
    for name, result in sorted(run["result"].items()):
        if "status" in result:
            print(words.get(result["status"], "FAIL"), name.removeprefix("ptestresult."))
PYTHON
}

run_suite() {
    local started=$SECONDS status name
    rm -rf "$WORK/suite"
    install -d -o "$BUILD_USER" -g "$BUILD_USER" "$WORK/suite"
    test_data
    in_build "cd $WORK/suite && PYTHONPATH=$WORK/openembedded-core/meta/lib:$WORK/bitbake/lib exec oe-test runtime \
        --target-type serial --test-data-file testdata.json --packages-manifest $DEPLOY/$IMAGE.manifest \
        --output-log $WORK/suite/oe-test.log --json-result-dir $WORK/suite \
        $WORK/micrun/meta-micrun/lib/oeqa/runtime/cases --run-tests micrun" >"$WORK/suite.log" 2>&1 || true
    [[ -s $WORK/suite/testresults.json ]] || {
        result FAIL suite "no results; see $WORK/suite.log and $WORK/suite/console.log"
        return
    }
    while read -r status name; do
        result "$status" "$name"
    done < <(oeqa_results)
    echo "boot and suite: $((SECONDS - started)) s"
}
