{ lib, pkgs, self }: { }
