# The first process of a rented pod: driver, weights, tailnet, model server. It ends when one of the last two does, so
# that the provider's restart policy sees it.
#
# From the environment, as a provider's API sets it:
#   BAWN_NODE            name of the pod in the fleet, and in the tailnet
#   BAWN_SETTINGS        what `bawn fleet render FLEET --node NODE` writes into model-server.json
#   BAWN_LOGIN_SERVER    the fleet's tailnet.server_url; empty for a tailnet that Tailscale runs
#   BAWN_TAILNET_KEY     pre-authentication key, tagged and ephemeral: the node is gone from the tailnet when the pod is
#   BAWN_TOKEN           bearer token that the gateway sends
#   BAWN_STATE_KEY       secret that encrypts the state which is kept while the pod is stopped, where the fleet says
#                        state_on_disk = "encrypted" of it
#   BAWN_WEIGHTS         folder of the weights, a mounted volume where they are to last, and of the state; default /weights
#   BAWN_MODEL_URL, BAWN_MODEL_SHA256    where weights that aren't there come from, and their hash
#   BAWN_GPU             `none` serves from the CPU; without it a pod without a GPU is refused
# The secrets may be files in place of variables: tailnet-key, token and state-key in BAWN_SECRETS, default
# /run/secrets/bawn.
set -euo pipefail

run=${BAWN_RUN:-/run/bawn}
driver=${BAWN_DRIVER_LINKS:-/run/opengl-driver/lib}
weights=${BAWN_WEIGHTS:-/weights}
secrets=${BAWN_SECRETS:-/run/secrets/bawn}

refuse() {
  echo "bawn-pod: $*" >&2
  exit 1
}

# Secrets go into files, and the process is replaced by one whose environment never had them.
keep() {
  if [ -n "${!1:-}" ]; then
    (umask 077 && printf '%s' "${!1}" > "$run/$2") || refuse "$run can't be written to."
  elif [ -r "$secrets/$2" ]; then
    (umask 077 && cat "$secrets/$2" > "$run/$2")
  fi
}
mkdir -p "$run" || refuse "$run can't be made."
if [ -n "${BAWN_TAILNET_KEY:-}${BAWN_TOKEN:-}${BAWN_STATE_KEY:-}" ]; then
  keep BAWN_TAILNET_KEY tailnet-key
  keep BAWN_TOKEN token
  keep BAWN_STATE_KEY state-key
  exec env --unset BAWN_TAILNET_KEY --unset BAWN_TOKEN --unset BAWN_STATE_KEY "$BASH" "$0"
fi
[ -e "$run/tailnet-key" ] || keep BAWN_TAILNET_KEY tailnet-key
[ -e "$run/token" ] || keep BAWN_TOKEN token
[ -e "$run/state-key" ] || keep BAWN_STATE_KEY state-key

[ -n "${BAWN_NODE:-}" ] || refuse "BAWN_NODE isn't set: which node of the fleet is this?"
[ -n "${BAWN_SETTINGS:-}" ] || refuse "BAWN_SETTINGS isn't set: it is what \`bawn fleet render\` writes for $BAWN_NODE."
[ -s "$run/tailnet-key" ] || refuse "There is no tailnet key: set BAWN_TAILNET_KEY, or mount $secrets/tailnet-key."
[ -s "$run/token" ] || refuse "There is no token: set BAWN_TOKEN, or mount $secrets/token; beyond loopback the model server asks every caller for it."

# The container runtime mounts the host's driver under /usr/lib, where programs of Nix don't look.
link_driver() {
  local folder library
  mkdir -p "$driver"
  for folder in ${BAWN_DRIVER_FOLDERS:-/usr/lib/x86_64-linux-gnu /usr/lib64 /usr/lib /usr/local/nvidia/lib64}; do
    for library in "$folder"/libcuda.so* "$folder"/libnvidia-{ml,nvvm,ptxjitcompiler}.so*; do
      if [ -e "$library" ] && [ ! -e "$driver/${library##*/}" ]; then
        ln --symbolic --force "$library" "$driver/${library##*/}"
      fi
    done
  done
}
layers=0
if [ "${BAWN_GPU:-}" != none ]; then
  layers=-1
  link_driver
  [ -e "$driver/libcuda.so.1" ] ||
    refuse "The container runtime brought no libcuda.so.1: this pod has no NVIDIA GPU, or was started without it (\`--gpus all\`)."
  for device in /dev/nvidiactl /dev/nvidia-uvm; do
    [ -c "$device" ] || refuse "The device $device is missing: the pod was started without its GPU."
  done
  # llama.cpp would run on the CPU in silence.
  bawn gpu-check || refuse "The GPU can't be used: see above."
fi

