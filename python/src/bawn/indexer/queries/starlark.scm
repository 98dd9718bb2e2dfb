; Bazel's files are Python to a grammar; a target is a call with a name.
(module (expression_statement (call arguments: (argument_list
    (keyword_argument name: (identifier) @_key value: (string (string_content) @name))))
  (#eq? @_key "name")) @def)
