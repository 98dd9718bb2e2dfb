(class_declaration name: (_) @name) @def
(object_declaration name: (_) @name) @def
(function_declaration name: (_) @name) @def
(type_alias type: (identifier) @name) @def
(source_file (property_declaration (variable_declaration (identifier) @name)) @def)
(class_body (property_declaration (variable_declaration (identifier) @name)) @def)

(call_expression . [(identifier) @ref (navigation_expression (identifier) @ref .)])
(user_type (identifier) @ref)
