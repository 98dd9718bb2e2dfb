(rule_set (selectors) @scope) @def
(class_selector (class_name) @name) @def
(id_selector (id_name) @name) @def
(keyframes_statement (keyframes_name) @name) @def
(declaration (property_name) @name (#match? @name "^--")) @def
(media_statement . (_) @scope) @def
