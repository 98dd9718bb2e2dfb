(function_definition name: (word) @name) @def
(program (variable_assignment name: (variable_name) @name) @def)
(program (declaration_command (variable_assignment name: (variable_name) @name)) @def)

(command name: (command_name (word) @ref))
