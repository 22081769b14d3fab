#!/usr/bin/env bash
# A config cannot override a group that stands after it in the defaults list, although it may override one before it.
#
# Expected: Hydra walks the defaults list from its first entry to its last and gathers `override` entries on the way, so
# an experiment that stands before the group `row` could say which row is meant.
# Seen with hydra-core 1.3.8: it is the other way round. Entries are handled from the end of the list, so `row` is settled
# before the experiment is read, and composing ends with "Could not override 'row'. No match in the defaults list."
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet hydra-core==1.3.8 omegaconf==2.3.1
mkdir -p "$folder"/conf/{experiment,row}
printf 'defaults:\n  - experiment: base\n  - row: plain\n  - _self_\n' > "$folder/conf/after.yaml"
printf 'defaults:\n  - row: plain\n  - experiment: base\n  - _self_\n' > "$folder/conf/before.yaml"
printf '# @package _global_\ndefaults:\n  - override /row: other\n' > "$folder/conf/experiment/base.yaml"
printf 'value: 1\n' > "$folder/conf/row/plain.yaml"
printf 'value: 2\n' > "$folder/conf/row/other.yaml"
"$folder/venv/bin/python" - "$folder/conf" <<'PY'
import sys
import hydra
from hydra import compose, initialize_config_dir
from hydra.errors import ConfigCompositionException

print("hydra-core", hydra.__version__)
with initialize_config_dir(sys.argv[1], version_base="1.3"):
    before = compose("before")
    print("group before the experiment:", before.row.value)
    assert before.row.value == 2
    try:
        compose("after")
    except ConfigCompositionException as error:
        print("group after the experiment:", str(error).splitlines()[0])
        assert "Could not override 'row'" in str(error)
    else:
        sys.exit("composed: Hydra has changed")
PY
