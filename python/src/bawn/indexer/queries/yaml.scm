(block_mapping_pair key: (_) @scope value: (block_node)) @def
