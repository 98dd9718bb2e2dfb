# Scripts and other texts that units of this host run or read, in one place: so that they can be read and tested without
# anything being built.
{ lib, ... }:
{
  options.bawn.files = lib.mkOption {
    type = lib.types.attrsOf lib.types.package;
    default = { };
    internal = true;
    visible = false;
    example = lib.literalExpression "{ bawn-health-gate = gate; }";
    description = "Text files in the store that bawn's units name, by their name there.";
  };
}
