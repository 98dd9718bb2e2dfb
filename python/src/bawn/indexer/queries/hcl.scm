; `resource "aws_instance" "web"` is `aws_instance.web`, as expressions name it; `module "vpc"` is `module.vpc`.
(block (identifier) @_kind . (string_lit)+ @part (#eq? @_kind "resource")) @def
(block (identifier) @_kind @part . (string_lit)+ @part (#not-eq? @_kind "resource")) @def
(block (identifier) @_kind (body (attribute (identifier) @name) @def) (#eq? @_kind "locals"))
(config_file (body (attribute (identifier) @name) @def))
(block (identifier) @scope . (block_start)) @def
