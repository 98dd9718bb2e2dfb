(class_declaration name: (type_identifier) @name) @def
(class_declaration name: (user_type) @scope) @def
(protocol_declaration name: (_) @name) @def
(typealias_declaration name: (type_identifier) @name) @def
(associatedtype_declaration name: (type_identifier) @name) @def
(function_declaration name: (simple_identifier) @name) @def
(protocol_function_declaration name: (simple_identifier) @name) @def
(source_file (property_declaration name: (pattern bound_identifier: (simple_identifier) @name)) @def)
(class_body (property_declaration name: (pattern bound_identifier: (simple_identifier) @name)) @def)
(protocol_property_declaration name: (pattern bound_identifier: (simple_identifier) @name)) @def

(call_expression . [(simple_identifier) @ref (navigation_expression suffix: (navigation_suffix (simple_identifier) @ref))])
(user_type (type_identifier) @ref)
