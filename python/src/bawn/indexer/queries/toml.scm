(table . (_) @scope) @def
(table_array_element . (_) @scope) @def
