(pair key: (string (string_content) @scope) value: [(object) (array)]) @def
