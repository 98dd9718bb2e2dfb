(function_item name: (_) @name) @def
(function_signature_item name: (_) @name) @def
(struct_item name: (_) @name) @def
(enum_item name: (_) @name) @def
(union_item name: (_) @name) @def
(trait_item name: (_) @name) @def
(type_item name: (_) @name) @def
(const_item name: (_) @name) @def
(static_item name: (_) @name) @def
(macro_definition name: (_) @name) @def
(mod_item name: (_) @name body: (_)) @def
(impl_item type: (_) @scope) @def

(call_expression function: [
    (identifier) @ref
    (field_expression field: (field_identifier) @ref)
    (scoped_identifier name: (identifier) @ref)
  ])
(macro_invocation macro: [(identifier) @ref (scoped_identifier name: (identifier) @ref)])
(type_identifier) @ref
