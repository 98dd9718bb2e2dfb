(function_definition declarator: (function_declarator declarator: [
    (qualified_identifier) (field_identifier) (destructor_name) (operator_name)
  ] @name)) @def
(function_definition declarator: (_ declarator: (function_declarator declarator: [
    (qualified_identifier) (field_identifier) (destructor_name) (operator_name)
  ] @name))) @def
(function_definition declarator: (_ declarator: (_ declarator: (function_declarator declarator: [
    (qualified_identifier) (field_identifier) (destructor_name) (operator_name)
  ] @name)))) @def
(function_definition declarator: (_ (function_declarator declarator: [
    (identifier) (field_identifier) (qualified_identifier)
  ] @name))) @def
(class_specifier name: (_) @name body: (_)) @def
(namespace_definition name: (_) @name) @def
(alias_declaration name: (_) @name) @def
(concept_definition name: (_) @name) @def

(call_expression function: (qualified_identifier name: (identifier) @ref))
