#!/bin/bash
# Installs the tools that pk is compared with into FOLDER, from the registries they are published in,
# and the few that Debian has into the system. What cannot be had is named; the comparison goes on
# without it.
#
#   install.sh FOLDER [NAME…]
set -u
folder=$(mkdir -p "$1" && cd "$1" && pwd)
shift
log=$folder/install.log
: >"$log"

debian() { # NAME PROGRAM PACKAGE
  command -v "$2" >/dev/null && return
  local as_root=()
  [ "$(id -u)" = 0 ] || as_root=(sudo)
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -q -y --no-install-recommends "$3" </dev/null
}

python() { # NAME PROGRAM PACKAGE
  [ -x "$folder/venv/bin/$2" ] && return
  [ -x "$folder/venv/bin/pip" ] || python3 -m venv "$folder/venv" || return
  "$folder/venv/bin/pip" install -q "$3"
}

node() { # NAME PROGRAM PACKAGE
  [ -x "$folder/node_modules/.bin/$2" ] || npm install --silent --no-fund --no-audit --prefix "$folder" "$3"
}

rust() { # NAME PROGRAM PACKAGE
  [ -x "$folder/bin/$2" ] || cargo install --quiet --locked --root "$folder" "$3"
}

go_module() { # NAME PROGRAM PACKAGE
  [ -x "$folder/bin/$2" ] || GOBIN=$folder/bin go install "$3"
}

peers="foreman debian foreman ruby-foreman
s6 debian s6-svscan s6
runit debian runsvdir runit
honcho python honcho honcho==2.0.0
supervisor python supervisord supervisor==4.3.0
circus python circusd circus==0.19.0
concurrently node concurrently concurrently@9.2.5
pm2 node pm2-runtime pm2@7.0.4
watchexec rust watchexec watchexec-cli@2.8.0
mprocs rust mprocs mprocs@0.9.6
pitchfork rust pitchfork pitchfork-cli@2.33.0
process-compose go_module process-compose github.com/f1bonacc1/process-compose@latest
overmind go_module overmind github.com/DarthSim/overmind/v2@latest
hivemind go_module hivemind github.com/DarthSim/hivemind@latest"

while read -r name way program package; do
  if [ $# -gt 0 ] && [[ " $* " != *" $name "* ]]; then
    continue
  fi
  if $way "$name" "$program" "$package" >>"$log" 2>&1 </dev/null; then
    echo "$name: there"
  else
    echo "$name: not to be had ($(tail -n 1 "$log"))"
  fi
done <<<"$peers"
