# The type of every option that names a secret. Not a module: `secretFile = import ./secret-file.nix { inherit lib; };`.
# The values are never printed: a secret that was written in place of its file must not end in a build log too.
{
  lib,
  # Whether `%h` may stand at its beginning: the home of whoever runs the unit.
  inHome ? false,
}:
lib.mkOptionType {
  name = "secretFile";
  description =
    "absolute path of a file on the host that holds a secret, outside the Nix store"
    + lib.optionalString inHome "; `%h` is the user's home";
  descriptionClass = "noun";
  check = value: builtins.isString value || builtins.isPath value;
  merge =
    loc: defs:
    let
      value = lib.mergeEqualOption loc defs;
      key = lib.showOption loc;
      path = if inHome && builtins.isString value then lib.removePrefix "%h" value else value;
      refuse =
        reason:
        throw "${key}: ${reason} Give the path of a file on the host as a string, such as \"/run/secrets/bawn\".";
    in
    if builtins.isPath value then
      refuse "is a Nix path, so the secret would be copied into the Nix store, which everybody can read."
    else if builtins.hasContext value || lib.hasPrefix builtins.storeDir value then
      refuse "lies in the Nix store, which everybody can read."
    else if !lib.hasPrefix "/" path then
      refuse "is not an absolute path; a secret written into the configuration would end in the Nix store."
    else if builtins.match ".*[[:space:]:%].*" path != null then
      refuse "holds a space, a colon or a percent sign, which its unit can't take."
    else
      value;
}
