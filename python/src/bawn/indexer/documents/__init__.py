"""Text of documents that are no text: PDF, Word, web pages. Read in the worker process, since hostile ones exist."""
