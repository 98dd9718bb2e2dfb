# Every option of ours, as the manual lists it.
let
  flake = import ./evaluate.nix;
  inherit (flake.inputs.nixpkgs) lib;
  inherit (flake.nixosConfigurations.gateway) options;
  shown =
    value: if builtins.isString value then value else if value ? text then value.text else null;
in
map (option: {
  inherit (option) name type readOnly;
  description = shown (option.description or { }) ;
  default = shown (option.default or { });
  example = shown (option.example or { });
}) (
  lib.filter (option: option.visible && !option.internal) (lib.optionAttrSetToDocList options.bawn)
)
