"""The tree-sitter grammars and, for each, the query that finds what a file defines.

Captures: `@def` is the whole definition, `@name` its name; `@scope` instead of `@name` encloses without defining
(`impl` blocks, headings), and `@owner` is the type that a method is written for outside of its body.
"""

import importlib
from functools import cache
from typing import Final

import tree_sitter

_C_DECLARATORS: Final = """
(function_definition declarator: (function_declarator declarator: {name})) @def
(function_definition declarator: (_ declarator: (function_declarator declarator: {name}))) @def
(function_definition declarator: (_ declarator: (_ declarator: (function_declarator declarator: {name})))) @def
"""
_C: Final = (
    _C_DECLARATORS.format(name="(identifier) @name")
    + """
(struct_specifier name: (_) @name body: (_)) @def
(union_specifier name: (_) @name body: (_)) @def
(enum_specifier name: (_) @name body: (_)) @def
(type_definition declarator: (type_identifier) @name) @def
(preproc_def name: (_) @name) @def
(preproc_function_def name: (_) @name) @def
"""
)
_JAVASCRIPT: Final = """
(function_declaration name: (_) @name) @def
(generator_function_declaration name: (_) @name) @def
(class_declaration name: (_) @name) @def
(method_definition name: (_) @name) @def
(program (lexical_declaration (variable_declarator name: (identifier) @name)) @def)
(program (variable_declaration (variable_declarator name: (identifier) @name)) @def)
(export_statement (lexical_declaration (variable_declarator name: (identifier) @name)) @def)
(variable_declarator name: (identifier) @name value: [(arrow_function) (function_expression) (class)]) @def
(assignment_expression left: (member_expression property: (property_identifier) @name)
    right: [(arrow_function) (function_expression) (class)]) @def
(pair key: (property_identifier) @name value: [(arrow_function) (function_expression)]) @def
"""
_TYPESCRIPT: Final = (
    _JAVASCRIPT
    + """
(abstract_class_declaration name: (_) @name) @def
(interface_declaration name: (_) @name) @def
(type_alias_declaration name: (_) @name) @def
(enum_declaration name: (_) @name) @def
(internal_module name: (_) @name) @def
(function_signature name: (_) @name) @def
(abstract_method_signature name: (_) @name) @def
(public_field_definition name: (_) @name value: [(arrow_function) (function_expression)]) @def
"""
)
_QUERIES: Final = {
    "python": """
(function_definition name: (identifier) @name) @def
(class_definition name: (identifier) @name) @def
(module (expression_statement (assignment left: (identifier) @name)) @def)
(class_definition body: (block (expression_statement (assignment left: (identifier) @name)) @def))
(type_alias_statement left: (type (identifier) @name)) @def
""",
    "javascript": _JAVASCRIPT,
    "typescript": _TYPESCRIPT,
    "tsx": _TYPESCRIPT,
    "go": """
(function_declaration name: (_) @name) @def
(method_declaration receiver: (parameter_list (parameter_declaration type: [
    (type_identifier) @owner
    (pointer_type (type_identifier) @owner)
    (generic_type type: (type_identifier) @owner)
    (pointer_type (generic_type type: (type_identifier) @owner))
  ])) name: (_) @name) @def
(type_spec name: (_) @name) @def
(type_alias name: (_) @name) @def
(source_file (const_declaration (const_spec name: (_) @name) @def))
(source_file (var_declaration (var_spec name: (_) @name) @def))
""",
    "rust": """
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
""",
    "java": """
(class_declaration name: (_) @name) @def
(interface_declaration name: (_) @name) @def
(enum_declaration name: (_) @name) @def
(record_declaration name: (_) @name) @def
(annotation_type_declaration name: (_) @name) @def
(method_declaration name: (_) @name) @def
(constructor_declaration name: (_) @name) @def
(field_declaration declarator: (variable_declarator name: (_) @name)) @def
""",
    "c": _C,
    "cpp": _C
    + _C_DECLARATORS.format(name="(qualified_identifier) @name")
    + _C_DECLARATORS.format(name="(field_identifier) @name")
    + _C_DECLARATORS.format(name="(destructor_name) @name")
    + _C_DECLARATORS.format(name="(operator_name) @name")
    + """
(function_definition declarator: (_ (function_declarator declarator: (identifier) @name))) @def
(function_definition declarator: (_ (function_declarator declarator: (field_identifier) @name))) @def
(function_definition declarator: (_ (function_declarator declarator: (qualified_identifier) @name))) @def
(class_specifier name: (_) @name body: (_)) @def
(namespace_definition name: (_) @name) @def
(alias_declaration name: (_) @name) @def
(concept_definition name: (_) @name) @def
""",
    "nix": "(binding attrpath: (attrpath) @name) @def",
    "markdown": """
(section . (atx_heading heading_content: (_) @scope)) @def
(section . (setext_heading heading_content: (_) @scope)) @def
""",
}
_WHEELS: Final = {
    "tsx": ("tree_sitter_typescript", "language_tsx"),
    "typescript": ("tree_sitter_typescript", "language_typescript"),
}


def has_grammar(language: str) -> bool:
    """Whether files of `language` are cut along their syntax."""
    return language in _QUERIES


@cache
def grammar(language: str) -> tuple[tree_sitter.Language, tree_sitter.Query]:
    """The grammar of a language and its query for definitions; loaded once in a process."""
    wheel, function = _WHEELS.get(language, (f"tree_sitter_{language}", "language"))
    pointer: object = getattr(importlib.import_module(wheel), function)()
    loaded = tree_sitter.Language(pointer)
    return loaded, tree_sitter.Query(loaded, _QUERIES[language])
