(class_declaration name: (_) @name) @def
(interface_declaration name: (_) @name) @def
(struct_declaration name: (_) @name) @def
(enum_declaration name: (_) @name) @def
(record_declaration name: (_) @name) @def
(delegate_declaration name: (_) @name) @def
(method_declaration name: (_) @name) @def
(constructor_declaration name: (_) @name) @def
(property_declaration name: (_) @name) @def
(event_declaration name: (_) @name) @def
(event_field_declaration (variable_declaration (variable_declarator name: (_) @name))) @def
(field_declaration (variable_declaration (variable_declarator name: (_) @name))) @def
(local_function_statement name: (_) @name) @def
(namespace_declaration name: (_) @scope) @def
(compilation_unit (file_scoped_namespace_declaration name: (_) @scope)) @def

(invocation_expression function: [
    (identifier) @ref
    (generic_name (identifier) @ref)
    (member_access_expression name: [(identifier) @ref (generic_name (identifier) @ref)])
  ])
(object_creation_expression type: [(identifier) @ref (generic_name (identifier) @ref)])
(base_list [(identifier) @ref (generic_name (identifier) @ref)])
(attribute name: (identifier) @ref)
(parameter type: [(identifier) @ref (generic_name (identifier) @ref)])
(variable_declaration type: [(identifier) @ref (generic_name (identifier) @ref)])
(method_declaration returns: [(identifier) @ref (generic_name (identifier) @ref)])
(property_declaration type: [(identifier) @ref (generic_name (identifier) @ref)])
(type_argument_list (identifier) @ref)
