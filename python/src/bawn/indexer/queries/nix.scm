(binding attrpath: (attrpath) @name) @def

(apply_expression function: [
    (variable_expression name: (identifier) @ref)
    (select_expression attrpath: (attrpath (identifier) @ref .))
  ])
