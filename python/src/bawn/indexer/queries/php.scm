(class_declaration name: (_) @name) @def
(interface_declaration name: (_) @name) @def
(trait_declaration name: (_) @name) @def
(enum_declaration name: (_) @name) @def
(method_declaration name: (_) @name) @def
(function_definition name: (_) @name) @def
(const_declaration (const_element . (name) @name)) @def
(property_declaration (property_element name: (variable_name (name) @name))) @def
(namespace_definition name: (_) @scope body: (_)) @def
(program (namespace_definition name: (_) @scope !body)) @def

(function_call_expression function: [(name) @ref (qualified_name (name) @ref .)])
(member_call_expression name: (name) @ref)
(scoped_call_expression scope: (name) @ref)
(scoped_call_expression name: (name) @ref)
(object_creation_expression [(name) @ref (qualified_name (name) @ref .)])
(named_type [(name) @ref (qualified_name (name) @ref .)])
(base_clause [(name) @ref (qualified_name (name) @ref .)])
(class_interface_clause [(name) @ref (qualified_name (name) @ref .)])
