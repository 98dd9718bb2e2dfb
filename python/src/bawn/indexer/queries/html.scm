(element [(start_tag (attribute (attribute_name) @_key
      [(attribute_value) @name (quoted_attribute_value (attribute_value) @name)]))
    (self_closing_tag (attribute (attribute_name) @_key
      [(attribute_value) @name (quoted_attribute_value (attribute_value) @name)]))]
  (#eq? @_key "id")) @def
