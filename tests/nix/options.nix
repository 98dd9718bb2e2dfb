# Every option of ours, as the manual lists it: those of the NixOS modules, and those of the module for home-manager.
let
  flake = import ./evaluate.nix;
  inherit (flake.inputs.nixpkgs) lib;
  shown =
    value: if builtins.isString value then value else if value ? text then value.text else null;
  listed =
    options:
    map (option: {
      inherit (option) name type readOnly;
      description = shown (option.description or { });
      default = shown (option.default or { });
      example = shown (option.example or { });
    }) (lib.filter (option: option.visible && !option.internal) (lib.optionAttrSetToDocList options.bawn));
in
{
  nixos = listed flake.nixosConfigurations.gateway.options;
  home = listed (import ./home.nix "x86_64-linux" { }).options;
}
