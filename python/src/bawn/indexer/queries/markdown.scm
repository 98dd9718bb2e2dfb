(section . (atx_heading heading_content: (_) @scope)) @def
(section . (setext_heading heading_content: (_) @scope)) @def
