(create_table [(keyword_table) (keyword_exists)] . (object_reference schema: (_)? @owner name: (_) @name)) @def
(create_view [(keyword_view) (keyword_exists)] . (object_reference schema: (_)? @owner name: (_) @name)) @def
(create_materialized_view [(keyword_view) (keyword_exists)] . (object_reference schema: (_)? @owner name: (_) @name)) @def
(create_function (keyword_function) . (object_reference schema: (_)? @owner name: (_) @name)) @def
(create_procedure (keyword_procedure) . (object_reference schema: (_)? @owner name: (_) @name)) @def
(create_trigger (keyword_trigger) . (object_reference name: (_) @name)) @def
(create_type (keyword_type) . (object_reference schema: (_)? @owner name: (_) @name)) @def
(create_sequence [(keyword_sequence) (keyword_exists)] . (object_reference schema: (_)? @owner name: (_) @name)) @def
(create_index column: (_) @name) @def
(create_schema (identifier) @name) @def

(invocation (object_reference name: (_) @ref))
(relation (object_reference name: (_) @ref))
(insert (object_reference name: (_) @ref))
(alter_table (object_reference name: (_) @ref))