# A file in the folder of its own hash has been checked against it.
file=$(jq --raw-output '.model | split("/") | last' <<< "$BAWN_SETTINGS") || refuse "BAWN_SETTINGS is no JSON."
if [ -n "${BAWN_MODEL_URL:-}" ]; then
  wanted=${BAWN_MODEL_SHA256:-}
  [[ $wanted =~ ^[0-9a-f]{64}$ ]] || refuse "BAWN_MODEL_SHA256 is no SHA-256: weights from a network are checked, or not used."
  model=$weights/$wanted/$file
  part=$weights/$wanted.part
  if [ ! -e "$model" ]; then
    mkdir -p "$weights/$wanted" || refuse "$weights can't be written to by user $(id --user)."
    right() { [ -e "$part" ] && [ "$(sha256sum "$part" | cut -d ' ' -f 1)" = "$wanted" ]; }
    # Complete already, when a pod was stopped before the check.
    if ! right; then
      if ! answer=$(curl --fail --location --proto "=${BAWN_MODEL_PROTOCOL:-https}" --silent --show-error \
        --connect-timeout 20 --speed-limit 1000 --speed-time 60 --retry 5 --retry-connrefused \
        --continue-at - --write-out '%{response_code}' --output "$part" -- "$BAWN_MODEL_URL"); then
        # No more to fetch, yet not the file: the next start begins anew.
        [ "$answer" != 416 ] || rm "$part"
        refuse "The weights can't be fetched from $BAWN_MODEL_URL."
      fi
      if ! right; then
        rm "$part"
        refuse "The weights from $BAWN_MODEL_URL don't have the SHA-256 in BAWN_MODEL_SHA256: they are deleted."
      fi
    fi
    mv "$part" "$model"
  fi
else
  model=$weights/$file
  [ -r "$model" ] || refuse "$model isn't there: mount a volume that has it, or set BAWN_MODEL_URL and BAWN_MODEL_SHA256."
fi

embedding=$(jq --raw-output '.embedding_model // "" | split("/") | last // ""' <<< "$BAWN_SETTINGS")
[ -z "$embedding" ] || [ -r "$weights/$embedding" ] ||
  refuse "$weights/$embedding isn't there: mount a volume that has the embedding model."

# Beginnings of prompts, kept while the pod is stopped. On the volume, which pods may share: each has its own folder.
state=$weights/state/$BAWN_NODE
kept=$(jq --raw-output 'if (.state_dir // "") == "" then "nothing" elif (.state_key_file // "") == "" then "plain" else "encrypted" end' <<< "$BAWN_SETTINGS")
case $kept in
  encrypted)
    [ -s "$run/state-key" ] || refuse "There is no state key: the fleet says that $BAWN_NODE's state_on_disk is encrypted. Set BAWN_STATE_KEY, or mount $secrets/state-key."
    ;;
  plain)
    [ ! -e "$run/state-key" ] || refuse "There is a state key, but the fleet says that $BAWN_NODE's state_on_disk is plain. Set it to encrypted, or take out the key."
    ;;
  *)
    # What an earlier start has kept is not to stay.
    rm -f -- "$state"/prefixes.bawn* || refuse "$state can't be emptied."
    ;;
esac
[ "$kept" = nothing ] || (umask 077 && mkdir -p "$state" && [ -w "$state" ]) ||
  refuse "$state can't be written to by user $(id --user): the state is kept there."

# Loopback: tailscaled without a TUN device hands what comes over the tailnet to 127.0.0.1.
jq --arg model "$model" --arg embedding "$weights/$embedding" --arg token "$run/token" --argjson layers "$layers" \
  --arg kept "$kept" --arg state "$state" --arg key "$run/state-key" \
  '. * {host: "127.0.0.1", model: $model, token_file: $token, n_gpu_layers: $layers}
    | if .embedding_model then .embedding_model = $embedding else . end
    | if $kept == "nothing" then del(.state_dir, .state_key_file) else .state_dir = $state end
    | if $kept == "encrypted" then .state_key_file = $key else . end' \
  <<< "$BAWN_SETTINGS" > "$run/model-server.json"
bawn model-server --settings "$run/model-server.json" --check || exit 1

pids=()
# Nothing here limits how long that takes: the provider's grace period does, and must leave time to write the state.
# shellcheck disable=SC2317 # called by the trap
stop() {
  trap '' TERM INT
  kill "${pids[@]}" 2> /dev/null || true
  wait
  exit "${1:-0}"
}
trap 'stop 0' TERM INT

# State in memory: the node is ephemeral, and a volume that outlives the pod must not hold its key.
TS_NO_LOGS_NO_SUPPORT=true tailscaled --tun=userspace-networking --state=mem: --statedir="$run" \
  --socket="$run/tailscaled.sock" --port=0 &
pids+=($!)
bawn model-server --settings "$run/model-server.json" &
pids+=($!)

join=(--auth-key="file:$run/tailnet-key" --hostname="$BAWN_NODE" --accept-dns=false --timeout=60s)
[ -z "${BAWN_LOGIN_SERVER:-}" ] || join+=(--login-server="$BAWN_LOGIN_SERVER")
until tailscale --socket="$run/tailscaled.sock" up "${join[@]}"; do
  for pid in "${pids[@]}"; do
    kill -0 "$pid" 2> /dev/null || stop 1
  done
  echo "bawn-pod: The tailnet can't be joined yet; trying again." >&2
  sleep 5
done
echo "bawn-pod: $BAWN_NODE has joined the tailnet."

ended=0
wait -n "${pids[@]}" || ended=$?
echo "bawn-pod: tailscaled or the model server has ended ($ended): so does the pod." >&2
stop 1
