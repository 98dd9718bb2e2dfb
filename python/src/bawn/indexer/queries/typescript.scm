(abstract_class_declaration name: (_) @name) @def
(interface_declaration name: (_) @name) @def
(type_alias_declaration name: (_) @name) @def
(enum_declaration name: (_) @name) @def
(internal_module name: (_) @name) @def
(function_signature name: (_) @name) @def
(abstract_method_signature name: (_) @name) @def
(public_field_definition name: (_) @name value: [(arrow_function) (function_expression)]) @def

(type_identifier) @ref
