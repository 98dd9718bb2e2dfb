(function_declaration name: (_) @name) @def
(method_declaration receiver: (parameter_list (parameter_declaration type: [
    (type_identifier) @owner
    (pointer_type (type_identifier) @owner)
    (generic_type type: (type_identifier) @owner)
    (pointer_type (generic_type type: (type_identifier) @owner))
  ])) name: (_) @name) @def
(type_spec name: (_) @name) @def
(type_alias name: (_) @name) @def
(source_file (const_declaration (const_spec name: (_) @name) @def))
(source_file (var_declaration (var_spec name: (_) @name) @def))

(call_expression function: [(identifier) @ref (selector_expression field: (field_identifier) @ref)])
(type_identifier) @ref
