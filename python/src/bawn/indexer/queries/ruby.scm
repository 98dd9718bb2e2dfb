(module name: (_) @name) @def
(class name: (_) @name) @def
(method name: (_) @name) @def
(singleton_method name: (_) @name) @def
(assignment left: (constant) @name) @def
(call method: (identifier) @_call arguments: (argument_list [(simple_symbol) (string (string_content))] @name)
  (#any-of? @_call "attr_reader" "attr_writer" "attr_accessor" "define_method" "scope" "task")) @def

(call method: (identifier) @ref)
(call receiver: (constant) @ref)
(superclass [(constant) @ref (scope_resolution name: (constant) @ref)])
