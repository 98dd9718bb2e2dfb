# The flake's outputs, evaluated without copying its inputs: from folders where the environment names them, else from
# flake.lock, which needs a network.
#   NIXPKGS_TREE          a nixpkgs of the pinned release
#   BAWN_FLAKE_INPUTS     a folder with uv2nix, pyproject-nix, build-system-pkgs, headscale, treefmt-nix
let
  root = ../..;
  tree = builtins.getEnv "NIXPKGS_TREE";
  inputs = builtins.getEnv "BAWN_FLAKE_INPUTS";
  flakeAt =
    path: inputs:
    let
      outputs = (import (path + "/flake.nix")).outputs (inputs // { self = outputs // { outPath = path; }; });
    in
    outputs
    // {
      outPath = path;
      inherit inputs;
    };
  folder = name: /. + "${inputs}/${name}";
  nixpkgs = flakeAt (/. + tree) { };
  pyproject-nix = flakeAt (folder "pyproject-nix") { inherit nixpkgs; };
  uv2nix = flakeAt (folder "uv2nix") { inherit nixpkgs pyproject-nix; };
  pyproject-build-systems = flakeAt (folder "build-system-pkgs") {
    inherit nixpkgs pyproject-nix uv2nix;
  };
in
if tree == "" || inputs == "" then
  builtins.getFlake (toString root)
else
  flakeAt root {
    inherit
      nixpkgs
      pyproject-nix
      uv2nix
      pyproject-build-systems
      ;
    headscale = folder "headscale";
    treefmt-nix = folder "treefmt-nix";
  }
