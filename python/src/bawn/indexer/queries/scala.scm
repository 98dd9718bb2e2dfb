(class_definition name: (_) @name) @def
(object_definition name: (_) @name) @def
(trait_definition name: (_) @name) @def
(enum_definition name: (_) @name) @def
(type_definition name: (_) @name) @def
(given_definition name: (_) @name) @def
(function_definition name: (_) @name) @def
(function_declaration name: (_) @name) @def
(compilation_unit (val_definition pattern: (identifier) @name) @def)
(template_body [(val_definition pattern: (identifier) @name) (var_definition pattern: (identifier) @name)] @def)
(template_body (val_declaration name: (identifier) @name) @def)

(call_expression function: [
    (identifier) @ref
    (field_expression field: (identifier) @ref)
    (generic_function function: (identifier) @ref)
    (generic_function function: (field_expression field: (identifier) @ref))
  ])
(type_identifier) @ref
